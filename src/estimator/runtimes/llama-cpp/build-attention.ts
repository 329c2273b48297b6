import type { Attention, GroupedAttention, Indexer, LatentAttention } from "../../architecture/architecture.js";
import { cacheRowBytes, F32_CACHE, isQuantizedCache } from "../../kv-cache/cache-type.js";
import type { CacheInputs, LayerContext } from "./graph-context.js";
import type { GraphHabits } from "./graph-habits.js";
import { F16, F32, type GraphNode, I32, Op } from "./graph-node.js";
import type { RunSettings } from "./run-settings.js";

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
  const gate: { node: GraphNode | null } = { node: null };
  const projected = projectGrouped(layer, attention, x, gate);
  if (attention.uncached) {
    return layer.project("attn_output", attendWithinBatch(layer, attention, projected));
  }
  const inputs = context.inputsFor(attention.window?.size ?? 0);
  const turns = rotations(layer, attention);
  const turn = (node: GraphNode, by: GraphNode | null): GraphNode => (by === null ? node : hadamard(layer, node, by));
  const roped = (node: GraphNode, norm: string): GraphNode => {
    const isUnrotated = attention.noRope || layer.isUnrotated;
    const scales = isUnrotated && context.habits.scalesUnrotated === true && node === projected.query;
    const plain = scales ? graph.inPlace(node, context.attentionScale) : node;
    const result = isUnrotated ? plain : layer.rope(node, isWindowed);
    return context.habits.normsAfterRope ? layer.norm(norm, result) : result;
  };
  const rotatedQuery = turn(roped(projected.query, "attn_q_norm"), turns.key);
  const rotatedKey = attention.ownsNoKeys ? projected.key : turn(roped(projected.key, "attn_k_norm"), turns.key);
  const value = attention.ownsNoKeys ? projected.value : turn(projected.value, turns.value);
  const selection =
    attention.indexer === undefined || !selectsBlocks(context.run)
      ? null
      : prepareBlockSelection(layer, attention.indexer, inputs, x);
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
    selection === null
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
      : attendToBlocks(layer, attention, inputs, rotatedQuery, { key: keyCache, value: valueCache }, selection);
  attended = turn(attended, turns.value);
  if (gate.node !== null) {
    const open = graph.inPlace(gate.node);
    attended = graph.inPlace(attended, context.habits.reshapesGate ? graph.view(open, open.ne0, open.ne1) : open);
  } else if (layer.has("attn_gate.weight")) {
    attended = gateAttention(layer, attention, x, attended);
  }
  return layer.has("attn_output.weight") ? layer.project("attn_output", attended) : attended;
}

/** An encoder's tokens attend to those of their microbatch, straight from the projections: nothing is cached. */
function attendWithinBatch(layer: LayerContext, attention: GroupedAttention, projected: Projected): GraphNode {
  const { graph, context } = layer;
  const { heads, kvHeads, valueDim } = attention;
  const n = context.tokens;
  const isWindowed = attention.window !== undefined;
  const roped = (node: GraphNode): GraphNode =>
    attention.noRope || layer.isUnrotated ? node : layer.rope(node, isWindowed);
  const query = roped(projected.query);
  const key = roped(projected.key);
  for (const node of [query, key, projected.value]) {
    graph.expand(node);
  }
  const mask = context.batchMask(isWindowed);
  const [q, k, v] = [query, key, projected.value].map((node) => graph.swapMiddle(node)) as [
    GraphNode,
    GraphNode,
    GraphNode,
  ];
  let result: GraphNode;
  if (context.run.flashAttention) {
    const halves = [asHalf(layer, k), asHalf(layer, v)];
    const fused = graph.make(Op.FLASH_ATTENTION, F32, valueDim, heads, n, 1, q, ...halves, mask);
    result = graph.view(fused, valueDim * heads, n);
  } else {
    const soft = graph.inPlace(graph.make(Op.PLAIN, F32, n, n, heads, 1, k, q), mask);
    const turned = graph.make(Op.PLAIN, F32, n, valueDim, kvHeads, 1, graph.transpose(v));
    const weighted = graph.make(Op.PLAIN, F32, valueDim, n, heads, 1, turned, soft);
    result = graph.contiguous(graph.swapMiddle(weighted), valueDim * heads, n, 1, 1);
    if (!context.run.kvOffload) {
      result.backend = context.host;
    }
  }
  graph.expand(result);
  return result;
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
  if (layer.context.habits.normsAfterRope) {
    return layer.heads(x, headDim, heads);
  }
  const width = layer.shape(`${name}.weight`)[0];
  if (width !== undefined && width !== headDim && width === headDim * heads) {
    return layer.heads(layer.norm(name, x), headDim, heads);
  }
  return layer.norm(name, layer.heads(x, headDim, heads));
}

