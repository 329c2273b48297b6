import type { GroupedAttention, Indexer, LatentAttention } from "../../architecture/architecture.js";
import { cacheRowBytes, F32_CACHE, isQuantizedCache } from "../../kv-cache/cache-type.js";
import type { CacheInputs, LayerContext } from "./graph-context.js";
import { F16, F32, type GraphNode, I32, Op } from "./graph-node.js";

/** Queries, keys and values ready for the cache: [dim, heads, tokens] each. */
interface Projected {
  query: GraphNode;
  key: GraphNode;
  value: GraphNode;
}

/** Grouped-query attention from the normed input to the output projection (llama-graph.cpp, build_attn). */
export function buildGroupedAttention(layer: LayerContext, attention: GroupedAttention, x: GraphNode): GraphNode {
  const { graph, context } = layer;
  const isWindowed = attention.window !== undefined;
  const inputs = context.inputsFor(attention.window?.size ?? 0);
  const gate: { node: GraphNode | null } = { node: null };
  const projected = projectGrouped(layer, attention, x, gate);
  const turns = rotations(layer, attention);
  const turn = (node: GraphNode, by: GraphNode | null): GraphNode => (by === null ? node : hadamard(layer, node, by));
  const roped = (node: GraphNode): GraphNode =>
    attention.noRope || layer.isUnrotated ? node : layer.rope(node, isWindowed);
  const rotatedQuery = turn(roped(projected.query), turns.key);
  const rotatedKey = attention.ownsNoKeys ? projected.key : turn(roped(projected.key), turns.key);
  const value = attention.ownsNoKeys ? projected.value : turn(projected.value, turns.value);
  // Blocks are selected for one sequence at a time only; several attend to everything.
  const selects = attention.indexer !== undefined && context.run.sequences === 1 && context.run.flashAttention;
  const masks = attention.indexer === undefined || !selects ? null : blockMasks(layer, attention.indexer, inputs, x);
  graph.expand(rotatedQuery);
  const keyCache = cacheOf(layer, inputs, context.run.typeK, attention.keyDim * attention.kvHeads);
  const valueCache = cacheOf(layer, inputs, context.run.typeV, attention.valueDim * attention.kvHeads);
  if (!attention.ownsNoKeys && !attention.sharesCache) {
    graph.expand(value);
    graph.expand(rotatedKey);
    storeRows(layer, keyCache, rotatedKey, inputs.keyRows);
    storeValues(layer, attention, valueCache, value, inputs.valueRows);
  }
  let attended =
    masks === null
      ? attend(layer, inputs, {
          query: rotatedQuery,
          queryHeads: attention.heads,
          keyCache,
          valueCache,
          keyDim: attention.keyDim,
          valueDim: attention.valueDim,
          kvHeads: attention.kvHeads,
          decompress: null,
        })
      : attendByGroup(layer, attention, inputs, rotatedQuery, { key: keyCache, value: valueCache }, masks);
  attended = turn(attended, turns.value);
  if (gate.node !== null) {
    attended = graph.inPlace(attended, graph.inPlace(gate.node));
  } else if (layer.has("attn_gate.weight")) {
    attended = gateAttention(layer, attention, x, attended);
  }
  return layer.has("attn_output.weight") ? layer.project("attn_output", attended) : attended;
}

/** A gate from the layer's input: one value per head, or one per value. */
function gateAttention(layer: LayerContext, attention: GroupedAttention, x: GraphNode, attended: GraphNode): GraphNode {
  const { graph, context } = layer;
  const gate = graph.inPlace(layer.project("attn_gate", x));
  if (gate.ne0 !== attention.heads) {
    return graph.inPlace(attended, gate);
  }
  const byHead = graph.view(attended, attention.valueDim, attention.heads, context.tokens);
  const gated = graph.inPlace(byHead, graph.view(gate, 1, attention.heads, context.tokens));
  return graph.view(gated, attended.ne0, context.tokens);
}

/** Heads are turned in blocks of this many values, keys in the largest power of two that divides them. */
const ROTATION_UNIT = 64;

/**
 * Matrices by which keys and values are turned before they are stored in a quantized cache
 * (llama-kv-cache.cpp, attn_rot_k and attn_rot_v); null where they are stored as they are.
 */
