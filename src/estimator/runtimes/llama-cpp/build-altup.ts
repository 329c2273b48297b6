import { buildGroupedAttention } from "./build-attention.js";
import type { GraphContext, LayerContext } from "./graph-context.js";
import { F32, type GraphNode, Op } from "./graph-node.js";

/**
 * Residual streams of Gemma 3n (AltUp, models/gemma3n.cpp): [hidden, tokens, streams]. The first is active: layers
 * work on it, and small matrices predict and correct the others. A low-rank residual (LAuReL) joins attention.
 */

/** The other streams are projections of the first, as long as it is. */
export function splitAltUp(context: GraphContext, hidden: GraphNode, backend: number): GraphNode {
  const { graph, architecture, tokens } = context;
  const width = architecture.hiddenSize;
  const others = (architecture.residualStreams ?? 1) - 1;
  const target = magnitude(context, hidden);
  const repeated = graph.make(Op.PLAIN, F32, width, tokens, others, 1, hidden);
  const added = graph.mulMat(graph.weight(backend, 0, width, width, others), repeated);
  const scaled = sized(context, added, target);
  return graph.make(Op.PLAIN, F32, width, tokens, others + 1, 1, hidden, scaled);
}

/** The mean of all streams, each projected back; for the output rows only. */
export function mergeAltUp(context: GraphContext, hidden: GraphNode, backend: number): GraphNode {
  const { graph } = context;
  const { ne0: width, ne2: streams } = hidden;
  const target = magnitude(context, slice(context, hidden, 0));
  const others = graph.view(hidden, width, hidden.ne1, streams - 1, 1, hidden.nb2);
  const projected = graph.mulMat(graph.weight(backend, 0, width, width, streams - 1), others);
  const scaled = sized(context, projected, target);
  let sum = slice(context, hidden, 0);
  for (let stream = 0; stream < streams - 1; stream += 1) {
    sum = graph.inPlace(sum, slice(context, scaled, stream));
  }
  return graph.getRows(graph.inPlace(sum), context.outputIds);
}

/** Length of each row. */
function magnitude(context: GraphContext, x: GraphNode): GraphNode {
  const { graph } = context;
  return graph.inPlace(graph.sumRows(graph.inPlace(x)));
}

/** Rows made as long as others. */
function sized(context: GraphContext, x: GraphNode, target: GraphNode): GraphNode {
  const { graph } = context;
  return graph.inPlace(graph.inPlace(x, target), magnitude(context, x));
}

/** One of the streams: [hidden, tokens]. */
function slice(context: GraphContext, x: GraphNode, stream: number): GraphNode {
  return context.graph.view(x, x.ne0, x.ne1, 1, 1, stream * x.nb2);
}

/** A layer of Gemma 3n; `inputs` are the per-layer embeddings: [width, tokens, layers]. */
export function buildAltUpLayer(layer: LayerContext, input: GraphNode, inputs: GraphNode): GraphNode {
  const { graph, context, block } = layer;
  const predictions = predict(layer, input);
  const active = slice(context, predictions, 0);
  const normed = layer.norm("attn_norm", active, true);
  const lowRank = layer.norm("laurel_post_norm", layer.project("laurel_r", layer.project("laurel_l", normed)));
  const laurel = graph.inPlace(lowRank, normed);
  const attended = block.attention?.kind === "grouped" ? buildGroupedAttention(layer, block.attention, normed) : normed;
  const gated = graph.inPlace(layer.norm("post_attention_norm", attended), active);
  const joined = graph.inPlace(graph.inPlace(gated, laurel));
  const fed = layer.norm("post_ffw_norm", feedForward(layer, layer.norm("ffn_norm", joined)));
  const corrected = correct(layer, predictions, graph.inPlace(fed, joined));
  return addPerLayerInput(layer, corrected, inputs);
}

/** Weights of the streams from one of them: [streams, tokens]. */
function modalities(layer: LayerContext, x: GraphNode): GraphNode {
  const { graph } = layer;
  const normed = graph.inPlace(layer.norm("altup_router_norm", x));
  return graph.inPlace(layer.project("altup_router", normed));
}

function predict(layer: LayerContext, input: GraphNode): GraphNode {
  const { graph, context } = layer;
  const { ne0: width, ne1: tokens, ne2: streams } = input;
  const weights = layer.project("altup_predict_coef", modalities(layer, slice(context, input, 0)));
  const permuted = graph.contiguous(input, streams, width, tokens, 1);
  const mixed = graph.mulMat(permuted, graph.view(weights, streams, streams, tokens));
  return graph.inPlace(graph.contiguous(graph.swapMiddle(mixed)), input);
}

function correct(layer: LayerContext, predictions: GraphNode, activated: GraphNode): GraphNode {
  const { graph, context } = layer;
  const { ne0: width, ne1: tokens, ne2: streams } = predictions;
  const weights = graph.inPlace(layer.project("altup_correct_coef", modalities(layer, activated)));
  const byStream = graph.contiguous(graph.transpose(weights), 1, tokens, streams, 1);
  const innovation = graph.inPlace(activated, slice(context, predictions, 0));
  const repeated = graph.make(Op.PLAIN, F32, width, tokens, streams, 1, innovation);
  return graph.inPlace(graph.inPlace(repeated, byStream), predictions);
}

/** Gated network; in sparse layers only gates far above a row's mean are kept. */
function feedForward(layer: LayerContext, x: GraphNode): GraphNode {
  const { graph } = layer;
  const up = layer.project("ffn_up", x);
  let gate = layer.project("ffn_gate", x);
  if (layer.isSparse) {
    const mean = graph.sumRows(gate);
    const deviation = graph.inPlace(graph.inPlace(graph.sumRows(graph.inPlace(graph.inPlace(gate, mean)))));
    gate = graph.inPlace(graph.inPlace(gate, graph.inPlace(mean, graph.inPlace(deviation))));
  }
  return layer.project("ffn_down", graph.inPlace(up, graph.inPlace(gate)));
}

/** The layer's own embedding, gated by the first stream, is added to the others. */
function addPerLayerInput(layer: LayerContext, corrected: GraphNode, inputs: GraphNode): GraphNode {
  const { graph, context } = layer;
  const { ne0: width, ne1: tokens, ne2: streams } = corrected;
  const scaled = graph.inPlace(slice(context, corrected, 0), layer.weight("altup_correct_scale.weight"));
  const gate = graph.inPlace(layer.project("inp_gate", scaled));
  const own = graph.inPlace(gate, slice(context, inputs, layer.layer));
  const projected = layer.norm("post_norm", layer.project("proj", own));
  const others = graph.inPlace(graph.view(corrected, width, tokens, streams - 1, 1, corrected.nb2), projected);
  return graph.make(Op.PLAIN, F32, width, tokens, streams, 1, slice(context, corrected, 0), others);
}
