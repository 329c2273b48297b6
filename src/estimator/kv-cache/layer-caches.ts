import type {
  Architecture,
  Attention,
  Block,
  CompressedAttention,
  GroupedAttention,
  Recurrent,
} from "../architecture/architecture.js";
import type { CacheType, KvCacheKind } from "../estimate.types.js";
import { EstimateError } from "../estimate-error.js";
import { cacheRowBytes, F32_CACHE } from "./cache-type.js";
import { type CellCount, type CellSettings, fullCells, padCells, streamedCells, windowCells } from "./cell-counts.js";

/** How and for how many tokens keys and values are kept. */
export interface CacheSettings extends CellSettings {
  typeK: CacheType;
  typeV: CacheType;
  /**
   * Values are kept transposed (llama.cpp without flash attention), which takes one width for all layers: the
   * widest. Absent where each layer keeps its own width.
   */
  valueWidth?: number;
  /** The runtime does not use the latent layers' indexers and keeps no keys for them. */
  skipsIndexer?: boolean;
}

/** One cache buffer of one layer. All sizes are bytes over all streams. */
export interface LayerCache {
  kind: KvCacheKind;
  /** Cells of one stream; recurrent state has one per sequence. */
  cells: number;
  streams: number;
  keyBytes: number;
  valueBytes: number;
  bytes: number;
}

/**
 * The caches of every layer that llama.cpp allocates cache for, in order: the layers, then the
 * prediction (MTP) blocks where it caches them. An empty list is a layer without any.
 */
export function listLayerCaches(architecture: Architecture, settings: CacheSettings): LayerCache[][] {
  const byBlock = new Map<string, LayerCache[]>();
  return cachedBlockNames(architecture).map((name) => {
    let caches = byBlock.get(name);
    if (caches === undefined) {
      const block = architecture.blocks[name];
      caches = block === undefined ? [] : blockCaches(block, architecture.hiddenSize, settings);
      byBlock.set(name, caches);
    }
    return caches;
  });
}

function cachedBlockNames(architecture: Architecture): string[] {
  const prediction = architecture.nextTokenPrediction;
  return prediction?.inGguf && prediction.cachedByLlamaCpp
    ? [...architecture.layers, ...prediction.layers]
    : architecture.layers;
}

/** The caches of one layer of this kind. */
export function blockCaches(block: Block, hiddenSize: number, settings: CacheSettings): LayerCache[] {
  const caches: LayerCache[] = [];
  if (block.attention !== undefined) {
    caches.push(...attentionCaches(block.attention, settings));
  }
  if (block.recurrent !== undefined) {
    caches.push(recurrentCache(block.recurrent, hiddenSize, settings));
  }
  return caches;
}

function attentionCaches(attention: Attention, settings: CacheSettings): LayerCache[] {
  switch (attention.kind) {
    case "grouped": {
      if (attention.sharesCache) {
        return [{ kind: "SHARED", cells: 0, streams: 0, keyBytes: 0, valueBytes: 0, bytes: 0 }];
      }
      if (attention.uncached) {
        return [];
      }
      const count = groupedCells(attention, settings);
      const caches = [
        tokenCache(
          attention.window === undefined ? "FULL" : attention.window.kind === "chunked" ? "CHUNKED" : "SLIDING_WINDOW",
          count,
          { heads: attention.kvHeads, width: attention.keyDim },
          settings.valueWidth === undefined
            ? { heads: attention.kvHeads, width: attention.valueDim }
            : { heads: 1, width: settings.valueWidth },
          settings,
        ),
      ];
      if (attention.indexer !== undefined) {
        // Index keys beside a grouped cache are kept in single precision (llama.cpp, models/minimax-m3.cpp).
        const key = { heads: 1, width: attention.indexer.keyDim };
        caches.push(tokenCache("INDEXER", count, key, null, { ...settings, typeK: F32_CACHE }));
      }
      return caches;
    }
    case "latent": {
      const count = fullCells(settings);
      if (attention.cachesExpanded) {
        const key = { heads: attention.heads, width: attention.nopeDim + attention.ropeDim };
        return [tokenCache("FULL", count, key, { heads: attention.heads, width: attention.valueDim }, settings)];
      }
      const latent = { heads: 1, width: attention.kvRank + attention.ropeDim };
      const caches = [tokenCache("LATENT", count, latent, null, settings)];
      if (attention.indexer !== undefined && !settings.skipsIndexer) {
        const key = { heads: 1, width: attention.indexer.keyDim };
        caches.push(tokenCache("INDEXER", count, key, null, settings));
      }
      return caches;
    }
    case "compressed":
      return compressedCaches(attention, settings);
  }
}

function groupedCells(attention: GroupedAttention, settings: CacheSettings): CellCount {
  if (attention.crossTokens !== undefined) {
    return { cells: attention.crossTokens, streams: settings.sequences };
  }
  return attention.window === undefined ? fullCells(settings) : windowCells(attention.window.size, settings);
}

/** Values of one token in the widest layer that caches keys and values by head (llama.cpp, n_embd_v_gqa_max). */
export function widestValues(architecture: Architecture): number {
  let widest = 0;
  for (const name of cachedBlockNames(architecture)) {
    const attention = architecture.blocks[name]?.attention;
    if (attention?.kind === "grouped") {
      widest = Math.max(widest, attention.kvHeads * attention.valueDim);
    } else if (attention?.kind === "latent" && attention.cachesExpanded) {
      widest = Math.max(widest, attention.heads * attention.valueDim);
    }
  }
  return widest;
}

