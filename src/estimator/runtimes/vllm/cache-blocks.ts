import type { KvCacheKind } from "../../estimate.types.js";
import type { DeviceEntry } from "../serving/device-entries.js";

/** What decides how vLLM cuts its cache into blocks. */
interface BlockSettings {
  /** Tokens of a block unless a page has to be larger. */
  blockTokens: number;
  /** Sliding and chunked layers give back blocks outside their window; without, they keep the whole context. */
  windowGroups: boolean;
  /** Blocks that a sequence holds of each group of recurrent layers. */
  recurrentBlocks: number;
  /** Layers of the largest kind over those of the smallest up to which groups take the larger size. */
  groupStretch: number;
  /** Tokens of one scheduler step: windows keep as many beside themselves. */
  batchTokens: number;
}

/** Layers that share one table of blocks: a block holds `blockTokens` of a sequence in each of its layers. */
export interface BlockGroup {
  kind: KvCacheKind;
  layers: number[];
  blockTokens: number;
  /** Bytes of one block in one layer; the average where widths differ. */
  pageBytes: number;
  /** What the group's bytes are for, in shares of 1. */
  parts: { kind: KvCacheKind; layers: number; share: number }[];
  /** Blocks that one sequence of `contextTokens` takes. */
  blocksFor: (contextTokens: number) => number;
  /** True where they grow with the context. */
  followsContext: boolean;
}

/** The groups of a model. All blocks have one size: any group can take any block of the pool. */
export interface BlockPlan {
  groups: BlockGroup[];
  /** Bytes of one block on a device that has the layers from `first` up to, not including, `end`. */
  blockBytes: (first: number, end: number) => number;
  /** False where pages had to be padded in a way that is not known from the engine itself. */
  isCertain: boolean;
}

/**
 * How vLLM groups the layers of a model and how large a block is.
 *
 * Layers with equal entries make one group; layers that differ in width only, too. Models that mix kinds get groups of
 * equal numbers of layers with pages of equal size: attention blocks grow until a page holds a recurrent state, smaller
 * pages take more tokens.
 *
 * Sources: vLLM, v1/core/kv_cache_utils.py (get_kv_cache_groups, unify_kv_cache_spec_page_size,
 * _get_kv_cache_groups_uniform_page_size), v1/kv_cache_interface.py (max_memory_usage_bytes), platforms/interface.py
 * (attention block size of hybrid models); issue 51163 for DeepSeek-V4.
 */
export function planBlocks(entries: readonly DeviceEntry[], settings: BlockSettings): BlockPlan {
  if (entries.some((entry) => "entryBytes" in entry || "compressorBytesPerToken" in entry)) {
    return planCompressed(entries, settings);
  }
  const kinds = collectKinds(entries, settings);
  if (kinds.length === 0) {
    return { groups: [], blockBytes: () => 0, isCertain: true };
  }
  const [first] = kinds;
  const areAlike = kinds.every((kind) => kind.follows === first?.follows && kind.windowKey === first.windowKey);
  if (areAlike) {
    return planUniform(kinds);
  }
  return planHybrid(kinds, settings);
}

/** Layers whose entries are equal. */
interface EntryKind {
  kind: KvCacheKind;
  layers: number[];
  blockTokens: number;
  pageBytes: number;
  follows: "context" | "window" | "sequence";
  /** Equal for kinds that need the same blocks at every context. */
  windowKey: string;
  blocksOf: (blockTokens: number) => (contextTokens: number) => number;
}

function collectKinds(entries: readonly DeviceEntry[], settings: BlockSettings): EntryKind[] {
  const kinds = new Map<string, EntryKind>();
  for (const entry of entries) {
    const described = describeEntry(entry, settings);
    if (described === null) {
      continue;
    }
    const key = `${described.kind === "INDEXER"}:${described.windowKey}:${described.pageBytes}`;
    const known = kinds.get(key);
    if (known === undefined) {
      kinds.set(key, { ...described, layers: [entry.layer] });
    } else {
      known.layers.push(entry.layer);
    }
  }
  return [...kinds.values()];
}

