import type { Block } from "../../architecture/architecture.js";
import { MIB } from "../../byte-units.js";
import type {
  Device,
  DeviceMemory,
  EstimateRequest,
  EstimateWarning,
  KvCacheLayerGroup,
} from "../../estimate.types.js";
import { F16_CACHE, F32_CACHE, isQuantizedCache, requestedTypes } from "../../kv-cache/cache-type.js";
import type { LayerCache } from "../../kv-cache/layer-caches.js";
import { groupCaches, growthPerToken, layerCacheBytes } from "../../kv-cache/summarize-cache.js";
import { listUnpaddedCaches } from "../../kv-cache/unpadded-caches.js";
import { balanceLayers, type SpreadPlacement } from "../../placement/spread-layers.js";
import type { QuantScheme } from "../../quantization/scheme.js";
import { sumOf } from "../../sum-of.js";
import { type LayerWeights, layerWeights } from "../layer-weights.js";
import { loadWarnings } from "../loadable-formats.js";
import type { MemoryLayout } from "../memory-layout.js";
import { checkCounts, checkWorkload, freeBytes, requireDevices } from "../request-checks.js";
import { explainTransformers } from "./explain-transformers.js";
import { type ForwardPass, type LayerPeak, layerPeak } from "./forward-pass.js";
import type { TransformersConstants, TransformersSettings } from "./transformers.types.js";

const F32_BYTES = 4;
/** Kernels for weights of fewer bits than this unpack a matrix into half precision before they multiply. */
const UNPACKED_BELOW_BITS = 8;
const HALF_BYTES = 2;

/** The parts of an estimate, for the steps. All sizes are bytes. */
export interface TransformersMemory {
  checkpoint: LayerWeights;
  /** Output matrix that the checkpoint holds beside the embedding it is tied to. */
  untiedOutput: number;
  /** The format is quantized and not one of GGUF's: matrices are unpacked before use. */
  unpackBytes: number;
  caches: LayerCache[][];
  cacheGroups: KvCacheLayerGroup[];
  cacheBytes: number;
  pass: ForwardPass;
  /** The layer whose forward pass takes most. */
  widest: { block: string; peak: LayerPeak };
  logitsBytes: number;
  /** What appending a token holds beside the cache. */
  cacheCopyBytes: number;
  placement: SpreadPlacement;
}

/**
 * A model run by Transformers: the checkpoint's weights, a cache that grows token by token, and the peak of one forward
 * pass, spread over devices as accelerate's `device_map="auto"` does. `total` is what PyTorch's allocator gives out at
 * most (`max_memory_allocated`); the CUDA context is the device's reserve.
 *
 * @throws EstimateError for settings out of range.
 */
export function layOutTransformers(
  request: EstimateRequest,
  settings: TransformersSettings,
  constants: TransformersConstants,
): MemoryLayout {
  const { architecture, contextTokens } = request;
  checkWorkload(request);
  checkCounts({ prefillTokens: settings.prefillTokens });
  const devices = requireDevices(request, "Transformers");
  const memory = measure(request, settings, constants, devices);
  const deviceMemory = devices.map((device, index) => fillDevice(request, memory, constants, device, index));
  return {
    weights: memory.checkpoint.weights,
    cacheBytes: memory.cacheBytes,
    cacheBytesPerToken: growthPerToken(memory.caches, contextTokens),
    cacheGroups: memory.cacheGroups,
    devices: deviceMemory,
    host: { weights: 0, kvCache: 0, compute: 0 },
    pool: null,
    steps: () => explainTransformers(request, settings, constants, memory, deviceMemory),
    warnings: () => listWarnings(request, settings, architecture.layers.length, deviceMemory),
  };
}

function measure(
  request: EstimateRequest,
  settings: TransformersSettings,
  constants: TransformersConstants,
  devices: readonly Device[],
): TransformersMemory {
  const { architecture, contextTokens, sequences, scheme } = request;
  const checkpoint = layerWeights(architecture, scheme);
  const valueBytes = bytesPerValue(scheme);
  const forwardTokens = Math.min(settings.prefillTokens ?? contextTokens, contextTokens);
  const types = requestedTypes(request, valueBytes === F32_BYTES ? F32_CACHE : F16_CACHE);
  const caches = listUnpaddedCaches(architecture, {
    sequences,
    ...types,
    fullCells: contextTokens,
    windowCells: (window) =>
      constants.windowedLayers === "ALL" ? contextTokens : Math.min(contextTokens, window.size - 1 + forwardTokens),
    latent: constants.latentCache,
  });
  const pass: ForwardPass = {
    hiddenSize: architecture.hiddenSize,
    streams: architecture.residualStreams ?? 1,
    tokens: forwardTokens * sequences,
    cacheTokens: contextTokens,
    valueBytes,
    attention: settings.attention,
    experts: constants.experts,
  };
  const untiedOutput =
    scheme.kind === "uniform" && constants.untiedStorage.includes(scheme.type) ? checkpoint.tiedOutput : 0;
  const cacheBytes = sumOf(caches, layerCacheBytes);
  return {
    checkpoint,
    untiedOutput,
    unpackBytes:
      scheme.kind === "uniform" && scheme.weightBits < UNPACKED_BELOW_BITS
        ? checkpoint.largestQuantizedMatrix * HALF_BYTES
        : 0,
    caches,
    cacheGroups: groupCaches(caches),
    cacheBytes,
    pass,
    widest: widestLayer(architecture.blocks, architecture.layers, pass),
    logitsBytes: architecture.hasOutput ? logitsBytes(request, pass, constants) : 0,
    cacheCopyBytes:
      constants.cacheCopy === "WHOLE"
        ? cacheBytes
        : caches.reduce((most, layer) => Math.max(most, ...layer.map((cache) => cache.keyBytes)), 0),
    placement: balanceLayers(
      {
        embedding: checkpoint.embedding,
        layers: checkpoint.layers,
        output: checkpoint.output + untiedOutput,
        tied: checkpoint.tiedOutput > 0 && untiedOutput === 0,
      },
      devices.map(freeBytes),
    ),
  };
}

