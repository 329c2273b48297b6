import type { CacheType, Device, EstimateRequest, LlamaCppSettings } from "../../estimate.types.js";
import { EstimateError } from "../../estimate-error.js";
import { F16_CACHE, isQuantizedCache } from "../../kv-cache/cache-type.js";
import { fullCells } from "../../kv-cache/cell-counts.js";
import { type CacheSettings, widestValues } from "../../kv-cache/layer-caches.js";
import { graphHabits } from "./graph-habits.js";

/** Sequences llama.cpp can hold at once (`llama-cparams.h`, LLAMA_MAX_SEQ). */
export const MAX_SEQUENCES = 256;
/** Largest count llama.cpp's 32-bit token counters are used for here. */
const MAX_TOKENS = 2 ** 31;

/** Memory is handed out in pages of this many bytes. */
const PAGE_BYTES = 4096;

/**
 * Free bytes that stand for those of each of several equal devices. llama.cpp sums free bytes in single precision
 * (llama-model.cpp, load_tensors), so that a layer that falls exactly between two devices goes where rounding puts
 * it, and the free bytes of a real device are not known beforehand to the page. These, three pages less than
 * 32 GiB, take 23 of single precision's 24 digits, as counts of pages of that size do, and round as observed
 * (July 2026 build): sums of two and four are exact, that of three is rounded up, so that a layer at one half of
 * two or four devices goes to the next, one at three quarters of four or at one half of six stays.
 */
const EQUAL_FREE_BYTES = 2 ** 35 - 3 * PAGE_BYTES;

/** llama.cpp's settings after its own adjustments. */
export interface RunSettings {
  cache: CacheSettings;
  typeK: CacheType;
  typeV: CacheType;
  flashAttention: boolean;
  sequences: number;
  /** Tokens of the largest microbatch: what the compute buffers are sized for. */
  tokens: number;
  /** Logit rows of that microbatch. */
  outputRows: number;
  /** Cells of all sequences together. */
  contextCells: number;
  kvOffload: boolean;
  kvUnified: boolean;
  gpuLayers: number | undefined;
  cpuMoeLayers: number;
  splitMode: LlamaCppSettings["splitMode"];
}

/**
 * Applies llama.cpp's limits: the batch is at most the context, the microbatch at most the batch, and a
 * microbatch is a whole number of sequences (llama-context.cpp).
 *
 * @throws EstimateError for what llama.cpp refuses.
 */
export function runSettings(request: Omit<EstimateRequest, "scheme">, settings: LlamaCppSettings): RunSettings {
  const typeK = request.cacheTypeK ?? F16_CACHE;
  const typeV = request.cacheTypeV ?? typeK;
  checkSettings(request, settings);
  if (isQuantizedCache(typeV) && !settings.flashAttention) {
    throw new EstimateError(
      `llama.cpp keeps values in a quantized type (${typeV.slug}) only with flash attention: turn it on, or choose f16.`,
      ["cacheTypeV"],
      "CACHE_TYPE_NEEDS_FLASH_ATTENTION",
    );
  }
  const { sequences } = request;
  const asked = request.contextTokens * sequences;
  const ubatch = Math.min(asked, settings.batchSize, settings.ubatchSize);
  const cache: CacheSettings = {
    contextTokens: request.contextTokens,
    sequences,
    unified: settings.kvUnified,
    swaFull: settings.swaFull,
    ubatchTokens: ubatch,
    typeK,
    typeV,
    ...(graphHabits(request.architecture).skipsIndexer ? { skipsIndexer: true } : {}),
    ...(settings.flashAttention ? {} : { valueWidth: widestValues(request.architecture) }),
  };
  const cells = fullCells(cache);
  const tokens = Math.ceil(ubatch / sequences) * sequences;
  return {
    cache,
    typeK,
    typeV,
    flashAttention: settings.flashAttention,
    sequences,
    tokens,
    // Logits are counted before the microbatch is filled up to whole sequences.
    outputRows: Math.min(settings.outputRows ?? sequences, ubatch),
    contextCells: cells.cells * cells.streams,
    kvOffload: settings.kvOffload ?? true,
    kvUnified: settings.kvUnified,
    gpuLayers: settings.gpuLayers,
    cpuMoeLayers: settings.cpuMoeLayers,
    splitMode: settings.splitMode,
  };
}

