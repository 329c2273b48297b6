import type { CompressedAttention, Indexer } from "../../architecture/architecture.js";
import { isQuantizedCache } from "../../kv-cache/cache-type.js";
import { padCells, streamedCells, windowCells } from "../../kv-cache/cell-counts.js";
import { attend, cacheOf, contiguousStrides, selectionMask } from "./build-attention.js";
import type { CacheInputs, GraphContext, LayerContext } from "./graph-context.js";
import { F16, F32, type GraphNode, I32, I64, Op } from "./graph-node.js";

/**
 * DeepSeek-V4's attention (models/deepseek4.cpp): a window of latents as they are, and before it one latent for
 * every few tokens, all of them or those an indexer selects. What is compressed is gathered from the microbatch
 * and from a small state that holds the tokens of unfinished entries.
 */
export function buildCompressedAttention(layer: LayerContext, attention: CompressedAttention, x: GraphNode): GraphNode {
  const { graph, context } = layer;
  const { heads, keyDim, ropeDim } = attention;
  const n = context.tokens;
  const compressedQuery = layer.norm("attn_q_a_norm", layer.project("attn_q_a", x));
  const rawQuery = graph.view(layer.project("attn_q_b", compressedQuery), keyDim, heads, n);
  const query = ropeTail(layer, layer.bareNorm(rawQuery), ropeDim, context.positions);
  const rawLatent = layer.norm("attn_kv_a_norm", layer.project("attn_kv", x));
  const latent = ropeTail(layer, graph.view(rawLatent, keyDim, 1, n), ropeDim, context.positions);
  const compression = attention.compressRatio === 0 ? null : compressionInputs(context, attention);
  if (compression !== null) {
    compress(layer, x, compression);
  }
  const indexing = attention.indexer === undefined ? null : indexInputs(layer, attention, attention.indexer);
  if (indexing !== null) {
    compress(layer, x, indexing);
  }
  const selected =
    indexing === null || attention.indexer === undefined
      ? null
      : selectEntries(layer, attention.indexer, ropeDim, indexing, compressedQuery, x);
  const attended = attendToBoth(layer, attention, { query, latent }, compression, selected);
  const byHead = graph.view(attended, keyDim, heads, n);
  const unroped = ropeTail(layer, byHead, ropeDim, context.positions);
  return projectGroups(layer, attention, unroped);
}

/** The grouped low-rank output projection. */
function projectGroups(layer: LayerContext, attention: CompressedAttention, x: GraphNode): GraphNode {
  const { graph, context } = layer;
  const { outputGroups, outputRank } = attention;
  const n = context.tokens;
  const width = (attention.heads * attention.keyDim) / outputGroups;
  const grouped = graph.swapMiddle(graph.view(x, width, outputGroups, n));
  const matrices = layer.weight("attn_output_a.weight");
  matrices.ne1 = outputRank;
  matrices.ne2 = outputGroups;
  const narrow = graph.contiguous(
    graph.swapMiddle(graph.mulMat(matrices, grouped)),
    outputRank * outputGroups,
    n,
    1,
    1,
  );
  return layer.project("attn_output_b", narrow);
}

/** Rotates the last `ropeDim` values of each head: [dim, heads, n]. */
function ropeTail(layer: LayerContext, x: GraphNode, ropeDim: number, positions: GraphNode): GraphNode {
  const { graph } = layer;
  const shape = (width: number) => [width, x.ne1, x.ne2, 1] as const;
  const plainDim = x.ne0 - ropeDim;
  const strides = [x.nb1, x.nb2, x.nb3] as const;
  const plain = graph.stridedView(x, shape(plainDim), strides);
  const roped = graph.rope(graph.stridedView(x, shape(ropeDim), strides, plainDim * x.nb0), positions, null);
  contiguousStrides(roped);
  return graph.concat(plain, roped, 0);
}

/** Turns whole rows before they are stored in a quantized cache. */
function turn(layer: LayerContext, x: GraphNode, rotation: GraphNode | null): GraphNode {
  const { graph } = layer;
  if (rotation === null) {
    return x;
  }
  const rows = (x.ne0 * x.ne1 * x.ne2 * x.ne3) / rotation.ne0;
  return graph.view(graph.mulMat(rotation, graph.view(x, rotation.ne0, rows)), x.ne0, x.ne1, x.ne2, x.ne3);
}

