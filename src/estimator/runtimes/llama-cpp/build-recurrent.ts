import type {
  Block,
  GatedDeltaNet,
  KimiDeltaAttention,
  LightningAttention,
  Mamba1,
  Mamba2,
  Recurrent,
  ShortConvolution,
} from "../../architecture/architecture.js";
import { recurrentStateValues } from "../../kv-cache/layer-caches.js";
import { buildChunkedDelta, type DeltaOperands } from "./build-chunked-delta.js";
import type { LayerContext } from "./graph-context.js";
import { F32, type GraphNode, Op } from "./graph-node.js";
import { OFFLOAD_ROWS } from "./schedule-graph.js";

/** A recurrent mixer from the normed input to its output projection: [hidden, tokens]. */
export function buildRecurrent(layer: LayerContext, recurrent: Recurrent, x: GraphNode): GraphNode {
  switch (recurrent.kind) {
    case "mamba1":
      return buildMamba1(layer, recurrent, x);
    case "mamba2":
      return buildMamba2(layer, recurrent, x);
    case "gated-delta-net":
      return buildGatedDeltaNet(layer, recurrent, x);
    case "kimi-delta-attention":
      return buildKimiDelta(layer, recurrent, x);
    case "short-convolution":
      return buildShortConvolution(layer, recurrent, x);
    case "lightning":
      return buildLightning(layer, recurrent, x);
  }
}

/** Tokens of one sequence in the microbatch. */
function sequenceTokens(layer: LayerContext): number {
  return layer.context.tokens / layer.context.run.sequences;
}

/** State buffer of a layer: one row of `values` per sequence. */
function stateBuffer(layer: LayerContext, values: number): GraphNode {
  return layer.graph.cache(layer.cacheBackend, F32, values, layer.context.run.sequences, 1);
}

/** Copies the states of the sequences at hand out of their buffer (llama-graph.cpp, build_rs). */
function readState(layer: LayerContext, state: GraphNode): GraphNode {
  const { graph, context } = layer;
  clearState(layer, state);
  const states = graph.view(state, state.ne0, state.ne1);
  const rows = graph.getRows(states, context.stateIds().present);
  graph.expand(rows);
  moveOtherStates(layer, states);
  return rows;
}

/** States of sequences that are not at hand are copied within the buffer: none in the largest microbatch. */
function moveOtherStates(layer: LayerContext, states: GraphNode): void {
  const { graph, context } = layer;
  const others = graph.getRows(states, context.stateIds().others);
  const target = graph.view(states, states.ne0, 0);
  target.op = Op.SET_ROWS;
  target.sources = [others, states];
  graph.expand(target);
}

/** A fresh sequence's state is cleared in its buffer first. */
function clearState(layer: LayerContext, state: GraphNode): void {
  const { graph } = layer;
  const first = graph.view(state, state.ne0, 1);
  const cleared = graph.view(first, state.ne0, 1);
  cleared.op = Op.SET_ROWS;
  graph.expand(cleared);
}

/** Copies a view of a result into the state buffer. */
function writeState(layer: LayerContext, state: GraphNode, from: GraphNode): void {
  const { graph } = layer;
  const target = graph.view(state, state.ne0, state.ne1);
  const copy = graph.view(target, state.ne0, state.ne1);
  copy.op = Op.SET_ROWS;
  copy.sources = [from, target];
  graph.expand(copy);
}

/**
 * A causal convolution: the last inputs of each sequence, kept in the state, go before the new ones.
 * `x` is [channels, tokens of a sequence, sequences]; the result has the same shape.
 */
function convolve(
  layer: LayerContext,
  state: GraphNode,
  previous: GraphNode,
  x: GraphNode,
  weight: GraphNode,
  kernel: number,
): GraphNode {
  const { graph } = layer;
  const joined = graph.concat(previous, graph.transpose(x), 0);
  const last = graph.stridedView(
    joined,
    [kernel - 1, joined.ne1, joined.ne2, 1],
    [joined.nb1, joined.nb2, joined.nb3],
    (joined.ne0 - kernel + 1) * F32,
  );
  writeState(layer, state, last);
  return graph.make(Op.PLAIN, F32, x.ne0, x.ne1, x.ne2, 1, joined, weight);
}

/** The part of a row from `offset` on, `width` wide: [width, n, m]. */
function rowPart(layer: LayerContext, x: GraphNode, width: number, offset: number): GraphNode {
  return layer.graph.stridedView(x, [width, x.ne1, x.ne2, 1], [x.nb1, x.nb2, x.nb3], offset * F32);
}

