import type { EstimateRequest, KvCacheLayerGroup } from "../estimate.types.js";
import { EstimateError } from "../estimate-error.js";
import { F16_CACHE } from "../kv-cache/cache-type.js";
import { type LayerCache, listLayerCaches } from "../kv-cache/layer-caches.js";
import { groupCaches, growthPerToken, layerCacheBytes } from "../kv-cache/summarize-cache.js";
import { type PreparedModel, prepareModel } from "../prepared-model.js";

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
  for (const name of ["contextTokens", "sequences"] as const) {
    if (!Number.isInteger(request[name]) || request[name] < 1 || request[name] > 2 ** 31) {
      throw new EstimateError(`${name} must be a whole number from 1 to ${2 ** 31}, not ${request[name]}.`, [name]);
    }
  }
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