/** A layer's cache of rows of `width` values, as wide views of which ggml sees it. */
export function cacheOf(
  layer: LayerContext,
  inputs: Pick<CacheInputs, "cells" | "count">,
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
export function attend(layer: LayerContext, inputs: CacheInputs, input: AttendInput): GraphNode {
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
    const sources = [q, asHalf(layer, k), asHalf(layer, v), mask];
    if (layer.has("attn_sinks.weight")) {
      sources.push(layer.weight("attn_sinks.weight"));
    }
    let fused = graph.make(Op.FLASH_ATTENTION, F32, valueDim, queryHeads, perStream, streams, ...sources);
    fused.deviceBytes = halfCopies(layer, inputs, input);
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
      v = graph.make(Op.PLAIN, rows.nb0, rows.ne1, rows.ne0, rows.ne2, rows.ne3, graph.transpose(rows));
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

/** Fused attention reads no keys or values in single precision: they are copied to half. */
function asHalf(layer: LayerContext, x: GraphNode): GraphNode {
  return x.nb0 === F32 ? layer.graph.castToHalf(x) : x;
}

/** A cache seen as [dim, heads, cells, streams]. */
function rowsView(layer: LayerContext, inputs: CacheInputs, cache: GraphNode, dim: number, heads: number): GraphNode {
  return layer.graph.stridedView(
    cache,
    [dim, heads, inputs.cells, inputs.count.streams],
    [cache.nb0 * dim, cache.nb1, cache.nb2],
  );
}

/**
 * CUDA's flash attention works on half precision: quantized K and V are expanded beside its result. The processor
 * reads quantized rows as they are.
 */
function halfCopies(layer: LayerContext, inputs: CacheInputs, input: AttendInput): number {
  const { typeK, typeV } = layer.context.run;
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
  if (attention.cachesExpanded) {
    return buildExpandedAttention(layer, attention, x);
  }
  const inputs = context.inputsFor(0);
  const compressedQuery = attention.queryRank === null ? x : layer.norm("attn_q_a_norm", layer.project("attn_q_a", x));
  const indexer = context.habits.skipsIndexer ? undefined : attention.indexer;
  const selected = indexer === undefined ? null : selectTokens(layer, indexer, attention.ropeDim, compressedQuery, x);
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
    ...(selected === null ? {} : { mask: selectionMask(layer, inputs.mask, selected) }),
  });
  return layer.project("attn_output", attended);
}

