import type { CalculationStep, DeviceMemory, EstimateRequest, KvCacheLayerGroup } from "../estimate.types.js";
import { EstimateError } from "../estimate-error.js";
import { F16_CACHE } from "../kv-cache/cache-type.js";
import { type LayerCache, listLayerCaches } from "../kv-cache/layer-caches.js";
import { groupCaches, growthPerToken, layerCacheBytes } from "../kv-cache/summarize-cache.js";
import { type PreparedModel, prepareModel } from "../prepared-model.js";
import { countText, sizeText } from "../size-text.js";
import { parametersStep, weightsStep } from "../steps.js";
import { type MemoryLayout, UNLIMITED_DEVICE } from "./memory-layout.js";
import { checkWorkload } from "./request-checks.js";

/** Weights, plain cache and a flat share of both: what most calculators do. All sizes are bytes. */
export interface RuleOfThumbMemory {
  model: PreparedModel;
  caches: LayerCache[][];
  cacheGroups: KvCacheLayerGroup[];
  cacheBytes: number;
  cacheBytesPerToken: number;
  overheadBytes: number;
}

/**
 * total = (1 + overhead) x (weights + cache), the cache without padding of windows to microbatches: every
 * sequence on its own, sliding-window layers as long as their window.
 *
 * @throws EstimateError for an overhead that is negative or not a number.
 */
export function estimateRuleOfThumb(request: EstimateRequest, overhead: number): RuleOfThumbMemory {
  if (!Number.isFinite(overhead) || overhead < 0) {
    throw new EstimateError(`The overhead must be a share of zero or more, not ${overhead}.`, ["runtime", "overhead"]);
  }
  checkWorkload(request);
  const typeK = request.cacheTypeK ?? F16_CACHE;
  const model = prepareModel(request.architecture, request.scheme);
  const caches = listLayerCaches(request.architecture, {
    contextTokens: request.contextTokens,
    sequences: request.sequences,
    unified: false,
    swaFull: false,
    ubatchTokens: 0,
    typeK,
    typeV: request.cacheTypeV ?? typeK,
  });
  const cacheBytes = caches.reduce((sum, layer) => sum + layerCacheBytes(layer), 0);
  return {
    model,
    caches,
    cacheGroups: groupCaches(caches),
    cacheBytes,
    cacheBytesPerToken: growthPerToken(caches, request.contextTokens),
    overheadBytes: Math.round(overhead * (model.weights.bytes + cacheBytes)),
  };
}

/**
 * The rule knows no devices: their memory is taken as one and shared evenly.
 *
 * @throws EstimateError for an overhead that is negative or not a number.
 */
export function layOutRuleOfThumb(request: EstimateRequest, overhead: number): MemoryLayout {
  const memory = estimateRuleOfThumb(request, overhead);
  const devices = request.devices ?? [UNLIMITED_DEVICE];
  const share = devices.length === 0 ? 0 : 1 / devices.length;
  const layers = request.architecture.layers.length;
  const deviceMemory = devices.map((device, index): DeviceMemory => {
    const weights = memory.model.weights.bytes * share;
    const kvCache = memory.cacheBytes * share;
    const overheadBytes = memory.overheadBytes * share;
    return {
      index,
      device,
      weights,
      kvCache,
      compute: 0,
      overhead: overheadBytes,
      total: weights + kvCache + overheadBytes,
      layers: Math.floor(((index + 1) * layers) / devices.length) - Math.floor((index * layers) / devices.length),
    };
  });
  return {
    weights: memory.model.weights,
    cacheBytes: memory.cacheBytes,
    cacheBytesPerToken: memory.cacheBytesPerToken,
    cacheGroups: memory.cacheGroups,
    devices: deviceMemory,
    host: { weights: 0, kvCache: 0, compute: 0 },
    pool: null,
    steps: () => explainRuleOfThumb(request, memory, overhead),
    warnings: () => [],
  };
}

function explainRuleOfThumb(request: EstimateRequest, memory: RuleOfThumbMemory, overhead: number): CalculationStep[] {
  const weights = memory.model.weights.bytes;
  return [
    parametersStep(memory.model.weights),
    weightsStep(memory.model.weights),
    {
      title: "KV cache",
      formula: `${countText(request.contextTokens)} tokens x ${request.sequences} sequences x ${memory.cacheBytesPerToken.toFixed(0)} bytes per token, windows and state apart`,
      result: `${countText(memory.cacheBytes)} bytes = ${sizeText(memory.cacheBytes)}`,
      source: "Values kept per token and layer, each stored in the cache's type",
    },
    {
      title: "Total",
      formula: `(1 + ${overhead}) x (${sizeText(weights)} + ${sizeText(memory.cacheBytes)})`,
      result: sizeText(weights + memory.cacheBytes + memory.overheadBytes),
      source: "A flat share on top, as most calculators do; for comparison only",
    },
  ];
}