function rotations(
  layer: LayerContext,
  attention: GroupedAttention,
): { key: GraphNode | null; value: GraphNode | null } {
  const { context } = layer;
  const { typeK, typeV } = context.run;
  const window = attention.window !== undefined;
  const turnsKeys = isQuantizedCache(typeK) && attention.keyDim % ROTATION_UNIT === 0;
  const turnsValues = isQuantizedCache(typeV) && attention.valueDim % ROTATION_UNIT === 0;
  let size = ROTATION_UNIT;
  while (turnsKeys && attention.keyDim % (2 * size) === 0) {
    size *= 2;
  }
  return {
    key: turnsKeys ? context.rotation("key", window, size) : null,
    value: turnsValues ? context.rotation("value", window, ROTATION_UNIT) : null,
  };
}

/** Turns rows block by block (llama-impl.h, llama_mul_mat_hadamard). */
function hadamard(layer: LayerContext, x: GraphNode, rotation: GraphNode): GraphNode {
  const { graph } = layer;
  const size = rotation.ne0;
  const rows = (x.ne0 * x.ne1 * x.ne2 * x.ne3) / size;
  const isContiguous = x.nb1 === x.ne0 * x.nb0 && x.nb2 === x.nb1 * x.ne1 && x.nb3 === x.nb2 * x.ne2;
  const flat = isContiguous ? graph.view(x, size, rows) : graph.contiguous(x, size, rows, 1, 1);
  return graph.view(graph.mulMat(rotation, flat), x.ne0, x.ne1, x.ne2, x.ne3);
}

/** Stores values, padded to the widest layer where the cache has one width for all. */
function storeValues(
  layer: LayerContext,
  attention: GroupedAttention,
  cache: GraphNode,
  value: GraphNode,
  ids: GraphNode,
): void {
  const { graph, context } = layer;
  const width = attention.kvHeads * attention.valueDim;
  const cacheWidth = context.run.cache.valueWidth ?? width;
  if (width >= cacheWidth) {
    storeRows(layer, cache, value, ids);
    return;
  }
  const rows = graph.view(value, width, context.tokens);
  const padded = graph.make(Op.PLAIN, F32, cacheWidth, context.tokens, 1, 1, rows);
  storeRows(layer, cache, padded, ids);
}

function projectGrouped(
  layer: LayerContext,
  attention: GroupedAttention,
  x: GraphNode,
  gate: { node: GraphNode | null },
): Projected {
  const { graph, context } = layer;
  const { heads, kvHeads, keyDim, valueDim } = attention;
  const n = context.tokens;
  if (attention.fusedQkv) {
    const qkv = layer.project("attn_qkv", x);
    const part = (dim: number, count: number, offset: number): GraphNode =>
      graph.stridedView(qkv, [dim, count, n, 1], [dim * F32, qkv.nb1, qkv.nb1 * n], offset * F32);
    const query = part(keyDim, heads, 0);
    const key = part(keyDim, kvHeads, keyDim * heads);
    const value = part(valueDim, kvHeads, keyDim * (heads + kvHeads));
    return { query: layer.norm("attn_q_norm", query), key: layer.norm("attn_k_norm", key), value };
  }
  let query =
    attention.queryRank === undefined
      ? layer.project("attn_q", x)
      : layer.project("attn_q_b", layer.norm("attn_q_a_norm", layer.project("attn_q_a", x)));
  if (attention.gatedQuery) {
    // Queries and gates alternate head by head.
    const stride = 2 * keyDim * F32;
    const shape = [keyDim, heads, n, 1] as const;
    const strides = [stride, query.nb1, query.nb1 * n] as const;
    const gates = graph.stridedView(query, shape, strides, keyDim * F32);
    gate.node = graph.contiguous(gates, keyDim * heads, n, 1, 1);
    query = graph.stridedView(query, shape, strides);
    query = layer.norm("attn_q_norm", query);
  } else {
    query = rowOrHeadNorm(layer, "attn_q_norm", query, keyDim, heads);
  }
  if (attention.ownsNoKeys) {
    return { query, key: query, value: query };
  }
  const key = layer.project("attn_k", x);
  const value = layer.heads(attention.valueIsKey ? key : layer.project("attn_v", x), valueDim, kvHeads);
  return {
    query,
    key: rowOrHeadNorm(layer, "attn_k_norm", key, keyDim, kvHeads),
    value: layer.context.habits.normsValues ? layer.bareNorm(value) : value,
  };
}

