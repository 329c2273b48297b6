import type { KvCacheTypeRow } from "../../data/rows.js";
import type { CacheType } from "../../estimator/estimate.types.js";

/** A KV-cache type as the estimator sees it. */
export function describeCacheType({ slug, blockElements, blockBytes }: KvCacheTypeRow): CacheType {
  return { slug, blockElements, blockBytes };
}