/** The largest power of two that divides a width. */
function largestPowerOfTwo(width: number): number {
  let size = 1;
  while (width % (2 * size) === 0) {
    size *= 2;
  }
  return size;
}

/** A stream of compressed entries: what makes them, where they are kept, and what may see them. */
interface Compression {
  /** Name of its matrices. */
  name: string;
  /** Width of an entry. */
  width: number;
  ropeDim: number;
  ratio: number;
  /** Twice, where windows overlap. */
  overlap: 1 | 2;
  /** Entries that a microbatch completes. */
  blocks: number;
  /** Rows of state of all sequences. */
  stateRows: number;
  cells: number;
  streams: number;
  inputs: CompressionInputs;
}

interface CompressionInputs {
  phases: GraphNode;
  persistFrom: GraphNode;
  persistTo: GraphNode;
  read: GraphNode;
  write: GraphNode;
  positions: GraphNode;
  mask: GraphNode;
  rotation: GraphNode | null;
}

function compressionInputs(context: GraphContext, attention: CompressedAttention): Compression {
  const overlap = attention.indexer === undefined ? 1 : 2;
  const rotates = isQuantizedCache(context.run.typeK);
  const maskBytes = context.run.flashAttention ? F16 : F32;
  return describeCompression(context, attention, {
    name: "attn_compressor",
    width: attention.keyDim,
    overlap,
    rotates,
    maskBytes,
  });
}

/**
 * Scores are computed in one operation, unless layers are in host memory beside devices: the operation would run
 * elsewhere than its layer then, and llama.cpp takes it apart (llama-context.cpp, fused_lid).
 */
function fusesScores(layer: LayerContext): boolean {
  const { host } = layer.context;
  return host === 0 || layer.backend !== host;
}

/** Index keys are always turned; the fused operation takes its mask in half precision. */
function indexInputs(layer: LayerContext, attention: CompressedAttention, indexer: Indexer): Compression {
  return describeCompression(layer.context, attention, {
    name: "indexer_compressor",
    width: indexer.keyDim,
    overlap: 2,
    rotates: true,
    maskBytes: fusesScores(layer) ? F16 : F32,
  });
}

/** Sizes as llama.cpp reserves them for the worst split of a microbatch (llama-kv-cache-dsv4.cpp). */
function describeCompression(
  context: GraphContext,
  attention: CompressedAttention,
  what: { name: string; width: number; overlap: 1 | 2; rotates: boolean; maskBytes: number },
): Compression {
  const { tokens, run } = context;
  const { compressRatio: ratio } = attention;
  const { name, width, overlap } = what;
  const full = streamedCells(run.cache);
  const cells = padCells(Math.ceil(full.cells / ratio));
  const blocks = Math.floor(tokens / ratio) + run.sequences;
  const stateRows = ratio * overlap * run.sequences;
  const persisted = Math.min(tokens, stateRows);
  const input = (part: string, bytes: number, ne0: number, ne1 = 1, ne3 = 1): GraphNode =>
    context.shared(`${name} ${ratio} ${part}`, () =>
      context.input(`${name} ${ratio} ${part}`, bytes, ne0, ne1, 1, ne3),
    );
  const turnSize = largestPowerOfTwo(width);
  return {
    ...what,
    ropeDim: attention.ropeDim,
    ratio,
    blocks,
    stateRows,
    cells,
    streams: full.streams,
    inputs: {
      phases: input("phases", I32, tokens),
      persistFrom: input("persist from", I32, persisted),
      persistTo: input("persist to", I32, persisted),
      read: input("read", I32, overlap * ratio * blocks),
      write: input("write", I64, blocks),
      positions: input("positions", I32, blocks),
      mask: input("mask", what.maskBytes, cells, Math.ceil(tokens / full.streams), full.streams),
      rotation: what.rotates ? input("rotation", F32, turnSize, turnSize) : null,
    },
  };
}

