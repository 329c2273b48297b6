import type { KvCacheKind, KvCacheLayerGroup } from "../estimate.types.js";
import type { LayerCache } from "./layer-caches.js";

/** Sums over layers, one row per kind of cache and number of cells, in the order first met. */
export function groupCaches(layers: readonly (readonly LayerCache[])[]): KvCacheLayerGroup[] {
  const groups = new Map<string, KvCacheLayerGroup>();
  for (const caches of layers) {
    const counted = new Set<KvCacheLayerGroup>();
    for (const cache of caches) {
      const entries = cache.cells * cache.streams;
      const key = `${cache.kind}:${entries}`;
      let group = groups.get(key);
      if (group === undefined) {
        group = { kind: cache.kind, layers: 0, cells: entries, bytes: 0 };
        groups.set(key, group);
      }
      if (!counted.has(group)) {
        group.layers += 1;
        counted.add(group);
      }
      group.bytes += cache.bytes;
    }
  }
  return [...groups.values()];
}

/** Bytes of all caches of one layer. */
export function layerCacheBytes(caches: readonly LayerCache[]): number {
  return caches.reduce((sum, cache) => sum + cache.bytes, 0);
}

/** Kinds whose size does not follow the context once it is longer than the window. */
const CONSTANT_KINDS: ReadonlySet<KvCacheKind> = new Set(["RECURRENT", "SHARED"]);

/**
 * Growth per further token of one sequence: bytes of one entry of every cache that is as long as the
 * context (or a fixed share of it, when compressed).
 */
export function growthPerToken(layers: readonly (readonly LayerCache[])[], contextCells: number): number {
  let bytes = 0;
  for (const caches of layers) {
    for (const cache of caches) {
      if (CONSTANT_KINDS.has(cache.kind) || cache.cells <= 1) {
        continue;
      }
      const follows = cache.kind === "COMPRESSED" || cache.kind === "INDEXER" || cache.cells >= contextCells;
      if (follows) {
        bytes += cache.bytes / (contextCells * cache.streams);
      }
    }
  }
  return bytes;
}