/** Activations have the type of the weights that are not quantized. */
function bytesPerValue(scheme: QuantScheme): number {
  return scheme.kind === "ggml" && scheme.fileType === "F32" ? F32_BYTES : HALF_BYTES;
}

function widestLayer(blocks: Readonly<Record<string, Block>>, layers: readonly string[], pass: ForwardPass) {
  let widest = { block: "", peak: { mixer: 0, feedForward: 0 } };
  for (const name of new Set(layers)) {
    const block = blocks[name];
    const peak = block === undefined ? widest.peak : layerPeak(block, pass);
    if (largest(peak) > largest(widest.peak)) {
      widest = { block: name, peak };
    }
  }
  return widest;
}

/** Logits in the model's type and in single precision, beside the input and the last hidden state they are made of. */
function logitsBytes(request: EstimateRequest, pass: ForwardPass, constants: TransformersConstants): number {
  const { architecture, sequences } = request;
  const rows = constants.logits === "ALL" ? pass.tokens : sequences;
  const held = 2 * pass.tokens * pass.hiddenSize * pass.valueBytes;
  return held + rows * architecture.vocabularySize * (pass.valueBytes + F32_BYTES);
}

function largest(peak: LayerPeak): number {
  return Math.max(peak.mixer, peak.feedForward);
}

function fillDevice(
  request: EstimateRequest,
  memory: TransformersMemory,
  constants: TransformersConstants,
  device: Device,
  index: number,
): DeviceMemory {
  const { checkpoint, placement, caches } = memory;
  const { architecture } = request;
  const here = (part: number) => part === index;
  let weights =
    (here(placement.embedding) ? checkpoint.embedding : 0) +
    (here(placement.output) ? checkpoint.output + memory.untiedOutput : 0);
  let kvCache = 0;
  let layers = 0;
  let activations = 0;
  const peaks = new Map<string, number>();
  placement.layers.forEach((place, layer) => {
    if (!here(place)) {
      return;
    }
    layers += 1;
    weights += checkpoint.layers[layer] ?? 0;
    kvCache += layerCacheBytes(caches[layer] ?? []);
    const name = architecture.layers[layer] ?? "";
    const block = architecture.blocks[name];
    if (block !== undefined && !peaks.has(name)) {
      peaks.set(name, largest(layerPeak(block, memory.pass)));
    }
    activations = Math.max(activations, peaks.get(name) ?? 0);
  });
  if (here(placement.output)) {
    activations = Math.max(activations, memory.logitsBytes);
  }
  const copies = constants.cacheCopy === "WHOLE" ? kvCache : Math.min(kvCache, memory.cacheCopyBytes);
  // A prompt's pass appends to an empty cache, a token's pass has next to no activations: never both at once.
  const compute = weights === 0 ? 0 : Math.max(activations, copies) + (layers > 0 ? memory.unpackBytes : 0);
  const overhead = weights === 0 ? 0 : constants.workspaceMib * MIB;
  return { index, device, weights, kvCache, compute, overhead, total: weights + kvCache + compute + overhead, layers };
}

function listWarnings(
  request: EstimateRequest,
  settings: TransformersSettings,
  layerCount: number,
  devices: readonly DeviceMemory[],
): EstimateWarning[] {
  const { scheme, contextTokens } = request;
  const warnings = loadWarnings(scheme, "transformers");
  if (settings.prefillTokens !== undefined && settings.prefillTokens > contextTokens) {
    warnings.push({
      code: "MICROBATCH_ABOVE_CONTEXT",
      message: `A forward pass of ${settings.prefillTokens} tokens is longer than the context and is cut to it.`,
    });
  }
  if (request.cacheTypeK !== undefined && isQuantizedCache(request.cacheTypeK)) {
    warnings.push({
      code: "RULE_UNCERTAIN",
      message:
        "Transformers keeps the newest tokens of a quantized cache in full precision; they are not counted here.",
    });
  }
  if (devices.some((device) => device.layers === 0) && layerCount > 0) {
    warnings.push({
      code: "DEVICES_UNUSED",
      message: "The model is cut between layers, and not every device gets one.",
    });
  }
  return warnings;
}
