import type { Architecture, Block, CompressedAttention, Indexer } from "../../architecture/architecture.js";
import type { CacheType, KvCacheKind } from "../../estimate.types.js";
import { requireRowBytes } from "../../kv-cache/cache-type.js";
import { recurrentStateValues } from "../../kv-cache/layer-caches.js";
import { keyValueHeads } from "./sharded-weights.js";

/**
 * What one layer keeps on one device for its sequences, per token or per sequence: pools are made of these, whatever
 * the context. The sizes of whole caches are `listUnpaddedCaches`.
 */
export type DeviceEntry =
  /** `bytesPerToken` for every token, or for those of the window or chunk. */
  | { kind: KvCacheKind; layer: number; bytesPerToken: number; window?: { kind: "sliding" | "chunked"; size: number } }
  /** One entry of the width per `ratio` tokens. */
  | { kind: "COMPRESSED" | "INDEXER"; layer: number; entryBytes: number; ratio: number }
  /** Running state of a compressor over its window, in single precision. */
  | {
      kind: "COMPRESSED" | "INDEXER";
      layer: number;
      compressorBytesPerToken: number;
      ratio: number;
      windowTokens: number;
    }
  /** One state per sequence. */
  | { kind: "RECURRENT"; layer: number; stateBytes: number };

interface EntrySettings {
  /** Devices that share the attention heads. */
  attentionDevices: number;
  typeK: CacheType;
  typeV: CacheType;
  /** Bytes of a value of the recurrent state proper; convolutions keep 16 bits. */
  recurrentStateBytes: number;
  /** Every layer of a model with indexers keeps index keys, also those that reuse another layer's selection. */
  indexKeysInEveryLayer: boolean;
}

const CONVOLUTION_BYTES = 2;
/** State of delta attention and lightning attention is single precision in every version. */
const SINGLE_BYTES = 4;
/** Index keys are 8-bit floats with one single-precision scale per so many (vLLM and SGLang, DeepSeek-V3.2). */
const INDEX_SCALE_VALUES = 128;

/** Entries of every layer of the model on one device, in order. Prediction blocks are not loaded and cache nothing. */
export function listDeviceEntries(architecture: Architecture, settings: EntrySettings): DeviceEntry[] {
  const shared = settings.indexKeysInEveryLayer ? anyIndexer(architecture) : undefined;
  return architecture.layers.flatMap((name, layer) => {
    const block = architecture.blocks[name];
    return block === undefined ? [] : blockEntries(block, layer, architecture.hiddenSize, settings, shared);
  });
}

function anyIndexer(architecture: Architecture): Indexer | undefined {
  for (const { attention } of Object.values(architecture.blocks)) {
    if (attention?.kind === "latent" && attention.indexer !== undefined) {
      return attention.indexer;
    }
  }
  return undefined;
}

function blockEntries(
  { attention, recurrent }: Block,
  layer: number,
  hiddenSize: number,
  settings: EntrySettings,
  sharedIndexer: Indexer | undefined,
): DeviceEntry[] {
  const entries: DeviceEntry[] = [];
  const { typeK, typeV, attentionDevices } = settings;
  if (
    attention?.kind === "grouped" &&
    !attention.sharesCache &&
    !attention.uncached &&
    attention.crossTokens === undefined
  ) {
    const heads = keyValueHeads(attention.kvHeads, attentionDevices);
    const bytesPerToken =
      heads *
      (requireRowBytes(typeK, attention.keyDim, "cacheTypeK") +
        requireRowBytes(typeV, attention.valueDim, "cacheTypeV"));
    const { window } = attention;
    entries.push(
      window === undefined
        ? { kind: "FULL", layer, bytesPerToken }
        : { kind: window.kind === "sliding" ? "SLIDING_WINDOW" : "CHUNKED", layer, bytesPerToken, window },
    );
    if (attention.indexer !== undefined) {
      entries.push({ kind: "INDEXER", layer, bytesPerToken: indexKeyBytes(attention.indexer) });
    }
  } else if (attention?.kind === "latent") {
    // One latent serves all heads: every tensor-parallel device keeps the whole of it.
    entries.push({
      kind: "LATENT",
      layer,
      bytesPerToken: requireRowBytes(typeK, attention.kvRank + attention.ropeDim, "cacheTypeK"),
    });
    const indexer = attention.indexer ?? sharedIndexer;
    if (indexer !== undefined) {
      entries.push({ kind: "INDEXER", layer, bytesPerToken: indexKeyBytes(indexer) });
    }
  } else if (attention?.kind === "compressed") {
    entries.push(...compressedEntries(attention, layer, typeK));
  }
  if (recurrent !== undefined) {
    const { convolution, state } = recurrentStateValues(recurrent, hiddenSize);
    const isSingle = recurrent.kind === "kimi-delta-attention" || recurrent.kind === "lightning";
    const stateBytes = isSingle ? SINGLE_BYTES : settings.recurrentStateBytes;
    entries.push({
      kind: "RECURRENT",
      layer,
      stateBytes: Math.ceil((convolution * CONVOLUTION_BYTES + state * stateBytes) / attentionDevices),
    });
  }
  return entries;
}

const indexKeyBytes = ({ keyDim }: Indexer): number => keyDim + Math.ceil(keyDim / INDEX_SCALE_VALUES) * SINGLE_BYTES;

/** Bytes of the scales beside an 8-bit latent of DeepSeek-V4, whose rotated part keeps 16 bits. */
const LATENT_SCALE_BYTES = 8;
const ROTATED_BYTES = 2;

/**
 * DeepSeek-V4: window, compressed entries, index keys, and the compressors' running states (vLLM,
 * models/deepseek_v4: compressor and its cache groups).
 */
function compressedEntries(attention: CompressedAttention, layer: number, typeK: CacheType): DeviceEntry[] {
  const { keyDim, ropeDim, compressRatio: ratio, indexer, window } = attention;
  const isNarrow = typeK.blockBytes < 2 * typeK.blockElements;
  const entryBytes = isNarrow
    ? keyDim - ropeDim + ropeDim * ROTATED_BYTES + LATENT_SCALE_BYTES
    : requireRowBytes(typeK, keyDim, "cacheTypeK");
  const entries: DeviceEntry[] = [{ kind: "SLIDING_WINDOW", layer, bytesPerToken: entryBytes, window }];
  if (ratio === 0) {
    return entries;
  }
  const overlap = indexer === undefined ? 1 : 2;
  const state = (width: number): number => 2 * overlap * width * SINGLE_BYTES;
  entries.push(
    { kind: "COMPRESSED", layer, entryBytes, ratio },
    { kind: "COMPRESSED", layer, compressorBytesPerToken: state(keyDim), ratio, windowTokens: ratio * overlap },
  );
  if (indexer !== undefined) {
    entries.push(
      { kind: "INDEXER", layer, entryBytes: indexKeyBytes(indexer), ratio },
      { kind: "INDEXER", layer, compressorBytesPerToken: state(indexer.keyDim), ratio, windowTokens: ratio * overlap },
    );
  }
  return entries;
}