/** A norm over each head, or over the whole row where its weight is as wide; then split into heads. */
function rowOrHeadNorm(layer: LayerContext, name: string, x: GraphNode, headDim: number, heads: number): GraphNode {
  const width = layer.shape(`${name}.weight`)[0];
  if (width !== undefined && width !== headDim && width === headDim * heads) {
    return layer.heads(layer.norm(name, x), headDim, heads);
  }
  return layer.norm(name, layer.heads(x, headDim, heads));
}

/** A layer's cache of rows of `width` values, as wide views of which ggml sees it. */
function cacheOf(
  layer: LayerContext,
  inputs: CacheInputs,
  type: { blockElements: number; blockBytes: number; slug: string },
  width: number,
): GraphNode {
  const cache = layer.graph.cache(layer.cacheBackend, F16, width, inputs.cells, inputs.count.streams);
  // Strides in bytes of the cache's own type; blocks are never split.
  cache.nb1 = cacheRowBytes(type, width);
  cache.nb0 = cache.nb1 / width;
  cache.nb2 = cache.nb1 * inputs.cells;
  cache.nb3 = cache.nb2 * inputs.count.streams;
  return cache;
}

function storeRows(layer: LayerContext, cache: GraphNode, rows: GraphNode, ids: GraphNode): void {
  const { graph, context } = layer;
  const n = context.tokens;
  const stride = rows.ne2 === n ? rows.nb2 : rows.nb1;
  const width = (rows.ne0 * rows.ne1 * rows.ne2 * rows.ne3) / n;
  const flat = graph.stridedView(rows, [width, n, 1, 1], [stride, stride * n, stride * n]);
  graph.expand(graph.setRows(cache, flat, ids));
}

interface AttendInput {
  query: GraphNode;
  queryHeads: number;
  keyCache: GraphNode;
  valueCache: GraphNode;
  keyDim: number;
  valueDim: number;
  kvHeads: number;
  /** Expands latent values to heads after attention (MLA); null otherwise. */
  decompress: GraphNode | null;
  mask?: GraphNode;
}

/** Scores, softmax and weighted values, fused or not (llama-graph.cpp, build_attn_mha). */
function attend(layer: LayerContext, inputs: CacheInputs, input: AttendInput): GraphNode {
  const { graph, context } = layer;
  const { query, queryHeads, keyDim, valueDim, kvHeads, decompress } = input;
  const streams = inputs.count.streams;
  const perStream = Math.ceil(context.tokens / streams);
  const q = graph.swapMiddle(
    graph.stridedView(query, [keyDim, queryHeads, perStream, streams], [query.nb1, query.nb2, query.nb2 * perStream]),
  );
  const k = graph.swapMiddle(rowsView(layer, inputs, input.keyCache, keyDim, kvHeads));
  const mask = input.mask ?? inputs.mask;
  const n = context.tokens;
  let result: GraphNode;
  if (context.run.flashAttention) {
    const v = graph.swapMiddle(rowsView(layer, inputs, input.valueCache, valueDim, kvHeads));
    const sources = [q, k, v, mask];
    if (layer.has("attn_sinks.weight")) {
      sources.push(layer.weight("attn_sinks.weight"));
    }
    let fused = graph.make(Op.FLASH_ATTENTION, F32, valueDim, queryHeads, perStream, streams, ...sources);
    fused.bytes += halfCopies(layer, inputs, input);
    if (decompress !== null) {
      fused = graph.swapMiddle(graph.mulMat(decompress, graph.swapMiddle(fused)));
      fused = graph.contiguous(fused);
    }
    result = graph.view(fused, fused.ne0 * fused.ne1, n);
  } else {
    const scores = graph.make(Op.PLAIN, F32, inputs.cells, perStream, queryHeads, streams, k, q);
    const sources = [scores, mask];
    if (layer.has("attn_sinks.weight")) {
      sources.push(layer.weight("attn_sinks.weight"));
    }
    const soft = graph.inPlace(...sources);
    let v: GraphNode;
    if (input.valueCache === input.keyCache) {
      // Latent values are not kept transposed: they are now.
      const rows = graph.swapMiddle(rowsView(layer, inputs, input.valueCache, valueDim, kvHeads));
      v = graph.make(Op.PLAIN, F16, rows.ne1, rows.ne0, rows.ne2, rows.ne3, graph.transpose(rows));
    } else {
      v = rowsView(layer, inputs, input.valueCache, valueDim, kvHeads);
    }
    let weighted = graph.make(Op.PLAIN, F32, valueDim, perStream, queryHeads, streams, v, soft);
    if (decompress !== null) {
      weighted = graph.mulMat(decompress, weighted);
    }
    result = graph.contiguous(graph.swapMiddle(weighted), weighted.ne0 * queryHeads, n, 1, 1);
    if (!context.run.kvOffload) {
      result.backend = context.host;
    }
  }
  graph.expand(result);
  return result;
}