/** Latents that are expanded to keys and values of every head before they are cached (models/minicpm3.cpp). */
function buildExpandedAttention(layer: LayerContext, attention: LatentAttention, x: GraphNode): GraphNode {
  const { graph, context } = layer;
  const { heads, kvRank, ropeDim, nopeDim, valueDim } = attention;
  const n = context.tokens;
  const keyDim = nopeDim + ropeDim;
  const inputs = context.inputsFor(0);
  const part = (rows: GraphNode, width: number, count: number, stride: number, offset: number): GraphNode =>
    graph.stridedView(rows, [width, count, n, 1], [stride * F32, rows.nb1, rows.nb1 * n], offset * F32);
  const compressedQuery = layer.norm("attn_q_a_norm", layer.project("attn_q_a", x));
  const queries = layer.project(attention.queryRank === null ? "attn_q" : "attn_q_b", compressedQuery);
  const compressed = layer.project("attn_kv_a_mqa", x);
  const latent = graph.stridedView(compressed, [kvRank, n, 1, 1], [compressed.nb1, compressed.nb2, compressed.nb3]);
  const expanded = layer.project("attn_kv_b", layer.norm("attn_kv_a_norm", latent));
  const value = graph.contiguous(part(expanded, valueDim, heads, nopeDim + valueDim, nopeDim));
  const ropedQuery = layer.rope(part(queries, ropeDim, heads, keyDim, nopeDim), false);
  const ropedKey = layer.rope(part(compressed, ropeDim, 1, kvRank + ropeDim, kvRank), false);
  contiguousStrides(ropedQuery);
  contiguousStrides(ropedKey);
  const query = graph.concat(part(queries, nopeDim, heads, keyDim, 0), ropedQuery, 0);
  const repeated = graph.make(Op.PLAIN, F32, ropeDim, heads, n, 1, ropedKey);
  const key = graph.concat(part(expanded, nopeDim, heads, nopeDim + valueDim, 0), repeated, 0);
  graph.expand(query);
  graph.expand(value);
  graph.expand(key);
  const keyCache = cacheOf(layer, inputs, context.run.typeK, keyDim * heads);
  const valueCache = cacheOf(layer, inputs, context.run.typeV, valueDim * heads);
  storeRows(layer, keyCache, key, inputs.keyRows);
  storeRows(layer, valueCache, value, inputs.valueRows);
  const attended = attend(layer, inputs, {
    query,
    queryHeads: heads,
    keyCache,
    valueCache,
    keyDim,
    valueDim,
    kvHeads: heads,
    decompress: null,
  });
  return layer.project("attn_output", attended);
}

/**
 * True where layers of the same kind differ in memory: each sets some aside that is taken from the start of the
 * graph until the layer is computed, or copies inputs of its own, which come in batches of several layers.
 */
export function dependsOnPosition(attention: Attention | undefined, habits: GraphHabits): boolean {
  return attention?.indexer !== undefined && habits.skipsIndexer !== true;
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
  const best = graph.make(Op.PLAIN, I32, Math.min(inputs.cells, indexer.topK), perStream, 1, streams, scores);
  return graph.plain(best);
}

/**
 * A mask that leaves the selected cells only: everything masked, the selected unmasked by writing zeros, joined
 * with the usual one (llama-graph.cpp, build_attn with top_k).
 */
export function selectionMask(layer: LayerContext, mask: GraphNode, selected: GraphNode, zeroBytes = F32): GraphNode {
  const { graph } = layer;
  const masked = graph.plain(mask);
  const cells = graph.view(masked, 1, mask.ne0, mask.ne1, mask.ne3);
  const zeros = graph.inPlace(graph.scratch(zeroBytes, 1, selected.ne0, selected.ne1, selected.ne3));
  const unmasked = graph.setRows(cells, zeros, graph.view(selected, selected.ne0, selected.ne1, selected.ne3));
  return graph.inPlace(graph.view(unmasked, mask.ne0, mask.ne1, 1, mask.ne3), mask);
}

/** The result of an operation on a strided view is contiguous. */
export function contiguousStrides(node: GraphNode): void {
  node.nb1 = node.nb0 * node.ne0;
  node.nb2 = node.nb1 * node.ne1;
  node.nb3 = node.nb2 * node.ne2;
}

/** Cells that are selected together (MiniMax-M3, sparse_block_size). */
const SPARSE_BLOCK_CELLS = 128;

/**
 * Block-sparse attention runs with flash attention, and where each sequence's cells are its own; otherwise every
 * cell is attended to (models/minimax-m3.cpp).
 */
export function selectsBlocks(run: RunSettings): boolean {
  return run.flashAttention && (run.sequences === 1 || !run.kvUnified);
}

/**
 * Streams that are built one by one. More are taken for so many of more tokens each, which need no less memory:
 * llama.cpp's own graph has no room for many.
 */
const MAX_STREAMS_APART = 16;

/** What block selection needs beside the caches: the index queries and keys, and inputs that all layers share. */
interface BlockSelection {
  /** Index queries: [keyDim, heads, tokens]. */
  queries: GraphNode;
  keyCache: GraphNode;
  /** The usual mask in single precision. */
  mask: GraphNode;
  /** What lifts the blocks next to each token: [blocks, tokens]. */
  bias: GraphNode;
}