function perSequence(layer: LayerContext, x: GraphNode): GraphNode {
  return layer.graph.view(x, x.ne0, sequenceTokens(layer), layer.context.run.sequences);
}

/** models/mamba-base.cpp, build_mamba2_layer. */
function buildMamba2(layer: LayerContext, mamba: Mamba2, x: GraphNode): GraphNode {
  const { graph, context } = layer;
  const { sequences } = context.run;
  const n = sequenceTokens(layer);
  const { innerSize, stateSize, heads, groups, convKernel } = mamba;
  const headDim = innerSize / heads;
  const channels = innerSize + 2 * groups * stateSize;
  const sizes = recurrentStateValues(mamba, context.architecture.hiddenSize);
  const convState = stateBuffer(layer, sizes.convolution);
  const previous = graph.view(readState(layer, convState), convKernel - 1, channels, sequences);
  const projected = layer.project("ssm_in", perSequence(layer, x));
  const rowBytes = projected.nb1;
  const gate = graph.stridedView(projected, [headDim, heads, n, sequences], [headDim * F32, rowBytes, projected.nb2]);
  const mixed = rowPart(layer, projected, channels, innerSize);
  const rates = rowPart(layer, projected, heads, innerSize + channels);
  let conv = convolve(layer, convState, previous, mixed, layer.weight("ssm_conv1d.weight"), convKernel);
  conv = graph.inPlace(layer.bias("ssm_conv1d", conv));
  const values = graph.stridedView(conv, [headDim, heads, n, sequences], [headDim * F32, conv.nb1, conv.nb2]);
  const keys = (offset: number): GraphNode =>
    graph.stridedView(conv, [stateSize, groups, n, sequences], [stateSize * F32, conv.nb1, conv.nb2], offset * F32);
  const steps = layer.bias("ssm_dt", graph.contiguous(rates));
  const state = stateBuffer(layer, sizes.state);
  const scanned = scan(layer, state, innerSize * n * sequences, sizes.state * sequences, [
    values,
    steps,
    layer.weight("ssm_a"),
    keys(innerSize),
    keys(innerSize + groups * stateSize),
  ]);
  const y = graph.view(scanned, headDim, heads, n, sequences);
  const skipped = graph.inPlace(values, layer.weight("ssm_d"));
  const summed = graph.inPlace(y, skipped);
  let result = graph.plain(graph.contiguous(gate), summed);
  if (layer.has("ssm_norm.weight")) {
    result = layer.norm("ssm_norm", graph.view(result, innerSize / groups, groups, n, sequences));
  }
  return flatten(layer, layer.project("ssm_out", graph.view(result, innerSize, n, sequences)));
}

/** models/mamba-base.cpp, build_mamba_layer. */
function buildMamba1(layer: LayerContext, mamba: Mamba1, x: GraphNode): GraphNode {
  const { graph, context } = layer;
  const { sequences } = context.run;
  const n = sequenceTokens(layer);
  const { innerSize, stateSize, timeStepRank, convKernel } = mamba;
  const sizes = recurrentStateValues(mamba, context.architecture.hiddenSize);
  const convState = stateBuffer(layer, sizes.convolution);
  const previous = graph.view(readState(layer, convState), convKernel - 1, innerSize, sequences);
  const projected = layer.project("ssm_in", perSequence(layer, x));
  const mixed = rowPart(layer, projected, innerSize, 0);
  const gate = rowPart(layer, projected, innerSize, innerSize);
  let conv = convolve(layer, convState, previous, mixed, layer.weight("ssm_conv1d.weight"), convKernel);
  conv = graph.inPlace(layer.bias("ssm_conv1d", conv));
  const parts = layer.project("ssm_x", conv);
  const steps = layer.norm("ssm_dt_norm", rowPart(layer, parts, timeStepRank, 0));
  const keys = layer.norm("ssm_b_norm", rowPart(layer, parts, stateSize, timeStepRank));
  const queries = layer.norm("ssm_c_norm", rowPart(layer, parts, stateSize, timeStepRank + stateSize));
  const rates = layer.project("ssm_dt", steps);
  const state = stateBuffer(layer, sizes.state);
  const scanned = scan(layer, state, innerSize * n * sequences, sizes.state * sequences, [
    graph.view(conv, 1, innerSize, n, sequences),
    rates,
    layer.weight("ssm_a"),
    keys,
    queries,
  ]);
  const y = graph.view(scanned, innerSize, n, sequences);
  const summed = graph.inPlace(y, graph.inPlace(conv, layer.weight("ssm_d")));
  const result = graph.plain(graph.contiguous(gate), summed);
  return flatten(layer, layer.project("ssm_out", result));
}

