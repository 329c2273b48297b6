import type { Architecture, Block } from "../../architecture/architecture.js";
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
import { fillLayers, type SpreadPlacement } from "../../placement/spread-layers.js";
import type { QuantScheme } from "../../quantization/scheme.js";
import { sumOf } from "../../sum-of.js";
import { type LayerWeights, layerWeights } from "../layer-weights.js";
import { loadWarnings } from "../loadable-formats.js";
import type { MemoryLayout } from "../memory-layout.js";
import { checkCounts, checkWorkload, freeBytes, requireDevices } from "../request-checks.js";
import type { ExllamaConstants, ExllamaGeneration, ExllamaSettings } from "./exllama.types.js";
import { explainExllama } from "./explain-exllama.js";

const BITS_PER_BYTE = 8;
const HALF_BYTES = 2;
const F32_BYTES = 4;

/** The parts of an estimate, for the steps. All sizes are bytes. */
export interface ExllamaMemory {
  checkpoint: LayerWeights;
  /** Output matrix; of its own even where it is tied to the embedding. */
  outputBytes: number;
  /** Tokens of the cache, all sequences together. */
  cells: number;
  caches: LayerCache[][];
  cacheGroups: KvCacheLayerGroup[];
  cacheBytes: number;
  chunkTokens: number;
  generation: ExllamaGeneration;
  /** A chunk's results in the widest layer. */
  chunkBytes: number;
  /** Largest matrix unpacked in a layer, and the output matrix's. */
  unpackedLayerBytes: number;
  unpackedOutputBytes: number;
  /** One layer's quantized cache, unpacked for attention. */
  unpackedCacheBytes: number;
  logitsBytes: number;
  placement: SpreadPlacement;
}

/**
 * A model run by ExLlama: packed matrices on the devices, the token embedding in host memory, a cache of fixed length,
 * and scratch space for one chunk of prompt. Layers go to the devices in order, each filled before the next. `total` is
 * what the process takes as nvidia-smi shows it, its CUDA context included.
 *
 * @throws EstimateError for settings out of range.
 */
export function layOutExllama(
  request: EstimateRequest,
  settings: ExllamaSettings,
  constants: ExllamaConstants,
): MemoryLayout {
  checkWorkload(request);
  checkCounts({ chunkSize: settings.chunkSize });
  const chunkTokens = settings.chunkSize ?? constants.chunkTokens;
  const devices = requireDevices(request, "ExLlama");
  const memory = measure(request, constants, chunkTokens, devices);
  const deviceMemory = devices.map((device, index) => fillDevice(memory, device, index));
  return {
    weights: memory.checkpoint.weights,
    cacheBytes: memory.cacheBytes,
    cacheBytesPerToken: growthPerToken(memory.caches, memory.cells),
    cacheGroups: memory.cacheGroups,
    devices: deviceMemory,
    host: { weights: memory.checkpoint.embedding, kvCache: 0, compute: 0 },
    pool: null,
    steps: () => explainExllama(request, memory, deviceMemory),
    warnings: () => listWarnings(request, constants, memory, deviceMemory),
  };
}

function measure(
  request: EstimateRequest,
  constants: ExllamaConstants,
  chunkSize: number,
  devices: readonly Device[],
): ExllamaMemory {
  const { architecture, contextTokens, sequences, scheme } = request;
  const checkpoint = layerWeights(architecture, scheme);
  const generation = usesFirstGeneration(scheme) ? constants.exl2 : constants.exl3;
  const multiple = constants.cacheTokensMultiple;
  const cells = Math.ceil((contextTokens * sequences) / multiple) * multiple;
  const chunkTokens = Math.min(chunkSize, cells);
  const { typeK, typeV } = requestedTypes(request, F16_CACHE);
  // One cache of so many tokens serves all sequences, and layers with a window have it in full length.
  const rules = { sequences: 1, fullCells: cells, windowCells: () => cells, latent: "LATENT" as const };
  const caches = listUnpaddedCaches(architecture, { ...rules, typeK, typeV });
  const plain = listUnpaddedCaches(architecture, { ...rules, typeK: F16_CACHE, typeV: F16_CACHE });
  const outputBytes = checkpoint.output + tiedOutputBytes(architecture, checkpoint, scheme);
  const outputValues = architecture.hasOutput ? architecture.vocabularySize * architecture.hiddenSize : 0;
  const packed = checkpoint.largestQuantizedMatrix > 0;
  const memory = {
    checkpoint,
    outputBytes,
    cells,
    caches,
    cacheGroups: groupCaches(caches),
    cacheBytes: sumOf(caches, layerCacheBytes),
    chunkTokens,
    generation,
    chunkBytes: architecture.layers.reduce((most, name) => {
      const block = architecture.blocks[name];
      return block === undefined ? most : Math.max(most, chunkBytes(block, architecture.hiddenSize, chunkTokens));
    }, 0),
    unpackedLayerBytes: Math.min(checkpoint.largestQuantizedMatrix, generation.unpackedValues) * HALF_BYTES,
    unpackedOutputBytes:
      packed && generation.unpacksOutput ? Math.min(outputValues, generation.unpackedValues) * HALF_BYTES : 0,
    unpackedCacheBytes:
      isQuantizedCache(typeK) || isQuantizedCache(typeV)
        ? plain.reduce((most, layer) => Math.max(most, tokenBytes(layer)), 0)
        : 0,
    logitsBytes: architecture.hasOutput ? sequences * architecture.vocabularySize * (HALF_BYTES + F32_BYTES) : 0,
  };
  const taken = scratchBytes(memory, true) + generation.processMib * MIB;
  const placement = fillLayers(
    {
      layers: checkpoint.layers.map((bytes, layer) => bytes + layerCacheBytes(caches[layer] ?? [])),
      output: outputBytes,
    },
    devices.map((device) => {
      const free = freeBytes(device);
      return free === null ? null : free - taken;
    }),
  );
  return { ...memory, placement };
}