function describeEntry(entry: DeviceEntry, settings: BlockSettings): Omit<EntryKind, "layers"> | null {
  const { blockTokens, batchTokens } = settings;
  if ("stateBytes" in entry) {
    return {
      kind: entry.kind,
      blockTokens: Number.POSITIVE_INFINITY,
      pageBytes: entry.stateBytes,
      follows: "sequence",
      windowKey: "sequence",
      blocksOf: () => () => settings.recurrentBlocks,
    };
  }
  if (!("bytesPerToken" in entry)) {
    return null;
  }
  const pageBytes = entry.bytesPerToken * blockTokens;
  const { window } = entry;
  if (window === undefined || !settings.windowGroups) {
    return {
      kind: entry.kind,
      blockTokens,
      pageBytes,
      follows: "context",
      windowKey: "context",
      blocksOf: (tokens) => (context) => Math.ceil(context / tokens),
    };
  }
  // A window may start in the middle of a block: one more.
  const [kept, more] = window.kind === "sliding" ? [window.size - 1, 1] : [window.size, 0];
  return {
    kind: entry.kind,
    blockTokens,
    pageBytes,
    follows: "window",
    windowKey: `${window.kind}:${window.size}`,
    blocksOf: (tokens) => (context) => Math.ceil(Math.min(kept + batchTokens, context) / tokens) + more,
  };
}

/** One group: every layer needs the same blocks, whatever the width of its entries. */
function planUniform(kinds: readonly EntryKind[]): BlockPlan {
  const [first] = kinds;
  const bytes = kinds.reduce((sum, { layers, pageBytes }) => sum + layers.length * pageBytes, 0);
  const layers = kinds.flatMap((kind) => kind.layers);
  const groups: BlockGroup[] =
    first === undefined
      ? []
      : [
          {
            kind: first.kind,
            layers,
            blockTokens: first.blockTokens,
            pageBytes: bytes / layers.length,
            parts: kinds.map((kind) => ({
              kind: kind.kind,
              layers: kind.layers.length,
              share: (kind.layers.length * kind.pageBytes) / bytes,
            })),
            blocksFor: first.blocksOf(first.blockTokens),
            followsContext: first.follows === "context",
          },
        ];
  return {
    groups,
    blockBytes: (start, end) =>
      kinds.reduce((sum, kind) => sum + countBetween(kind.layers, start, end) * kind.pageBytes, 0),
    isCertain: true,
  };
}

function planHybrid(kinds: readonly EntryKind[], settings: BlockSettings): BlockPlan {
  const { unified, pageBytes, isCertain } = unifyPages(kinds, settings.blockTokens);
  const groupSize = sizeOfGroups(unified, settings.groupStretch);
  const groups = unified.flatMap((kind) => {
    const count = Math.ceil(kind.layers.length / groupSize);
    return Array.from({ length: count }, (_, index): BlockGroup => {
      const layers = kind.layers.filter((__, position) => position % count === index);
      return {
        kind: kind.kind,
        layers,
        blockTokens: kind.blockTokens,
        pageBytes,
        parts: [{ kind: kind.kind, layers: layers.length, share: 1 }],
        blocksFor: kind.blocksOf(kind.blockTokens),
        followsContext: kind.follows === "context",
      };
    });
  });
  return {
    groups,
    blockBytes: (first, end) =>
      pageBytes * groups.reduce((most, { layers }) => Math.max(most, countBetween(layers, first, end)), 0),
    isCertain,
  };
}

/** As many layers as the smallest kind has; as the largest, where that is not much more. */
function sizeOfGroups(kinds: readonly EntryKind[], stretch: number): number {
  const counts = kinds.map(({ layers }) => layers.length);
  const least = Math.min(...counts);
  const most = Math.max(...counts);
  return most < least * stretch ? most : least;
}

/** Brings all pages to the size of the largest: by more tokens in a block, recurrent states by padding. */
function unifyPages(
  kinds: readonly EntryKind[],
  blockTokens: number,
): { unified: EntryKind[]; pageBytes: number; isCertain: boolean } {
  const states = kinds.filter(({ follows }) => follows === "sequence");
  const attention = kinds.filter(({ follows }) => follows !== "sequence");
  const statePage = Math.max(0, ...states.map((kind) => kind.pageBytes));
  const widest = Math.max(0, ...attention.map((kind) => kind.pageBytes));
  const stretch = widest === 0 ? 1 : Math.max(1, Math.ceil(statePage / widest));
  const pageBytes = widest === 0 ? statePage : widest * stretch;
  let isCertain = true;
  const unified = kinds.map((kind): EntryKind => {
    if (kind.follows === "sequence") {
      return { ...kind, pageBytes };
    }
    const ratio = Math.floor(pageBytes / kind.pageBytes);
    isCertain &&= ratio * kind.pageBytes === pageBytes;
    return { ...kind, pageBytes, blockTokens: blockTokens * ratio };
  });
  return { unified, pageBytes, isCertain };
}

