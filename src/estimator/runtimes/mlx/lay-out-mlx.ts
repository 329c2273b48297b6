import { MIB } from "../../byte-units.js";
import type {
  Device,
  DeviceMemory,
  EstimateRequest,
  EstimateWarning,
  KvCacheLayerGroup,
} from "../../estimate.types.js";
import { F16_CACHE, isQuantizedCache, requestedTypes } from "../../kv-cache/cache-type.js";
import type { LayerCache } from "../../kv-cache/layer-caches.js";
import { groupCaches, growthPerToken, layerCacheBytes } from "../../kv-cache/summarize-cache.js";
import { listUnpaddedCaches } from "../../kv-cache/unpadded-caches.js";
import { shareLayers } from "../../placement/spread-layers.js";
import { type LayerWeights, layerWeights } from "../layer-weights.js";
import { loadWarnings } from "../loadable-formats.js";
import type { MemoryLayout } from "../memory-layout.js";
import { checkCounts, checkWorkload, requireDevices } from "../request-checks.js";
import { explainMlx } from "./explain-mlx.js";
import { layerResults, type PrefillStep, storesScores } from "./intermediate-results.js";
import type { MlxConstants, MlxSettings } from "./mlx.types.js";

const HALF_BYTES = 2;
const F32_BYTES = 4;

/** The parts of an estimate, for the steps. All sizes are bytes. */
export interface MlxMemory {
  checkpoint: LayerWeights;
  caches: LayerCache[][];
  cacheGroups: KvCacheLayerGroup[];
  cacheBytes: number;
  step: PrefillStep;
  /** Results of each layer in a prefill step. */
  results: number[];
  /** Results that command buffers under way keep alive at most, where layers are small. */
  underWayBytes: number;
  logitsBytes: number;
}

/**
 * A model run by MLX LM on a Mac's unified memory: packed weights, caches that grow in steps, and the results that
 * command buffers under way keep alive during a prefill step. `total` is what `mx.get_peak_memory()` gives.
 *
 * @throws EstimateError for settings out of range.
 */
export function layOutMlx(request: EstimateRequest, settings: MlxSettings, constants: MlxConstants): MemoryLayout {
  const { architecture, contextTokens } = request;
  checkWorkload(request);
  checkCounts({ prefillStepSize: settings.prefillStepSize });
  const stepTokens = settings.prefillStepSize ?? constants.prefillStepTokens;
  const devices = requireDevices(request, "MLX");
  const memory = measure(request, constants, Math.min(stepTokens, contextTokens));
  const placement = shareLayers(architecture.layers.length, devices.length);
  const deviceMemory = devices.map((device, index) => fillDevice(memory, placement, device, index));
  return {
    weights: memory.checkpoint.weights,
    cacheBytes: memory.cacheBytes,
    cacheBytesPerToken: growthPerToken(memory.caches, padCache(contextTokens, constants)),
    cacheGroups: memory.cacheGroups,
    devices: deviceMemory,
    host: { weights: 0, kvCache: 0, compute: 0 },
    pool: null,
    steps: () => explainMlx(request, constants, memory, deviceMemory),
    warnings: () => listWarnings(request, settings, constants, deviceMemory),
  };
}

function measure(request: EstimateRequest, constants: MlxConstants, stepTokens: number): MlxMemory {
  const { architecture, contextTokens, sequences, scheme } = request;
  const cells = padCache(contextTokens, constants);
  const caches = listUnpaddedCaches(architecture, {
    sequences,
    ...requestedTypes(request, F16_CACHE),
    fullCells: cells,
    // A window and one step: the cache is cut to the window only when the next step begins (mlx-lm, RotatingKVCache).
    windowCells: (window) => Math.min(cells, window.size - 1 + stepTokens),
    latent: constants.latentCache,
  });
  const step: PrefillStep = {
    hiddenSize: architecture.hiddenSize * (architecture.residualStreams ?? 1),
    tokens: stepTokens * sequences,
    cacheTokens: contextTokens,
    fusedHeadDims: constants.fusedHeadDims,
  };
  const byBlock = new Map(
    Object.entries(architecture.blocks).map(([name, block]) => [name, layerResults(block, step)] as const),
  );
  return {
    checkpoint: layerWeights(architecture, scheme),
    caches,
    cacheGroups: groupCaches(caches),
    cacheBytes: caches.reduce((sum, layer) => sum + layerCacheBytes(layer), 0),
    step,
    results: architecture.layers.map((name) => byBlock.get(name) ?? 0),
    underWayBytes: constants.activeCommandBuffers * constants.commandBufferMib * MIB,
    logitsBytes: architecture.hasOutput ? sequences * architecture.vocabularySize * (HALF_BYTES + F32_BYTES) : 0,
  };
}