/** Completes entries, stores them, and keeps the tokens of the unfinished ones. */
function compress(layer: LayerContext, x: GraphNode, compression: Compression): void {
  const { graph } = layer;
  const { name, width, overlap, stateRows, inputs, blocks } = compression;
  const rowWidth = width * overlap;
  const entries = layer.project(`${name}_kv`, x);
  const phases = graph.getRows(layer.weight(`${name}_ape.weight`), inputs.phases);
  const scores = graph.inPlace(layer.project(`${name}_gate`, x), phases);
  const state = (): GraphNode => graph.cache(layer.cacheBackend, F32, rowWidth, stateRows, 1);
  const entryState = state();
  const scoreState = state();
  const joined = (rows: GraphNode, all: GraphNode): GraphNode =>
    graph.concat(graph.view(rows, rowWidth, stateRows), all, 1);
  const done = compressRows(layer, compression, joined(entryState, entries), joined(scoreState, scores));
  const turned = turn(layer, done, inputs.rotation);
  graph.expand(graph.setRows(entriesOf(layer, compression), graph.view(turned, width, blocks), inputs.write));
  // Entries depend on the old state: what replaces it is made to wait for them.
  const after = (rows: GraphNode): GraphNode =>
    graph.inPlace(rows, graph.inPlace(graph.make(Op.PLAIN, F32, 1, 1, 1, 1, turned)));
  const kept = [after(entries), after(scores)].map((rows) => graph.getRows(rows, inputs.persistFrom));
  [entryState, scoreState].forEach((rows, index) => {
    graph.expand(graph.setRows(graph.view(rows, rowWidth, stateRows), kept[index] as GraphNode, inputs.persistTo));
  });
}

/** Gathers each entry's rows and sums them by their softmaxed scores: [width, 1, blocks]. */
function compressRows(layer: LayerContext, compression: Compression, entries: GraphNode, scores: GraphNode): GraphNode {
  const { graph } = layer;
  const { name, width, overlap, ratio, blocks, ropeDim, inputs } = compression;
  const gather = (rows: GraphNode): GraphNode =>
    overlap === 1
      ? graph.view(graph.getRows(rows, inputs.read), width, ratio, blocks)
      : gatherWindows(layer, compression, rows);
  const columns = (rows: GraphNode): GraphNode => graph.contiguous(graph.transpose(rows));
  const values = columns(gather(entries));
  const weights = graph.inPlace(columns(gather(scores)));
  const summed = graph.sumRows(graph.inPlace(values, weights));
  const row = layer.norm(`${name}_norm`, graph.contiguous(graph.transpose(summed)));
  return ropeTail(layer, graph.view(row, width, 1, blocks), ropeDim, inputs.positions);
}

/** Overlapping windows: the first half of each row belongs to the window before, the second to its own. */
function gatherWindows(layer: LayerContext, compression: Compression, source: GraphNode): GraphNode {
  const { graph } = layer;
  const { width, ratio, blocks, inputs } = compression;
  const empty = graph.view(graph.inPlace(graph.view(source, source.ne0, 1)), source.ne0, 1);
  const rows = graph.getRows(graph.concat(source, empty, 1), inputs.read);
  const count = ratio * blocks;
  const half = (offset: number): GraphNode => {
    const part = graph.stridedView(rows, [width, count, 1, 1], [rows.nb1, rows.nb1 * count, rows.nb1 * count], offset);
    return graph.view(graph.contiguous(part), width, ratio, blocks);
  };
  return graph.concat(half(0), half(count * rows.nb1 + width * F32), 1);
}

/** The indexer: scores every entry and picks the best: [topK, tokens of a stream, 1, streams]. */
function selectEntries(
  layer: LayerContext,
  indexer: Indexer,
  ropeDim: number,
  index: Compression,
  compressedQuery: GraphNode,
  x: GraphNode,
): GraphNode {
  const { graph, context } = layer;
  const { heads, keyDim } = indexer;
  const n = context.tokens;
  const perStream = Math.ceil(n / index.streams);
  const raw = graph.view(layer.project("indexer.attn_q_b", compressedQuery), keyDim, heads, n);
  const query = turn(layer, ropeTail(layer, raw, ropeDim, context.positions), index.inputs.rotation);
  const weights = graph.inPlace(layer.project("indexer.proj", x));
  const keys = entriesOf(layer, index);
  const sources = {
    query: graph.view(query, query.ne0, query.ne1, perStream, index.streams),
    keys: graph.view(keys, keyDim, 1, index.cells, index.streams),
    weights: graph.view(weights, weights.ne0, perStream, 1, index.streams),
  };
  const scores = fusesScores(layer)
    ? graph.make(
        Op.PLAIN,
        F32,
        index.cells,
        perStream,
        1,
        index.streams,
        sources.query,
        sources.keys,
        sources.weights,
        index.inputs.mask,
      )
    : scoresApart(layer, sources, index.inputs.mask);
  const best = graph.make(Op.PLAIN, I32, Math.min(index.cells, indexer.topK), perStream, 1, index.streams, scores);
  return graph.plain(best);
}