// DeepSeek-V4

/** Tokens of a block by what it holds; compressor states by the tokens per entry. */
const COMPRESSED_BLOCKS = { entries: 256, window: 64, stateOfOverlapping: 4, state: 8 };

/**
 * Each layer's caches have block tables of their own over pages of one size; kinds that do not divide it are padded.
 * A block stands for one page in each layer of the smallest kind; larger kinds take proportionally more of them.
 */
function planCompressed(entries: readonly DeviceEntry[], settings: BlockSettings): BlockPlan {
  const pageBytes = Math.max(...entries.map(compressedPageBytes));
  const kinds = new Map<string, CompressedKind>();
  for (const entry of entries) {
    const described = describeCompressed(entry, pageBytes, settings);
    const key = `${entry.kind}:${described.blockTokens}:${described.followsContext}`;
    const known = kinds.get(key);
    if (known === undefined) {
      kinds.set(key, { ...described, layers: [entry.layer] });
    } else {
      known.layers.push(entry.layer);
    }
  }
  const smallest = [...kinds.values()].reduce((a, b) => (b.layers.length < a.layers.length ? b : a));
  const groups = [...kinds.values()].map((kind): BlockGroup => {
    const weight = kind.layers.length / smallest.layers.length;
    return {
      ...kind,
      pageBytes,
      parts: [{ kind: kind.kind, layers: kind.layers.length, share: 1 }],
      blocksFor: (context) => Math.ceil(kind.blocksFor(context) * weight),
    };
  });
  return {
    groups,
    blockBytes: (first, end) => pageBytes * Math.max(1, countBetween(smallest.layers, first, end)),
    isCertain: false,
  };
}

type CompressedKind = Pick<BlockGroup, "kind" | "layers" | "blockTokens" | "blocksFor" | "followsContext">;

function compressedPageBytes(entry: DeviceEntry): number {
  if ("entryBytes" in entry) {
    return entry.kind === "COMPRESSED" ? (entry.entryBytes * COMPRESSED_BLOCKS.entries) / entry.ratio : 0;
  }
  return "bytesPerToken" in entry ? entry.bytesPerToken * COMPRESSED_BLOCKS.window : 0;
}

function describeCompressed(
  entry: DeviceEntry,
  pageBytes: number,
  settings: BlockSettings,
): Omit<CompressedKind, "layers"> {
  const windowed = (kept: number, blockTokens: number): Omit<CompressedKind, "layers"> => ({
    kind: entry.kind,
    blockTokens,
    blocksFor: (context) => Math.ceil(Math.min(kept + settings.batchTokens, context) / blockTokens) + 1,
    followsContext: false,
  });
  if ("entryBytes" in entry) {
    const ownPage = (entry.entryBytes * COMPRESSED_BLOCKS.entries) / entry.ratio;
    const blockTokens = COMPRESSED_BLOCKS.entries * (pageBytes % ownPage === 0 ? pageBytes / ownPage : 1);
    return {
      kind: entry.kind,
      blockTokens,
      blocksFor: (context) => Math.ceil(context / blockTokens),
      followsContext: true,
    };
  }
  if ("compressorBytesPerToken" in entry) {
    const isOverlapping = entry.windowTokens > entry.ratio;
    const blockTokens = isOverlapping ? COMPRESSED_BLOCKS.stateOfOverlapping : COMPRESSED_BLOCKS.state;
    return windowed(entry.windowTokens - 1, blockTokens);
  }
  return windowed(("window" in entry ? (entry.window?.size ?? 1) : 1) - 1, COMPRESSED_BLOCKS.window);
}

function countBetween(layers: readonly number[], first: number, end: number): number {
  return layers.reduce((count, layer) => count + (layer >= first && layer < end ? 1 : 0), 0);
}