/** EXL2 and GPTQ are ExLlamaV2's formats; EXL3 and unquantized weights run on ExLlamaV3. */
function usesFirstGeneration(scheme: QuantScheme): boolean {
  return scheme.kind === "uniform" || (scheme.kind === "average" && scheme.type === "exl2");
}

/** EXL files carry an output matrix of their own, packed in its own bits; other checkpoints' embedding is copied. */
function tiedOutputBytes(architecture: Architecture, checkpoint: LayerWeights, scheme: QuantScheme): number {
  if (checkpoint.tiedOutput === 0) {
    return 0;
  }
  return scheme.kind === "average"
    ? Math.ceil((architecture.vocabularySize * architecture.hiddenSize * scheme.outputBits) / BITS_PER_BYTE)
    : checkpoint.tiedOutput;
}

/** Bytes of a layer's entries that grow with tokens; state is never packed. */
function tokenBytes(layer: readonly LayerCache[]): number {
  return layerCacheBytes(layer.filter((cache) => cache.kind !== "RECURRENT"));
}

/**
 * The residual, the normed input and the module's results: gate, up and their product of a dense network (of the
 * experts a token uses), or queries, keys, values and their result (exllamav2, `mlp.py` and `attn.py`: scratch_space).
 */
function chunkBytes(block: Block, hiddenSize: number, tokens: number): number {
  const { attention, recurrent, feedForward, experts } = block;
  let values = 0;
  if (attention?.kind === "grouped") {
    const { heads, kvHeads, keyDim, valueDim } = attention;
    values = heads * (keyDim + valueDim) + kvHeads * (keyDim + valueDim);
  } else if (attention?.kind === "latent") {
    values = attention.heads * (2 * (attention.nopeDim + attention.ropeDim) + 2 * attention.valueDim);
  } else if (attention?.kind === "compressed") {
    values = 3 * attention.heads * attention.keyDim;
  }
  if (recurrent !== undefined && "valueHeads" in recurrent) {
    values = Math.max(values, 4 * recurrent.valueHeads * recurrent.valueDim);
  }
  if (feedForward !== undefined) {
    values = Math.max(values, (feedForward.gated ? 3 : 2) * feedForward.size);
  }
  if (experts !== undefined) {
    values = Math.max(values, experts.used * (3 * experts.size + (experts.latentSize ?? hiddenSize)));
  }
  return tokens * HALF_BYTES * (3 * hiddenSize + values);
}

type Scratch = Pick<
  ExllamaMemory,
  "chunkBytes" | "unpackedLayerBytes" | "unpackedOutputBytes" | "unpackedCacheBytes" | "generation" | "logitsBytes"
>;

/** One buffer serves whatever runs: a layer's chunk and its unpacked matrix, or the unpacked output matrix. */
function scratchBytes(memory: Scratch, hasOutput: boolean): number {
  const layer = memory.chunkBytes + memory.unpackedLayerBytes + memory.generation.attentionMib * MIB;
  const shared = Math.max(layer, hasOutput ? memory.unpackedOutputBytes : 0);
  return shared + memory.unpackedCacheBytes + (hasOutput ? memory.logitsBytes : 0);
}

function fillDevice(memory: ExllamaMemory, device: Device, index: number): DeviceMemory {
  const { checkpoint, caches, placement } = memory;
  const own = placement.layers.flatMap((place, layer) => (place === index ? [layer] : []));
  const hasOutput = placement.output === index;
  const weights = sumOf(own, (layer) => checkpoint.layers[layer] ?? 0) + (hasOutput ? memory.outputBytes : 0);
  const kvCache = sumOf(own, (layer) => layerCacheBytes(caches[layer] ?? []));
  const isUsed = own.length > 0 || hasOutput;
  const compute = isUsed ? scratchBytes(memory, hasOutput) : 0;
  const overhead = isUsed ? memory.generation.processMib * MIB : 0;
  const total = weights + kvCache + compute + overhead;
  return { index, device, weights, kvCache, compute, overhead, total, layers: own.length };
}

function listWarnings(
  request: EstimateRequest,
  constants: ExllamaConstants,
  memory: ExllamaMemory,
  devices: readonly DeviceMemory[],
): EstimateWarning[] {
  const tokens = request.contextTokens * request.sequences;
  const warnings = loadWarnings(request.scheme, "exllama");
  if (memory.cells !== tokens) {
    warnings.push({
      code: "CONTEXT_PADDED",
      message: `ExLlama's cache is a multiple of ${constants.cacheTokensMultiple} tokens: ${tokens} are rounded up.`,
    });
  }
  if (devices.some((device) => device.layers === 0)) {
    warnings.push({ code: "DEVICES_UNUSED", message: "Devices are filled in order, and the last ones get no layer." });
  }
  return warnings;
}