/** Every head's scores, then their weighted sum: what the fused operation does, step by step. */
function scoresApart(
  layer: LayerContext,
  { query, keys, weights }: { query: GraphNode; keys: GraphNode; weights: GraphNode },
  mask: GraphNode,
): GraphNode {
  const { graph } = layer;
  const { ne0: cells, ne1: n, ne3: streams } = mask;
  const products = graph.make(
    Op.MUL_MAT,
    F32,
    cells,
    n,
    query.ne1,
    streams,
    graph.swapMiddle(keys),
    graph.swapMiddle(query),
  );
  const byHead = graph.contiguous(products, query.ne1, n, cells, streams);
  const summed = graph.sumRows(graph.inPlace(graph.inPlace(byHead), weights));
  return graph.inPlace(graph.contiguous(summed, cells, n, 1, streams), mask);
}

/** The cache of a stream of entries. */
function entriesOf(layer: LayerContext, compression: Compression): GraphNode {
  const { cells, streams, width } = compression;
  return cacheOf(layer, { cells, count: { cells, streams } }, layer.context.run.typeK, width);
}

/** Attention to the window and to the entries before it, side by side in one row of cells. */
function attendToBoth(
  layer: LayerContext,
  attention: CompressedAttention,
  { query, latent }: { query: GraphNode; latent: GraphNode },
  compression: Compression | null,
  selected: GraphNode | null,
): GraphNode {
  const { graph, context } = layer;
  const { heads, keyDim } = attention;
  const { run } = context;
  const full = streamedCells(run.cache);
  const windowed = windowCells(attention.window.size, { ...run.cache, unified: false, contextTokens: full.cells });
  const inputs = context.streamedInputs("window of latents", windowed.cells);
  const size = largestPowerOfTwo(keyDim);
  const rotation = isQuantizedCache(run.typeK)
    ? context.shared("window rotation", () => context.input("window rotation", F32, size, size))
    : null;
  const turnedQuery = turn(layer, query, rotation);
  const turnedLatent = turn(layer, latent, rotation);
  graph.expand(turnedQuery);
  graph.expand(turnedLatent);
  const window = cacheOf(layer, inputs, run.typeK, keyDim);
  graph.expand(graph.setRows(window, graph.view(turnedLatent, keyDim, context.tokens), inputs.keyRows));
  const seen =
    compression === null
      ? { inputs, cells: window }
      : joinCells(layer, { inputs, cells: window }, compression, selected);
  const attended = attend(layer, seen.inputs, {
    query: turnedQuery,
    queryHeads: heads,
    keyCache: seen.cells,
    valueCache: seen.cells,
    keyDim,
    valueDim: keyDim,
    kvHeads: 1,
    decompress: null,
  });
  return turn(layer, attended, rotation);
}

/** A copy of the window's cells and the entries after one another, with the mask of both. */
function joinCells(
  layer: LayerContext,
  window: { inputs: CacheInputs; cells: GraphNode },
  compression: Compression,
  selected: GraphNode | null,
): { inputs: CacheInputs; cells: GraphNode } {
  const { graph } = layer;
  const { inputs, cells: latents } = window;
  const { streams } = inputs.count;
  const entries = entriesOf(layer, compression);
  const total = inputs.cells + compression.cells;
  const { mask: entryMask } = compression.inputs;
  const mask = selected === null ? entryMask : selectionMask(layer, entryMask, selected, entryMask.nb0);
  const joinedMask = graph.make(Op.PLAIN, entryMask.nb0, total, entryMask.ne1, 1, entryMask.ne3, inputs.mask, mask);
  const cells = graph.make(
    Op.PLAIN,
    latents.nb0,
    latents.ne0,
    total,
    streams,
    1,
    graph.view(latents, latents.ne0, inputs.cells, streams),
    graph.view(entries, latents.ne0, compression.cells, streams),
  );
  return { inputs: { ...inputs, cells: total, count: { cells: total, streams }, mask: joinedMask }, cells };
}