/** A cache seen as [dim, heads, cells, streams]. */
function rowsView(layer: LayerContext, inputs: CacheInputs, cache: GraphNode, dim: number, heads: number): GraphNode {
  return layer.graph.stridedView(
    cache,
    [dim, heads, inputs.cells, inputs.count.streams],
    [cache.nb0 * dim, cache.nb1, cache.nb2],
  );
}

/** CUDA's flash attention works on half precision: quantized K and V are expanded beside its result. */
function halfCopies(layer: LayerContext, inputs: CacheInputs, input: AttendInput): number {
  const { typeK, typeV } = layer.context.run;
  if (layer.cacheBackend === layer.context.host) {
    return 0; // The processor reads quantized rows as they are.
  }
  const rows = inputs.cells * inputs.count.streams * input.kvHeads;
  let bytes = 0;
  if (isQuantizedCache(typeK)) {
    bytes += rows * input.keyDim * F16;
  }
  if (isQuantizedCache(typeV) && input.valueCache !== input.keyCache) {
    bytes += rows * input.valueDim * F16;
  }
  return bytes;
}

/** Latent attention with absorbed projections: all heads read one latent (models/deepseek2.cpp). */
export function buildLatentAttention(layer: LayerContext, attention: LatentAttention, x: GraphNode): GraphNode {
  const { graph, context } = layer;
  const { heads, kvRank, ropeDim, nopeDim } = attention;
  const n = context.tokens;
  const keyDim = nopeDim + ropeDim;
  const inputs = context.inputsFor(0);
  const compressedQuery = attention.queryRank === null ? x : layer.norm("attn_q_a_norm", layer.project("attn_q_a", x));
  const indexer = context.habits.skipsIndexer ? undefined : attention.indexer;
  const selected = indexer === undefined ? null : selectTokens(layer, indexer, attention.ropeDim, compressedQuery, x);
  const beside = indexer === undefined ? null : queriesBeside(layer, attention, indexer, compressedQuery);
  const queries = layer.project(attention.queryRank === null ? "attn_q" : "attn_q_b", compressedQuery);
  const strides = [keyDim * F32, keyDim * F32 * heads, keyDim * F32 * heads * n] as const;
  const plainQuery = graph.stridedView(queries, [nopeDim, heads, n, 1], strides);
  const ropedQuery = graph.stridedView(queries, [ropeDim, heads, n, 1], strides, nopeDim * F32);
  const compressed = layer.project("attn_kv_a_mqa", x);
  const rowBytes = (kvRank + ropeDim) * F32;
  const latent = graph.stridedView(compressed, [kvRank, n, 1, 1], [rowBytes, rowBytes * n, rowBytes * n]);
  const ropedKey = graph.stridedView(compressed, [ropeDim, 1, n, 1], [rowBytes, rowBytes, rowBytes * n], kvRank * F32);
  const ropes = (node: GraphNode): GraphNode => (layer.isUnrotated ? node : layer.rope(node, false));
  const queryPart = ropes(ropedQuery);
  const keyPart = ropes(ropedKey);
  const normedLatent = layer.norm("attn_kv_a_norm", latent);
  const absorbed = graph.swapMiddle(graph.mulMat(layer.weight("attn_k_b.weight"), graph.swapMiddle(plainQuery)));
  const query = graph.concat(absorbed, queryPart, 0);
  const value = graph.view(normedLatent, kvRank, 1, n);
  const key = graph.concat(value, keyPart, 0);
  graph.expand(query);
  graph.expand(value);
  graph.expand(key);
  const cache = cacheOf(layer, inputs, context.run.typeK, kvRank + ropeDim);
  storeRows(layer, cache, key, inputs.keyRows);
  const attended = attend(layer, inputs, {
    query,
    queryHeads: heads,
    keyCache: cache,
    valueCache: cache,
    keyDim: kvRank + ropeDim,
    valueDim: kvRank,
    kvHeads: 1,
    decompress: layer.weight("attn_v_b.weight"),
    ...(selected === null ? {} : { mask: sparseMask(layer, inputs, selected, beside) }),
  });
  return layer.project("attn_output", attended);
}