/** The selective scan: outputs and new states in one result, of which the states go back to their buffer. */
function scan(
  layer: LayerContext,
  state: GraphNode,
  outputs: number,
  states: number,
  sources: readonly GraphNode[],
): GraphNode {
  const { graph, context } = layer;
  clearState(layer, state);
  const rows = graph.view(state, state.ne0, state.ne1);
  const slots = graph.view(rows, state.ne0, state.ne1);
  const scanned = graph.make(Op.PLAIN, F32, outputs + states, 1, 1, 1, slots, ...sources, context.stateIds().present);
  graph.expand(scanned);
  moveOtherStates(layer, rows);
  writeState(layer, state, graph.view(scanned, states, 1, 1, 1, outputs * F32));
  return scanned;
}

/** models/qwen3next.cpp and models/qwen35.cpp, build_layer_attn_linear. */
function buildGatedDeltaNet(layer: LayerContext, net: GatedDeltaNet, x: GraphNode): GraphNode {
  const { graph, context } = layer;
  const { sequences } = context.run;
  const n = sequenceTokens(layer);
  const { keyHeads, keyDim, valueHeads, valueDim, convKernel } = net;
  const inner = valueHeads * valueDim;
  const channels = 2 * keyHeads * keyDim + inner;
  const sizes = recurrentStateValues(net, context.architecture.hiddenSize);
  graph.expand(x);
  const mixed = perSequence(layer, layer.project("attn_qkv", x));
  const gate = layer.project("attn_gate", x);
  const { beta, decay } = net.fusedRates ? fusedRates(layer, net, x) : splitRates(layer, net, x);
  const convState = stateBuffer(layer, sizes.convolution);
  const previous = graph.view(readState(layer, convState), convKernel - 1, channels, sequences);
  const joined = graph.concat(previous, graph.transpose(mixed), 0);
  const last = graph.stridedView(
    joined,
    [convKernel - 1, channels, sequences, 1],
    [joined.nb1, joined.nb2, joined.nb3],
    n * F32,
  );
  writeState(layer, convState, last);
  const state = stateBuffer(layer, sizes.state);
  const states = graph.view(readState(layer, state), valueDim, keyDim, valueHeads, sequences);
  const conv = graph.inPlace(
    graph.make(Op.PLAIN, F32, channels, n, sequences, 1, joined, layer.weight("ssm_conv1d.weight")),
  );
  const part = (dim: number, heads: number, offset: number): GraphNode =>
    graph.stridedView(conv, [dim, heads, n, sequences], [dim * F32, conv.nb1, conv.nb2], offset * F32);
  let query = graph.plain(part(keyDim, keyHeads, 0));
  let key = graph.plain(part(keyDim, keyHeads, keyDim * keyHeads));
  contiguousLayout(query);
  contiguousLayout(key);
  const value = part(valueDim, valueHeads, 2 * keyDim * keyHeads);
  if (keyHeads !== valueHeads && (context.habits.repeatsKeys || context.chunksDelta)) {
    const repeat = context.habits.repeatsKeys ? repeatHeads : tileHeads;
    query = repeat(layer, query, valueHeads);
    key = repeat(layer, key, valueHeads);
  }
  const output = applyDelta(layer, state, { query, key, value, decay, beta, state: states });
  const normed = layer.norm("ssm_norm", output);
  const gated = graph.inPlace(normed, graph.inPlace(graph.view(gate, valueDim, valueHeads, n, sequences)));
  return flatten(layer, layer.project("ssm_out", graph.view(gated, inner, n, sequences)));
}

/** Keys or queries for every value head: each head's rows beside one another. */
function repeatHeads(layer: LayerContext, x: GraphNode, heads: number): GraphNode {
  const { graph } = layer;
  const rows = x.ne2 * x.ne3;
  const single = graph.view(x, x.ne0, 1, x.ne1, rows);
  const repeated = graph.make(Op.PLAIN, F32, x.ne0, heads / x.ne1, x.ne1, rows, single);
  return graph.view(repeated, x.ne0, heads, x.ne2, x.ne3);
}

/** The same by repeating all heads in turn. */
function tileHeads(layer: LayerContext, x: GraphNode, heads: number): GraphNode {
  return layer.graph.make(Op.PLAIN, F32, x.ne0, heads, x.ne2, x.ne3, x);
}