/** @throws EstimateError for a model that llama.cpp has no architecture for: nothing is guessed of what it would do. */
export function assertLoadable({ architecture }: Pick<EstimateRequest, "architecture">): void {
  if (architecture.ggufArchitecture !== null) {
    return;
  }
  throw new EstimateError(
    `llama.cpp does not load ${architecture.modelType} models: no GGUF architecture is known for them. Ask for another runtime.`,
    ["runtime"],
    "ARCHITECTURE_NOT_SUPPORTED",
  );
}

function checkSettings(request: Omit<EstimateRequest, "scheme">, settings: LlamaCppSettings): void {
  requireWhole(request.contextTokens, 1, MAX_TOKENS, "The context", ["contextTokens"]);
  requireWhole(request.sequences, 1, MAX_SEQUENCES, "The number of sequences", ["sequences"]);
  requireWhole(settings.ubatchSize, 1, MAX_TOKENS, "The microbatch", ["runtime", "settings", "ubatchSize"]);
  requireWhole(settings.batchSize, 1, MAX_TOKENS, "The batch", ["runtime", "settings", "batchSize"]);
  requireWhole(settings.cpuMoeLayers, 0, MAX_TOKENS, "cpuMoeLayers", ["runtime", "settings", "cpuMoeLayers"]);
  if (settings.outputRows !== undefined) {
    requireWhole(settings.outputRows, 1, MAX_TOKENS, "outputRows", ["runtime", "settings", "outputRows"]);
  }
  if (settings.gpuLayers !== undefined) {
    requireWhole(settings.gpuLayers, 0, MAX_TOKENS, "gpuLayers", ["runtime", "settings", "gpuLayers"]);
  }
}

function requireWhole(value: number, least: number, most: number, what: string, path: string[]): void {
  if (!Number.isInteger(value) || value < least || value > most) {
    throw new EstimateError(`${what} must be a whole number from ${least} to ${most}, not ${value}.`, path);
  }
}

/**
 * Each device's share of the layers: as told, else in proportion to its free memory, else equal
 * (llama.cpp, `llama-model.cpp`: the default split is by free memory, read once the device is in use).
 */
export function deviceShares(devices: readonly Device[], settings: LlamaCppSettings): number[] {
  const { tensorSplit } = settings;
  if (settings.splitMode === "NONE") {
    return devices.map((_, index) => (index === 0 ? 1 : 0));
  }
  if (settings.splitMode === "ROW") {
    throw new EstimateError(
      "Splitting matrices by rows is deprecated in llama.cpp (docs/multi-gpu.md), whose own fitting leaves it out too: use the split by layers.",
      ["runtime", "settings", "splitMode"],
      "SPLIT_NOT_SUPPORTED",
    );
  }
  if (tensorSplit !== undefined) {
    checkTensorSplit(tensorSplit, devices.length);
    return [...tensorSplit];
  }
  const free = devices.map(freeBytes);
  const equal = free.some((bytes) => !Number.isFinite(bytes) || bytes <= 0) || free.every((bytes) => bytes === free[0]);
  return equal ? devices.map(() => EQUAL_FREE_BYTES) : free;
}

function checkTensorSplit(shares: readonly number[], deviceCount: number): void {
  const told = `the split was ${shares.length === 0 ? "empty" : shares.join(", ")}`;
  const problem =
    shares.length !== deviceCount
      ? `one share for each device: ${told} for ${deviceCount} ${deviceCount === 1 ? "device" : "devices"}`
      : shares.some((share) => !Number.isFinite(share) || share < 0)
        ? `no share below zero: ${told}`
        : shares.every((share) => share === 0)
          ? `a share above zero: ${told}`
          : null;
  if (problem !== null) {
    throw new EstimateError(`The tensor split must have ${problem}.`, ["runtime", "settings", "tensorSplit"]);
  }
}

/** What a process can still allocate on a device once the driver's context is there. */
function freeBytes(device: Device): number {
  return device.capacityBytes === null ? Number.POSITIVE_INFINITY : device.capacityBytes - (device.reserveBytes ?? 0);
}