/**
 * Sparse attention's indexer (models/deepseek32.cpp): index keys are cached, every cell is scored, and the best
 * are picked: [topK, tokens of a stream, 1, streams].
 */
function selectTokens(
  layer: LayerContext,
  indexer: Indexer,
  ropeDim: number,
  compressedQuery: GraphNode,
  x: GraphNode,
): GraphNode {
  const { graph, context } = layer;
  const n = context.tokens;
  const { heads, keyDim } = indexer;
  const inputs = context.indexInputs();
  const { streams } = inputs.count;
  const perStream = Math.ceil(n / streams);
  const rotation = context.rotation("key", false, keyDim);
  const rotated = (rows: GraphNode, count: number): GraphNode => {
    const strides = [keyDim * F32, keyDim * F32 * count, keyDim * F32 * count * n] as const;
    const roped = layer.rope(graph.stridedView(rows, [ropeDim, count, n, 1], strides), false);
    contiguousStrides(roped);
    const plain = graph.stridedView(rows, [keyDim - ropeDim, count, n, 1], strides, ropeDim * F32);
    return graph.mulMat(rotation, graph.concat(roped, plain, 0));
  };
  const query = rotated(layer.project("indexer.attn_q_b", compressedQuery), heads);
  const key = rotated(layer.norm("indexer.k_norm", layer.project("indexer.attn_k", x)), 1);
  const cache = cacheOf(layer, inputs, context.run.typeK, keyDim);
  storeRows(layer, cache, key, inputs.keyRows);
  const weights = layer.project("indexer.proj", x);
  const scores = graph.make(
    Op.PLAIN,
    F32,
    inputs.cells,
    perStream,
    1,
    streams,
    query,
    rowsView(layer, inputs, cache, keyDim, 1),
    weights,
    inputs.mask,
  );
  return graph.make(Op.PLAIN, I32, Math.min(inputs.cells, indexer.topK), perStream, 1, streams, scores);
}

/** A mask that leaves the selected tokens only: everything masked, the selected unmasked, joined with the usual one. */
function sparseMask(
  layer: LayerContext,
  inputs: CacheInputs,
  selected: GraphNode,
  beside: GraphNode | null,
): GraphNode {
  const { graph } = layer;
  const { mask } = inputs;
  const masked = graph.plain(mask);
  const zeros = graph.make(Op.PLAIN, F32, 1, selected.ne0, selected.ne1, selected.ne3);
  const cells = graph.view(masked, 1, mask.ne0, mask.ne1, mask.ne3);
  const unmasked = graph.setRows(cells, zeros, graph.view(selected, selected.ne0, selected.ne1, selected.ne3));
  const joined = graph.view(unmasked, mask.ne0, mask.ne1, 1, mask.ne3);
  return beside === null ? graph.inPlace(joined, mask) : graph.inPlace(joined, mask, beside);
}

/**
 * What measured peaks of sparse latent attention hold beside the nodes described here: about one set of queries
 * before and after absorption and two of the indexer's (224 of 233 MiB at 512 tokens in DeepSeek-V3.2, whatever
 * the context; July 2026 build).
 */
function queriesBeside(layer: LayerContext, attention: LatentAttention, indexer: Indexer, from: GraphNode): GraphNode {
  const { heads, kvRank, ropeDim, nopeDim } = attention;
  const width = heads * (kvRank + ropeDim) + heads * (nopeDim + ropeDim) + 2 * indexer.heads * indexer.keyDim;
  const node = layer.graph.make(Op.PLAIN, F32, width, layer.context.tokens, 1, 1, from);
  layer.graph.expand(node);
  return node;
}