/**
 * Block-sparse attention (models/minimax-m3.cpp): every cell is scored by index heads, blocks of cells are ranked
 * by their best score, and each group of heads has a mask of its own that leaves the best blocks. Index keys are
 * stored here, as llama.cpp does before it stores keys and values.
 */
function prepareBlockSelection(
  layer: LayerContext,
  indexer: Indexer,
  inputs: CacheInputs,
  x: GraphNode,
): BlockSelection {
  const { graph, context } = layer;
  const { heads, keyDim } = indexer;
  const roped = (name: string, count: number): GraphNode =>
    layer.rope(
      layer.norm(`indexer.${name}_norm`, layer.heads(layer.project(`indexer.${name}_proj`, x), keyDim, count)),
      false,
    );
  const mask = context.shared("selection mask", () =>
    graph.make(Op.PLAIN, F32, inputs.mask.ne0, inputs.mask.ne1, 1, inputs.mask.ne3, inputs.mask),
  );
  const bias = context.shared("selection bias", () =>
    context.input("selection bias", F32, Math.ceil(inputs.cells / SPARSE_BLOCK_CELLS), context.tokens),
  );
  const queries = roped("q", heads);
  const keyCache = cacheOf(layer, inputs, F32_CACHE, keyDim);
  storeRows(layer, keyCache, roped("k", 1), inputs.keyRows);
  return { queries, keyCache, mask, bias };
}

/** Attention to selected blocks, stream by stream: one fused operation over all groups of heads. */
function attendToBlocks(
  layer: LayerContext,
  attention: GroupedAttention,
  inputs: CacheInputs,
  query: GraphNode,
  caches: { key: GraphNode; value: GraphNode },
  selection: BlockSelection,
): GraphNode {
  const { graph, context } = layer;
  const { heads, kvHeads, keyDim, valueDim } = attention;
  const { cells } = inputs;
  const streams = Math.min(inputs.count.streams, MAX_STREAMS_APART);
  const n = Math.ceil(context.tokens / streams);
  const { queries, keyCache, mask, bias } = selection;
  const indexHeads = queries.ne1;
  const blocks = bias.ne0;
  const groups = (cache: GraphNode, dim: number, stream: number): GraphNode =>
    graph.stridedView(
      cache,
      [dim, cells, 1, kvHeads],
      [cache.nb1, dim * cache.nb0, dim * cache.nb0],
      stream * cache.nb2,
    );
  let joined: GraphNode | null = null;
  for (let stream = 0; stream < streams; stream += 1) {
    const from = stream * n;
    const indexQuery = graph.view(queries, queries.ne0, indexHeads * n, 1, 1, from * queries.nb2);
    const indexKeys = graph.view(keyCache, queries.ne0, cells, 1, 1, stream * keyCache.nb2);
    const products = graph.view(graph.mulMat(indexKeys, indexQuery), cells, indexHeads, n);
    const scores = graph.into(products, graph.view(mask, cells, 1, n, 1, stream * mask.nb3));
    const best = graph.make(Op.PLAIN, F32, blocks, indexHeads, n, 1, scores);
    const kept = graph.make(
      Op.PLAIN,
      F16,
      blocks,
      n,
      indexHeads,
      1,
      best,
      graph.view(bias, blocks, n, 1, 1, from * bias.nb1),
    );
    const wide = graph.make(Op.PLAIN, F16, SPARSE_BLOCK_CELLS, blocks, n * indexHeads, 1, kept);
    const masks = graph.into(
      graph.view(wide, cells, n, indexHeads),
      graph.view(inputs.mask, cells, n, 1, 1, stream * inputs.mask.nb3),
    );
    const part = graph.view(query, keyDim, heads / kvHeads, kvHeads, n, from * query.nb2);
    const attended = graph.make(
      Op.FLASH_ATTENTION,
      F32,
      valueDim,
      heads / kvHeads,
      n,
      kvHeads,
      part,
      groups(caches.key, keyDim, stream),
      groups(caches.value, valueDim, stream),
      masks,
    );
    const rows = graph.view(graph.contiguous(attended), valueDim * heads, n);
    joined = joined === null ? rows : graph.concat(joined, rows, 1);
  }
  const result = graph.view(joined as GraphNode, valueDim * heads, context.tokens);
  graph.expand(result);
  return result;
}