function padCache(tokens: number, constants: MlxConstants): number {
  return Math.ceil(tokens / constants.cacheStepTokens) * constants.cacheStepTokens;
}

/** In a group of Macs every one holds the embedding and the output matrix (mlx-lm, `models/pipeline.py`). */
function fillDevice(memory: MlxMemory, placement: readonly number[], device: Device, index: number): DeviceMemory {
  const { checkpoint, caches, results, underWayBytes } = memory;
  const own = placement.flatMap((place, layer) => (place === index ? [layer] : []));
  const sum = (bytesOf: (layer: number) => number) => own.reduce((total, layer) => total + bytesOf(layer), 0);
  const weights = checkpoint.embedding + checkpoint.output + sum((layer) => checkpoint.layers[layer] ?? 0);
  const kvCache = sum((layer) => layerCacheBytes(caches[layer] ?? []));
  const largest = own.reduce((most, layer) => Math.max(most, results[layer] ?? 0), 0);
  const alive = Math.min(
    sum((layer) => results[layer] ?? 0),
    Math.max(underWayBytes, largest),
  );
  const compute = alive + memory.logitsBytes;
  return {
    index,
    device,
    weights,
    kvCache,
    compute,
    overhead: 0,
    total: weights + kvCache + compute,
    layers: own.length,
  };
}

function listWarnings(
  request: EstimateRequest,
  settings: MlxSettings,
  constants: MlxConstants,
  devices: readonly DeviceMemory[],
): EstimateWarning[] {
  const { architecture, contextTokens, scheme } = request;
  const warnings = loadWarnings(scheme, "mlx");
  if (contextTokens % constants.cacheStepTokens !== 0) {
    warnings.push({
      code: "CONTEXT_PADDED",
      message: `MLX grows a cache by ${constants.cacheStepTokens} entries at a time: ${contextTokens} are rounded up.`,
    });
  }
  if (settings.prefillStepSize !== undefined && settings.prefillStepSize > contextTokens) {
    warnings.push({
      code: "MICROBATCH_ABOVE_CONTEXT",
      message: `A prefill step of ${settings.prefillStepSize} tokens is longer than the context and is cut to it.`,
    });
  }
  if (request.cacheTypeK !== undefined && isQuantizedCache(request.cacheTypeK)) {
    warnings.push({
      code: "RULE_UNCERTAIN",
      message: "MLX begins to quantize a cache after its first 5,000 entries; shorter ones stay in half precision.",
    });
  }
  if (Object.values(architecture.blocks).some(({ attention }) => attention && storesScores(attention, constants))) {
    warnings.push({
      code: "RULE_UNCERTAIN",
      message:
        "No fused kernel takes heads of this width during prefill: the scores of a step are stored, here counted twice as an upper bound. A smaller prefill step needs less.",
    });
  }
  if (devices.length > 1) {
    warnings.push({
      code: "RULE_UNCERTAIN",
      message: "Over several Macs the layers are taken to be shared evenly, as mlx.launch does with a pipeline.",
    });
  }
  if (devices.some((device) => device.layers === 0)) {
    warnings.push({ code: "DEVICES_UNUSED", message: "There are more devices than layers: some get none." });
  }
  return warnings;
}