/** The result of an operation on a strided view is contiguous. */
function contiguousStrides(node: GraphNode): void {
  node.nb1 = node.nb0 * node.ne0;
  node.nb2 = node.nb1 * node.ne1;
  node.nb3 = node.nb2 * node.ne2;
}

/**
 * Block-sparse attention's masks, one per index head (models/minimax-m3.cpp): every cell is scored, blocks of
 * cells are ranked by their best score, and cells of the others are masked: [cells, tokens, index heads].
 */
function blockMasks(layer: LayerContext, indexer: Indexer, inputs: CacheInputs, x: GraphNode): GraphNode {
  const { graph, context } = layer;
  const n = context.tokens;
  const { heads, keyDim } = indexer;
  const query = layer.rope(
    layer.norm("indexer.q_norm", layer.heads(layer.project("indexer.q_proj", x), keyDim, heads)),
    false,
  );
  const key = layer.rope(
    layer.norm("indexer.k_norm", layer.heads(layer.project("indexer.k_proj", x), keyDim, 1)),
    false,
  );
  const cache = cacheOf(layer, inputs, F32_CACHE, keyDim);
  storeRows(layer, cache, key, inputs.keyRows);
  const { cells } = inputs;
  const products = graph.make(
    Op.PLAIN,
    F32,
    cells,
    heads * n,
    1,
    1,
    graph.view(cache, keyDim, cells),
    graph.view(query, keyDim, heads * n),
  );
  const mask = context.run.flashAttention ? graph.make(Op.PLAIN, F32, cells, n, 1, 1, inputs.mask) : inputs.mask;
  const copied = graph.contiguous(graph.view(products, cells, heads, n));
  const scores = graph.plain(copied, graph.view(mask, cells, 1, n));
  const blocks = graph.make(Op.PLAIN, F32, Math.ceil(cells / SPARSE_BLOCK_CELLS), heads, n, 1, scores);
  // Measured peaks hold scores, copies and masks all at once.
  const maskBytes = context.run.flashAttention ? F16 : F32;
  return graph.make(Op.PLAIN, maskBytes, cells, n, heads, 1, blocks, inputs.mask, products, copied, scores, mask);
}

/** Cells that are selected together (MiniMax-M3, sparse_block_size). */
const SPARSE_BLOCK_CELLS = 128;

/** Attention group by group, each with a mask of its own, joined along the heads. */
function attendByGroup(
  layer: LayerContext,
  attention: GroupedAttention,
  inputs: CacheInputs,
  query: GraphNode,
  caches: { key: GraphNode; value: GraphNode },
  masks: GraphNode,
): GraphNode {
  const { graph, context } = layer;
  const n = context.tokens;
  const { keyDim, valueDim, kvHeads } = attention;
  const perGroup = attention.heads / kvHeads;
  let joined: GraphNode | null = null;
  for (let group = 0; group < kvHeads; group += 1) {
    const part = graph.stridedView(
      query,
      [keyDim, perGroup, n, 1],
      [query.nb1, query.nb2, query.nb3],
      group * perGroup * query.nb1,
    );
    const cells = (cache: GraphNode, dim: number): GraphNode =>
      graph.swapMiddle(
        graph.stridedView(
          cache,
          [dim, 1, inputs.cells, 1],
          [cache.nb0 * dim, cache.nb1, cache.nb2],
          group * dim * cache.nb0,
        ),
      );
    const mask = graph.view(masks, masks.ne0, masks.ne1, 1, 1, (group % masks.ne2) * masks.nb2);
    const attended: GraphNode = graph.make(
      Op.FLASH_ATTENTION,
      F32,
      valueDim,
      perGroup,
      n,
      1,
      graph.swapMiddle(part),
      cells(caches.key, keyDim),
      cells(caches.value, valueDim),
      mask,
    );
    joined = joined === null ? attended : graph.concat(joined, attended, 1);
  }
  const all = joined as GraphNode;
  const result = graph.view(all, all.ne0 * all.ne1, n);
  graph.expand(result);
  return result;
}