/**
 * The delta rule, and the new state back to its buffer: one fused operation with outputs and new states in one
 * result, or plain ones. Outputs are [valueDim, heads, tokens of a sequence, sequences].
 */
function applyDelta(layer: LayerContext, state: GraphNode, operands: DeltaOperands): GraphNode {
  const { graph, context } = layer;
  const { query, key, value, decay, beta, state: states } = operands;
  const { ne0: valueDim, ne1: heads, ne2: n, ne3: sequences } = value;
  if (context.chunksDelta && n > 1) {
    const chunked = buildChunkedDelta(graph, operands);
    writeState(layer, state, chunked.state);
    return chunked.output;
  }
  const inner = valueDim * heads;
  const rows = (n + states.ne1) * sequences;
  const delta = graph.make(Op.PLAIN, F32, inner, rows, 1, 1, query, key, value, decay, beta, states);
  writeState(layer, state, graph.view(delta, state.ne0, sequences, 1, 1, inner * n * sequences * F32));
  return graph.view(delta, valueDim, heads, n, sequences);
}

/**
 * Whether llama.cpp gives up the fused delta rule: it looks where the operation falls with 16 tokens of each
 * sequence, and with layers in host memory and {@link OFFLOAD_ROWS} tokens or more that is the device, not the
 * layer's own place (llama-context.cpp, resolve_fused_ops).
 */
export function losesFusedDelta(hostBlocks: readonly Block[], sequences: number): boolean {
  const isDelta = ({ recurrent }: Block): boolean =>
    recurrent?.kind === "gated-delta-net" || recurrent?.kind === "kimi-delta-attention";
  return PROBE_TOKENS * sequences >= OFFLOAD_ROWS && hostBlocks.some(isDelta);
}

/** Tokens of each sequence in the graph that llama.cpp tries. */
const PROBE_TOKENS = 16;

/** A result of an operation on a strided view is contiguous. */
function contiguousLayout(node: GraphNode): void {
  node.nb1 = node.nb0 * node.ne0;
  node.nb2 = node.nb1 * node.ne1;
  node.nb3 = node.nb2 * node.ne2;
}

function splitRates(layer: LayerContext, net: GatedDeltaNet, x: GraphNode): { beta: GraphNode; decay: GraphNode } {
  const { graph, context } = layer;
  const { sequences } = context.run;
  const n = sequenceTokens(layer);
  const beta = graph.inPlace(graph.view(layer.project("ssm_beta", x), 1, net.valueHeads, n, sequences));
  const alpha = layer.bias("ssm_dt", graph.view(layer.project("ssm_alpha", x), net.valueHeads, n, sequences));
  const decay = graph.inPlace(graph.inPlace(alpha), layer.weight("ssm_a"));
  return { beta, decay: graph.view(decay, 1, net.valueHeads, n, sequences) };
}

function fusedRates(layer: LayerContext, net: GatedDeltaNet, x: GraphNode): { beta: GraphNode; decay: GraphNode } {
  const { graph, context } = layer;
  const { sequences } = context.run;
  const n = sequenceTokens(layer);
  const share = net.valueHeads / net.keyHeads;
  const both = layer.project("ssm_ba", x);
  const grouped = graph.view(both, 2 * share, net.keyHeads, n, sequences);
  const half = (offset: number): GraphNode =>
    graph.stridedView(
      grouped,
      [share, net.keyHeads, n, sequences],
      [grouped.nb1, grouped.nb2, grouped.nb3],
      offset * F32,
    );
  const beta = graph.inPlace(graph.contiguous(half(0)));
  const alpha = layer.bias("ssm_dt", graph.contiguous(half(share), net.valueHeads, n, sequences, 1));
  const decay = graph.inPlace(graph.inPlace(alpha), layer.weight("ssm_a"));
  return {
    beta: graph.view(beta, 1, net.valueHeads, n, sequences),
    decay: graph.view(decay, 1, net.valueHeads, n, sequences),
  };
}

