import type { GraphBuilder } from "./graph-builder.js";
import { F32, type GraphNode, Op } from "./graph-node.js";

/** Tokens of a chunk: with one decay per head, and with one per channel (models/delta-net-base.cpp). */
const HEAD_DECAY_CHUNK = 64;
const CHANNEL_DECAY_CHUNK = 16;

/** Operands of a delta rule, as the fused operation takes them. */
export interface DeltaOperands {
  /** [keyDim, heads, tokens, sequences], and keys alike. */
  query: GraphNode;
  key: GraphNode;
  /** [valueDim, heads, tokens, sequences]. */
  value: GraphNode;
  /** [1 or keyDim, heads, tokens, sequences]. */
  decay: GraphNode;
  /** [1, heads, tokens, sequences]. */
  beta: GraphNode;
  /** [valueDim, keyDim, heads, sequences]. */
  state: GraphNode;
}

/**
 * The delta rule chunk by chunk, out of plain operations: what llama.cpp runs where the fused operation would not be
 * on its layer's device (models/delta-net-base.cpp, build_delta_net_chunking). Within a chunk the triangular system
 * of its tokens is solved for all chunks at once; then the state is carried from chunk to chunk.
 */
export function buildChunkedDelta(
  graph: GraphBuilder,
  operands: DeltaOperands,
): { output: GraphNode; state: GraphNode } {
  const { ne1: heads, ne2: tokens, ne3: sequences } = operands.query;
  const keyDim = operands.query.ne0;
  const valueDim = operands.value.ne0;
  const isPerChannel = operands.decay.ne0 !== 1;
  const size = isPerChannel ? CHANNEL_DECAY_CHUNK : HEAD_DECAY_CHUNK;
  const chunks = Math.ceil(tokens / size);
  const batch = heads * sequences;
  const pad = (node: GraphNode): GraphNode =>
    graph.make(Op.PLAIN, F32, node.ne0, chunks * size, heads, sequences, graph.swapMiddle(node));
  const inChunks = (node: GraphNode): GraphNode => graph.view(node, node.ne0, size, chunks, batch);
  const turned = (node: GraphNode): GraphNode =>
    graph.contiguous(graph.transpose(node), node.ne1, node.ne0, node.ne2, node.ne3);
  const paddedQuery = pad(graph.inPlace(operands.query));
  const paddedKey = pad(operands.key);
  const paddedBeta = pad(operands.beta);
  const valueBeta = inChunks(graph.inPlace(pad(operands.value), paddedBeta));
  const keyBeta = inChunks(graph.inPlace(paddedKey, paddedBeta));
  const query = inChunks(paddedQuery);
  const key = inChunks(paddedKey);
  const decay = graph.plain(turned(inChunks(pad(operands.decay))));
  const products = isPerChannel
    ? channelProducts(graph, { query, key, keyBeta, decay })
    : headProducts(graph, { query, key, keyBeta, decay });
  const keyQuery = graph.plain(products.keyQuery);
  const lower = graph.plain(products.keyKey);
  const identity = graph.make(Op.PLAIN, F32, size, size, 1, 1, graph.inPlace(graph.view(lower, size, 1)));
  const system = graph.inPlace(lower, identity);
  const solved = graph.plain(system, graph.inPlace(lower));
  const mixing = graph.inPlace(solved, identity);
  const values = graph.mulMat(turned(valueBeta), mixing);
  const decayed = graph.inPlace(decay);
  const cumulative = graph.mulMat(graph.inPlace(turned(keyBeta), decayed), mixing);
  const decayedQuery = graph.inPlace(query, turned(decayed));
  const last = graph.contiguous(
    graph.stridedView(decay, [1, decay.ne1, decay.ne2, decay.ne3], [decay.nb1, decay.nb2, decay.nb3], (size - 1) * F32),
  );
  const lastDecay = graph.transpose(graph.inPlace(last));
  const rest = graph.inPlace(graph.inPlace(decay, last));
  const keyRest = turned(graph.inPlace(key, turned(graph.inPlace(rest))));
  let state = graph.view(operands.state, valueDim, valueDim, 1, batch);
  const turnedValues = turned(values);
  let result = values;
  for (let chunk = 0; chunk < chunks; chunk += 1) {
    const slice = (node: GraphNode): GraphNode =>
      graph.stridedView(node, [node.ne0, node.ne1, 1, node.ne3], [node.nb1, node.nb2, node.nb3], chunk * node.nb2);
    const fresh = graph.inPlace(slice(turnedValues), graph.mulMat(slice(cumulative), state));
    const within = graph.mulMat(fresh, slice(keyQuery));
    const between = graph.mulMat(state, slice(decayedQuery));
    result = graph.into(result, graph.inPlace(between, within));
    const update = graph.mulMat(slice(keyRest), fresh);
    state = graph.inPlace(graph.inPlace(state, slice(lastDecay)), update);
  }
  const rows = graph.stridedView(
    result,
    [valueDim, tokens, heads, sequences],
    [valueDim * F32, valueDim * size * chunks * F32, valueDim * size * chunks * heads * F32],
  );
  return { output: graph.swapMiddle(rows), state: graph.view(state, valueDim, keyDim, heads, sequences) };
}

interface ChunkedOperands {
  query: GraphNode;
  key: GraphNode;
  keyBeta: GraphNode;
  decay: GraphNode;
}

interface ChunkProducts {
  keyKey: GraphNode;
  keyQuery: GraphNode;
}

/** Keys by keys and by queries with one decay per head: [chunk, chunk, chunks, batch]. */
function headProducts(graph: GraphBuilder, { query, key, keyBeta, decay }: ChunkedOperands): ChunkProducts {
  const { ne0: size, ne2: chunks, ne3: batch } = decay;
  const repeated = graph.make(Op.PLAIN, F32, size, size, chunks, batch, graph.view(decay, 1, size, chunks, batch));
  const mask = graph.inPlace(graph.plain(graph.inPlace(repeated, decay)));
  return {
    keyKey: graph.inPlace(graph.mulMat(key, keyBeta), mask),
    keyQuery: graph.inPlace(graph.mulMat(key, query), mask),
  };
}

/** The same with one decay per channel: every pair of tokens has a decay of its own for every channel. */
function channelProducts(graph: GraphBuilder, { query, key, keyBeta, decay }: ChunkedOperands): ChunkProducts {
  const { ne0: size, ne1: keyDim, ne2: chunks, ne3: batch } = decay;
  const all = chunks * batch;
  const repeated = graph.make(Op.PLAIN, F32, size, size, keyDim, all, graph.view(decay, 1, size, keyDim, all));
  const difference = graph.inPlace(repeated, graph.view(decay, size, 1, keyDim, all));
  const mask = graph.make(Op.PLAIN, F32, keyDim, size, size, all, graph.inPlace(graph.plain(difference)));
  const wide = (node: GraphNode): GraphNode => graph.view(node, keyDim, size, 1, all);
  const single = graph.view(key, keyDim, 1, size, all);
  const product = (side: GraphNode): GraphNode => {
    const joined = graph.view(graph.mulMat(graph.inPlace(mask, wide(side)), single), size, size, chunks, batch);
    return graph.contiguous(graph.transpose(joined), size, size, chunks, batch);
  };
  return { keyKey: product(keyBeta), keyQuery: product(query) };
}
