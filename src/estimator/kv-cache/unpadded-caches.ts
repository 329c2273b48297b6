import type { Architecture, Attention, Block, Window } from "../architecture/architecture.js";
import type { CacheType, KvCacheKind } from "../estimate.types.js";
import { F32_CACHE, requireRowBytes } from "./cache-type.js";
import { type LayerCache, recurrentStateValues } from "./layer-caches.js";

/**
 * How an engine keeps entries that stores them sequence by sequence, as long as it likes: no padding here, each
 * engine's rule gives the cells.
 */
interface UnpaddedRules {
  sequences: number;
  typeK: CacheType;
  typeV: CacheType;
  /** Entries of a layer that attends to everything, per sequence. */
  fullCells: number;
  /** Entries of a layer with a window, per sequence. */
  windowCells: (window: Window) => number;
  /**
   * What is kept of latent attention (MLA): the latent itself and the shared rotated key, or full keys and values of
   * every head.
   */
  latent: "LATENT" | "EXPANDED";
}

/**
 * The whole caches of every layer, in order, as Transformers, MLX LM and ExLlama allocate them; an empty list is a layer
 * without any. Sizes are bytes over all sequences. llama.cpp's padded ones are `listLayerCaches`; what one of several
 * devices of a serving engine keeps per token is `listDeviceEntries`.
 */
export function listUnpaddedCaches(architecture: Architecture, rules: UnpaddedRules): LayerCache[][] {
  const byBlock = new Map<string, LayerCache[]>();
  return architecture.layers.map((name) => {
    let caches = byBlock.get(name);
    if (caches === undefined) {
      const block = architecture.blocks[name];
      caches = block === undefined ? [] : blockEntries(block, architecture.hiddenSize, rules);
      byBlock.set(name, caches);
    }
    return caches;
  });
}

function blockEntries(block: Block, hiddenSize: number, rules: UnpaddedRules): LayerCache[] {
  const caches = block.attention === undefined ? [] : attentionEntries(block.attention, rules);
  if (block.recurrent !== undefined) {
    const { convolution, state } = recurrentStateValues(block.recurrent, hiddenSize);
    caches.push(
      entries("RECURRENT", 1, { ...rules, typeK: F32_CACHE, typeV: F32_CACHE }, [1, convolution], [1, state]),
    );
  }
  return caches;
}

/** Heads and values per head of one entry. */
type Row = readonly [heads: number, width: number];

const valuesOf = ([heads, width]: Row): number => heads * width;

function attentionEntries(attention: Attention, rules: UnpaddedRules): LayerCache[] {
  switch (attention.kind) {
    case "grouped": {
      if (attention.sharesCache) {
        return [{ kind: "SHARED", cells: 0, streams: 0, keyBytes: 0, valueBytes: 0, bytes: 0 }];
      }
      if (attention.uncached) {
        return [];
      }
      const { window, crossTokens, kvHeads } = attention;
      const kind = window === undefined ? "FULL" : window.kind === "chunked" ? "CHUNKED" : "SLIDING_WINDOW";
      const cells = crossTokens ?? (window === undefined ? rules.fullCells : rules.windowCells(window));
      const caches = [entries(kind, cells, rules, [kvHeads, attention.keyDim], [kvHeads, attention.valueDim])];
      if (attention.indexer !== undefined) {
        caches.push(entries("INDEXER", cells, rules, [1, attention.indexer.keyDim], null));
      }
      return caches;
    }
    case "latent": {
      const { heads, kvRank, ropeDim, nopeDim, valueDim, indexer } = attention;
      const caches =
        rules.latent === "EXPANDED" || attention.cachesExpanded
          ? [entries("FULL", rules.fullCells, rules, [heads, nopeDim + ropeDim], [heads, valueDim])]
          : [entries("LATENT", rules.fullCells, rules, [1, kvRank + ropeDim], null)];
      if (indexer !== undefined) {
        caches.push(entries("INDEXER", rules.fullCells, rules, [1, indexer.keyDim], null));
      }
      return caches;
    }
    case "compressed": {
      const { keyDim, compressRatio, indexer } = attention;
      const caches = [entries("SLIDING_WINDOW", rules.windowCells(attention.window), rules, [1, keyDim], null)];
      if (compressRatio > 0) {
        const cells = Math.ceil(rules.fullCells / compressRatio);
        caches.push(entries("COMPRESSED", cells, rules, [1, keyDim], null));
        if (indexer !== undefined) {
          caches.push(entries("INDEXER", cells, rules, [1, indexer.keyDim], null));
        }
      }
      return caches;
    }
  }
}

function entries(kind: KvCacheKind, cells: number, rules: UnpaddedRules, key: Row, value: Row | null): LayerCache {
  const keyBytes = cells * rules.sequences * requireRowBytes(rules.typeK, valuesOf(key), "cacheTypeK");
  const valueBytes =
    value === null ? 0 : cells * rules.sequences * requireRowBytes(rules.typeV, valuesOf(value), "cacheTypeV");
  return { kind, cells, streams: rules.sequences, keyBytes, valueBytes, bytes: keyBytes + valueBytes };
}