/** models/kimi-linear.cpp: a convolution each for queries, keys and values, and a decay per channel. */
function buildKimiDelta(layer: LayerContext, net: KimiDeltaAttention, x: GraphNode): GraphNode {
  const { graph, context } = layer;
  const { sequences } = context.run;
  const n = sequenceTokens(layer);
  const { heads, headDim, convKernel } = net;
  const inner = heads * headDim;
  const sizes = recurrentStateValues(net, context.architecture.hiddenSize);
  graph.expand(x);
  const convState = stateBuffer(layer, sizes.convolution);
  const previous = readState(layer, convState);
  const oneState = (convKernel - 1) * inner;
  const convolved = (part: string, index: number): GraphNode => {
    const before = graph.stridedView(
      previous,
      [convKernel - 1, inner, sequences, 1],
      [(convKernel - 1) * F32, previous.nb1, previous.nb1 * sequences],
      index * oneState * F32,
    );
    const projected = perSequence(layer, layer.project(`attn_${part}`, x));
    const weight = graph.view(layer.weight(`ssm_conv1d_${part}.weight`), convKernel, inner);
    const conv = convolve(layer, convState, before, projected, weight, convKernel);
    const active = graph.inPlace(graph.view(conv, inner, context.tokens));
    return graph.view(active, headDim, heads, n, sequences);
  };
  const query = convolved("q", 0);
  const key = convolved("k", 1);
  const value = convolved("v", 2);
  const rates = layer.bias("ssm_dt", layer.project("ssm_f_b", layer.project("ssm_f_a", x)));
  const decay = graph.inPlace(
    graph.view(graph.inPlace(rates), headDim, heads, context.tokens),
    graph.view(layer.weight("ssm_a"), 1, heads),
  );
  const beta = graph.inPlace(graph.view(layer.project("ssm_beta", x), 1, heads, n, sequences));
  const state = stateBuffer(layer, sizes.state);
  const states = graph.view(readState(layer, state), headDim, headDim, heads, sequences);
  const normedQuery = graph.plain(query);
  const normedKey = graph.plain(key);
  const operands = {
    query: normedQuery,
    key: normedKey,
    value,
    decay: graph.view(decay, headDim, heads, n, sequences),
    beta,
    state: states,
  };
  const output = graph.contiguous(applyDelta(layer, state, operands));
  const gate = layer.has("ssm_g.weight")
    ? layer.project("ssm_g", x)
    : layer.project("ssm_g_b", layer.project("ssm_g_a", x));
  const normed = layer.norm("ssm_norm", graph.view(output, headDim, heads, context.tokens));
  const gated = graph.inPlace(normed, graph.inPlace(graph.view(gate, headDim, heads, context.tokens)));
  return layer.project("attn_output", graph.contiguous(gated, inner, context.tokens, 1, 1));
}

/** models/lfm2.cpp, build_shortconv_block. */
function buildShortConvolution(layer: LayerContext, convolution: ShortConvolution, x: GraphNode): GraphNode {
  const { graph, context } = layer;
  const { sequences } = context.run;
  const width = context.architecture.hiddenSize;
  const projected = layer.project("shortconv.in_proj", perSequence(layer, x));
  const [b, c, values] = [0, 1, 2].map((chunk) => rowPart(layer, projected, width, chunk * width)) as [
    GraphNode,
    GraphNode,
    GraphNode,
  ];
  const product = graph.inPlace(b, values);
  contiguousLayout(product);
  product.bytes = product.nb3 * product.ne3;
  const kernel = convolution.convKernel;
  const state = stateBuffer(layer, (kernel - 1) * width);
  const previous = graph.view(readState(layer, state), kernel - 1, width, sequences);
  const conv = convolve(layer, state, previous, product, layer.weight("shortconv.conv.weight"), kernel);
  const gated = graph.inPlace(c, conv);
  contiguousLayout(gated);
  return flatten(layer, layer.project("shortconv.out_proj", gated));
}

/** Linear attention with a decay per head: as a delta net without convolution. */
function buildLightning(layer: LayerContext, net: LightningAttention, x: GraphNode): GraphNode {
  const { graph, context } = layer;
  const { sequences } = context.run;
  const inner = net.heads * net.headDim;
  const state = stateBuffer(layer, inner * net.headDim);
  const states = readState(layer, state);
  const mixed = graph.inPlace(layer.project("attn_qkv", x));
  const outputs = graph.make(Op.PLAIN, F32, inner, context.tokens + net.headDim * sequences, 1, 1, mixed, states);
  writeState(layer, state, graph.view(outputs, inner * net.headDim, sequences, 1, 1, inner * context.tokens * F32));
  const normed = layer.norm("ssm_norm", graph.view(outputs, inner, context.tokens));
  return layer.project("attn_output", graph.inPlace(normed, graph.inPlace(layer.project("attn_gate", x))));
}

/** [hidden, tokens of a sequence, sequences] to [hidden, tokens]. */
function flatten(layer: LayerContext, x: GraphNode): GraphNode {
  return layer.graph.view(x, x.ne0, layer.context.tokens);
}