/**
 * DeepSeek-V4: a window of latents in every layer; one latent per `compressRatio` tokens; index keys
 * at the same ratio; and the compressor's running state (llama.cpp, `llama-kv-cache-dsv4.cpp`).
 */
function compressedCaches(attention: CompressedAttention, settings: CacheSettings): LayerCache[] {
  const full = streamedCells(settings);
  const windowed = windowCells(attention.window.size, { ...settings, unified: false, contextTokens: full.cells });
  const latent = { heads: 1, width: attention.keyDim };
  const caches = [tokenCache("SLIDING_WINDOW", { ...windowed, streams: full.streams }, latent, null, settings)];
  const ratio = attention.compressRatio;
  if (ratio === 0) {
    return caches;
  }
  const compressed = { cells: padCells(Math.ceil(full.cells / ratio)), streams: full.streams };
  caches.push(tokenCache("COMPRESSED", compressed, latent, null, settings));
  // With an indexer the compression windows overlap: twice the rows, each twice as wide.
  const overlap = attention.indexer === undefined ? 1 : 2;
  caches.push(stateCache("COMPRESSED", compressorStateValues(ratio, attention.keyDim, overlap), settings.sequences));
  if (attention.indexer !== undefined) {
    const key = { heads: 1, width: attention.indexer.keyDim };
    caches.push(tokenCache("INDEXER", compressed, key, null, settings));
    caches.push(
      stateCache("INDEXER", compressorStateValues(ratio, attention.indexer.keyDim, overlap), settings.sequences),
    );
  }
  return caches;
}

/** Values a compressor keeps per sequence: entry and score for every row of its (overlapping) windows. */
function compressorStateValues(ratio: number, width: number, overlap: number): number {
  const entryAndScore = 2;
  return entryAndScore * (ratio * overlap) * (width * overlap);
}

/**
 * Recurrent state in single precision, one cell per sequence whatever the context: the convolution's
 * last inputs and the state proper (llama.cpp, `llama-hparams.cpp`, n_embd_r and n_embd_s).
 */
function recurrentCache(recurrent: Recurrent, hiddenSize: number, settings: CacheSettings): LayerCache {
  const { convolution, state } = recurrentStateValues(recurrent, hiddenSize);
  const rBytes = cacheRowBytes(F32_CACHE, convolution) * settings.sequences;
  const sBytes = cacheRowBytes(F32_CACHE, state) * settings.sequences;
  return {
    kind: "RECURRENT",
    cells: 1,
    streams: settings.sequences,
    keyBytes: rBytes,
    valueBytes: sBytes,
    bytes: rBytes + sBytes,
  };
}

/** Values of recurrent state per sequence and layer. */
export function recurrentStateValues(recurrent: Recurrent, hiddenSize: number): { convolution: number; state: number } {
  switch (recurrent.kind) {
    case "gated-delta-net": {
      const inner = recurrent.valueHeads * recurrent.valueDim;
      const channels = inner + 2 * recurrent.keyHeads * recurrent.keyDim;
      return { convolution: (recurrent.convKernel - 1) * channels, state: recurrent.keyDim * inner };
    }
    case "kimi-delta-attention": {
      const inner = recurrent.heads * recurrent.headDim;
      // Queries, keys and values each have a convolution.
      return { convolution: 3 * (recurrent.convKernel - 1) * inner, state: recurrent.headDim * inner };
    }
    case "mamba1":
      return {
        convolution: (recurrent.convKernel - 1) * recurrent.innerSize,
        state: recurrent.stateSize * recurrent.innerSize,
      };
    case "mamba2": {
      const channels = recurrent.innerSize + 2 * recurrent.groups * recurrent.stateSize;
      return {
        convolution: (recurrent.convKernel - 1) * channels,
        state: recurrent.stateSize * recurrent.innerSize,
      };
    }
    case "short-convolution":
      return { convolution: (recurrent.convKernel - 1) * hiddenSize, state: 0 };
    case "lightning":
      return { convolution: 0, state: recurrent.heads * recurrent.headDim * recurrent.headDim };
  }
}

interface RowShape {
  heads: number;
  width: number;
}

function tokenCache(
  kind: KvCacheKind,
  count: CellCount,
  key: RowShape,
  value: RowShape | null,
  settings: CacheSettings,
): LayerCache {
  const rows = count.cells * count.streams;
  const keyBytes = rows * rowBytes(settings.typeK, key, "cacheTypeK");
  const valueBytes = value === null ? 0 : rows * rowBytes(settings.typeV, value, "cacheTypeV");
  return { kind, cells: count.cells, streams: count.streams, keyBytes, valueBytes, bytes: keyBytes + valueBytes };
}

function rowBytes(type: CacheType, row: RowShape, setting: "cacheTypeK" | "cacheTypeV"): number {
  if (row.width % type.blockElements !== 0) {
    throw new EstimateError(
      `The cache type ${type.slug} stores blocks of ${type.blockElements} values, which do not divide this model's head of ${row.width}.`,
      [setting],
      "CACHE_TYPE_NOT_SUPPORTED",
    );
  }
  return cacheRowBytes(type, row.heads * row.width);
}

function stateCache(kind: KvCacheKind, values: number, sequences: number): LayerCache {
  const bytes = cacheRowBytes(F32_CACHE, values) * sequences;
  return { kind, cells: 1, streams: sequences, keyBytes: bytes, valueBytes: 0, bytes };
}
