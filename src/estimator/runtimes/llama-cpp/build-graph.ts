import type { Architecture, Block } from "../../architecture/architecture.js";
import { readsTableAsOutput, yieldsLogits } from "../../placement/place-weights.js";
import { buildAltUpLayer, mergeAltUp, splitAltUp } from "./build-altup.js";
import { buildGroupedAttention, buildLatentAttention } from "./build-attention.js";
import { buildCompressedAttention } from "./build-compressed.js";
import { buildExperts, buildFeedForward } from "./build-feed-forward.js";
import { joinStreams, mergeStreams, mixStreams, splitStreams } from "./build-hyper-connections.js";
import { buildRecurrent, losesFusedDelta } from "./build-recurrent.js";
import { type GraphContext, LayerContext } from "./graph-context.js";
import { isStacked } from "./graph-habits.js";
import { F32, type GraphNode, I32, Op } from "./graph-node.js";

/** A layer of the graph with where its parts are. Backends are devices, then the host. */
export interface GraphLayer {
  /** Number in the file. */
  index: number;
  block: Block;
  backend: number;
  cacheBackend: number;
  expertBackend: number;
}

export interface GraphPlan {
  layers: readonly GraphLayer[];
  /** Backend of final norm and output matrix. */
  outputBackend: number;
  /** Where the first layer's input comes from: the embedding on the host, or the device before. */
  start: "embedding" | "activation";
  /** Backend the activation comes from. */
  startBackend: number;
  /** The last layer is followed by the output. */
  ends: boolean;
  /** Layers' first norms are assigned to the layer's own device. */
  assignsNorms: boolean;
}

/** Adds the layers of a plan to the graph, from the embedding to the logits. */
export function buildGraph(context: GraphContext, plan: GraphPlan): void {
  const { graph, architecture, habits } = context;
  if (context.host > 0) {
    const onHost = plan.layers.filter(({ backend }) => backend === context.host);
    context.chunksDelta = losesFusedDelta(
      onHost.map(({ block }) => block),
      context.run.sequences,
    );
  }
  const firstBackend = plan.layers[0]?.backend ?? plan.outputBackend;
  let hidden =
    plan.start === "embedding" ? buildEmbedding(context, firstBackend) : incomingActivation(context, plan.startBackend);
  const inputs = plan.start === "embedding" ? buildPerLayerInputs(context, hidden, firstBackend) : null;
  const streams = residualStreams(architecture);
  if (plan.start === "embedding") {
    hidden = startStreams(context, hidden, streams, plan.outputBackend);
  }
  plan.layers.forEach((layer, position) => {
    const isLast = plan.ends && position === plan.layers.length - 1 && habits.keepsHidden === undefined;
    const built = new LayerContext(
      context,
      layer.block,
      layer.index,
      layer.backend,
      layer.cacheBackend,
      layer.expertBackend,
      plan.assignsNorms ? layer.backend : -1,
    );
    if (streams === "hyper-connections") {
      hidden = buildHyperConnectedLayer(built, hidden);
    } else if (streams === "altup" && inputs !== null) {
      hidden = buildAltUpLayer(built, hidden, inputs);
    } else {
      hidden = buildLayer(built, hidden, isLast, inputs);
      const own = isStacked(habits, layer.index) ? stackedPart(context, layer.index + 1) : null;
      hidden = own === null ? hidden : graph.inPlace(hidden, own);
    }
  });
  if (plan.ends) {
    hidden = buildOutput(
      context,
      architecture,
      endStreams(context, hidden, streams, plan.outputBackend),
      plan.outputBackend,
    );
  }
  graph.expand(hidden);
}

/** How a model has more than one residual stream. */
type ResidualStreams = "single" | "hyper-connections" | "altup";

function residualStreams(architecture: Architecture): ResidualStreams {
  if ((architecture.residualStreams ?? 1) === 1) {
    return "single";
  }
  return architecture.tensors.some(({ name }) => name.startsWith("altup_")) ? "altup" : "hyper-connections";
}

function startStreams(context: GraphContext, hidden: GraphNode, streams: ResidualStreams, backend: number): GraphNode {
  switch (streams) {
    case "single":
      return hidden;
    case "hyper-connections":
      return splitStreams(context, hidden);
    case "altup":
      return splitAltUp(context, hidden, backend);
  }
}

function endStreams(context: GraphContext, hidden: GraphNode, streams: ResidualStreams, backend: number): GraphNode {
  switch (streams) {
    case "single":
      return hidden;
    case "hyper-connections":
      return mergeStreams(context, hidden, backend);
    case "altup":
      return mergeAltUp(context, hidden, backend);
  }
}

/** Token ids or ready embeddings: both inputs are allocated, whichever is used (llama-graph.cpp, build_inp_embd). */
function buildEmbedding(context: GraphContext, firstBackend: number): GraphNode {
  const { graph, architecture, tokens } = context;
  const width = architecture.hiddenSize;
  const ids = context.tokenIds;
  const parts = 1 + (context.habits.stackedLayers ?? 0);
  const ready = context.input("embeddings", F32, width * parts, tokens);
  graph.expand(ids);
  graph.expand(ready);
  const table = graph.weight(context.host, 0, width, architecture.vocabularySize);
  const embedded = graph.getRows(table, ids);
  graph.expand(embedded);
  if (parts > 1) {
    const stacked = graph.make(Op.PLAIN, F32, width * parts, tokens, 1, 1, embedded);
    graph.expand(stacked);
    context.stackedEmbedding = stacked;
    return stackedPart(context, 0) as GraphNode;
  }
  const scaled = context.habits.scalesEmbedding || context.multiplies("embedding");
  const words = scaled ? graph.inPlace(embedded) : embedded;
  return yieldsLogits(architecture) ? words : addEncoderEmbeddings(context, words, firstBackend);
}

/** Segments and positions that an encoder adds to the words, and the norm of the sum (models/bert.cpp). */
function addEncoderEmbeddings(context: GraphContext, words: GraphNode, firstBackend: number): GraphNode {
  const { graph, architecture, habits } = context;
  const width = architecture.hiddenSize;
  const table = (name: string, backend = context.host): GraphNode | null => {
    const rows = architecture.tensors.find((tensor) => tensor.name === name)?.shape[1] ?? 1;
    return hasTensor(architecture, name) ? graph.weight(backend, width * F32, width, rows) : null;
  };
  const [segments, positions] = [table("token_types.weight"), table("position_embd.weight")];
  const [norm, bias] = ["weight", "bias"].map((part) => table(`token_embd_norm.${part}`, firstBackend)) as [
    GraphNode | null,
    GraphNode | null,
  ];
  let sum = segments === null ? words : graph.inPlace(words, graph.view(segments, width, 1));
  sum = positions === null ? sum : graph.inPlace(graph.getRows(positions, context.positions), sum);
  if (norm === null) {
    return sum;
  }
  const raw = habits.layerNorm || bias !== null ? graph.plain(sum) : graph.inPlace(sum);
  const normed = graph.inPlace(raw, norm);
  return bias === null ? normed : graph.inPlace(normed, bias);
}

function hasTensor(architecture: Architecture, name: string): boolean {
  return architecture.tensors.some((tensor) => tensor.name === name);
}

/** A part of the widened embedding: [hidden, tokens]; null where it is not at hand. */
function stackedPart(context: GraphContext, part: number): GraphNode | null {
  const { graph, architecture, stackedEmbedding: stacked, tokens } = context;
  const width = architecture.hiddenSize;
  const rows = stacked?.nb1 ?? 0;
  const strides = [rows, rows * tokens, rows * tokens] as const;
  return stacked === null ? null : graph.stridedView(stacked, [width, tokens, 1, 1], strides, part * width * F32);
}

/**
 * Per-layer embeddings: looked up on the host, joined with a projection of the token embedding, and kept for
 * all layers: [width, tokens, layers]. Null where the model has none (models/gemma4.cpp).
 */
function buildPerLayerInputs(context: GraphContext, hidden: GraphNode, backend: number): GraphNode | null {
  const { graph, architecture, tokens } = context;
  const table = architecture.tensors.find((tensor) => tensor.name === "per_layer_token_embd.weight");
  if (table === undefined) {
    return null;
  }
  const total = table.shape[0] ?? 1;
  const layers = architecture.layers.length;
  const width = total / layers;
  const ids = context.input("per-layer token ids", I32, tokens);
  const looked = graph.getRows(graph.weight(context.host, 0, total, architecture.vocabularySize), ids);
  const scaled = graph.inPlace(graph.view(looked, width, layers, tokens));
  graph.expand(scaled);
  const bytes = backend === context.host ? context.bytesOf("per_layer_model_proj.weight") : 0;
  const projected = graph.inPlace(graph.mulMat(graph.weight(backend, bytes, architecture.hiddenSize, total), hidden));
  const normed = graph.inPlace(
    graph.inPlace(graph.view(projected, width, layers, tokens)),
    graph.weight(backend, width * F32, width),
  );
  const joined = graph.inPlace(normed, scaled);
  return graph.contiguous(graph.swapMiddle(joined));
}

/** The hidden state a device before this one hands over: computed there, so it is copied. */
function incomingActivation(context: GraphContext, backend: number): GraphNode {
  const { graph, architecture, tokens } = context;
  const streams = architecture.residualStreams ?? 1;
  return streams === 1
    ? graph.cache(backend, F32, architecture.hiddenSize, tokens, 1)
    : graph.cache(backend, F32, architecture.hiddenSize, streams, tokens);
}

/** Attention and feed-forward part, each on one row mixed of all residual streams (models/deepseek4.cpp). */
function buildHyperConnectedLayer(layer: LayerContext, input: GraphNode): GraphNode {
  const forAttention = mixStreams(layer, "attn", input);
  const normed = layer.norm("attn_norm", forAttention.input, true);
  const attended = joinStreams(layer, buildMixer(layer, normed, forAttention.input), input, forAttention);
  const forFeedForward = mixStreams(layer, "ffn", attended);
  const fed = buildFeedForwardPart(layer, layer.norm("ffn_norm", forFeedForward.input), forFeedForward.input);
  return joinStreams(layer, fed, attended, forFeedForward);
}

function buildLayer(layer: LayerContext, input: GraphNode, isLast: boolean, inputs: GraphNode | null): GraphNode {
  const { graph, block, context } = layer;
  let residual = input;
  const normed = layer.norm("attn_norm", input, true);
  // Falcon 40B has a norm for each of the parts that run side by side: the second is attention's.
  const forAttention = layer.has("attn_norm_2.weight") ? layer.norm("attn_norm_2", input) : normed;
  let hidden = buildMixer(layer, forAttention, input);
  const isParallelMixer = block.attention !== undefined && block.recurrent !== undefined;
  if (isParallelMixer) {
    hidden = graph.inPlace(hidden, residual);
    const kept = isLast ? graph.getRows(hidden, context.outputIds) : hidden;
    return graph.inPlace(buildFeedForwardPart(layer, layer.norm("ffn_norm", kept), kept), kept);
  }
  if (isLast) {
    hidden = graph.getRows(hidden, context.outputIds);
    residual = graph.getRows(residual, context.outputIds);
  }
  // A layer without attention or recurrence has had its feed-forward part in the mixer's place.
  const hasMixer = block.attention !== undefined || block.recurrent !== undefined || !layer.has("attn_norm.weight");
  const hasFeedForward = hasMixer && (block.feedForward !== undefined || block.experts !== undefined);
  const beforeFeedForward = feedForwardNorm(layer);
  if (hasFeedForward && beforeFeedForward === "parallel") {
    // One norm feeds attention and feed-forward side by side; both are added to the residual.
    const fed = buildFeedForwardPart(layer, isLast ? graph.getRows(normed, context.outputIds) : normed, normed);
    return addSides(layer, hidden, fed, residual);
  }
  if (beforeFeedForward !== "post_attention_norm") {
    hidden = layer.norm("post_attention_norm", hidden);
  }
  const { residualFirst } = context.habits;
  // Encoders norm the sums, not what goes into the parts.
  const attended = layer.norm("attn_output_norm", add(layer, hidden, residual, residualFirst === "both"));
  if (!hasFeedForward) {
    return attended;
  }
  const fed = buildFeedForwardPart(layer, layer.norm(beforeFeedForward, attended), attended);
  let result = add(layer, layer.norm("post_ffw_norm", fed), attended, residualFirst !== undefined);
  result = layer.norm("layer_output_norm", result);
  if (inputs !== null && layer.has("inp_gate.weight")) {
    result = addPerLayerInput(layer, result, inputs, isLast);
  }
  return layer.has("layer_output_scale.weight")
    ? graph.inPlace(result, layer.weight("layer_output_scale.weight"))
    : result;
}

/** The sum of a layer's parts that run side by side; each sum takes over its first term's memory. */
function addSides(layer: LayerContext, attended: GraphNode, fed: GraphNode, residual: GraphNode): GraphNode {
  const { graph, context } = layer;
  switch (context.habits.sumsFirst) {
    case "attention":
      return graph.inPlace(graph.inPlace(fed, attended), residual);
    case "feed-forward":
      return graph.inPlace(graph.inPlace(attended, fed), residual);
    case "residual":
      return graph.inPlace(fed, graph.inPlace(attended, residual));
    default:
      return graph.inPlace(graph.inPlace(fed, residual), attended);
  }
}

/** A sum of two parts takes over its first term's memory. */
function add(layer: LayerContext, computed: GraphNode, residual: GraphNode, residualFirst: boolean): GraphNode {
  const term = layer.context.multiplies("residual") ? layer.graph.inPlace(computed) : computed;
  return residualFirst ? layer.graph.inPlace(residual, term) : layer.graph.inPlace(term, residual);
}

/** Attention, a recurrent mixer, or both side by side; a layer without either is a feed-forward network alone. */
function buildMixer(layer: LayerContext, normed: GraphNode, input: GraphNode): GraphNode {
  const { attention, recurrent } = layer.block;
  if (recurrent !== undefined && attention !== undefined) {
    const attended = buildAttention(layer, attention, normed);
    return layer.graph.inPlace(attended, buildRecurrent(layer, recurrent, layer.norm("attn_norm", input, true)));
  }
  if (recurrent !== undefined) {
    return buildRecurrent(layer, recurrent, normed);
  }
  if (attention !== undefined) {
    return buildAttention(layer, attention, normed);
  }
  return layer.has("attn_norm.weight") ? buildFeedForwardPart(layer, normed, normed) : input;
}

/** The layer's slice of the per-layer embeddings, gated by the hidden state and projected back. */
function addPerLayerInput(layer: LayerContext, hidden: GraphNode, inputs: GraphNode, isLast: boolean): GraphNode {
  const { graph, context } = layer;
  let own = graph.view(inputs, inputs.ne0, inputs.ne1, 1, 1, layer.layer * inputs.nb2);
  if (isLast) {
    own = graph.getRows(own, context.outputIds);
  }
  const gate = graph.inPlace(layer.project("inp_gate", hidden));
  const projected = layer.norm("post_norm", layer.project("proj", graph.inPlace(gate, own)));
  return graph.inPlace(hidden, projected);
}

/**
 * Which norm comes before the feed-forward part: its own; the one named after attention, where there is no
 * other; or none of its own, when attention and feed-forward run side by side on the same normed input.
 */
function feedForwardNorm(layer: LayerContext): "ffn_norm" | "post_attention_norm" | "parallel" {
  const { attention, recurrent } = layer.block;
  if (attention === undefined && recurrent === undefined) {
    return "ffn_norm";
  }
  if (layer.has("ffn_norm.weight") || !layer.has("attn_norm.weight")) {
    return "ffn_norm";
  }
  return layer.has("post_attention_norm.weight") ? "post_attention_norm" : "parallel";
}

function buildAttention(layer: LayerContext, attention: NonNullable<Block["attention"]>, hidden: GraphNode): GraphNode {
  switch (attention.kind) {
    case "grouped":
      return buildGroupedAttention(layer, attention, hidden);
    case "latent":
      return buildLatentAttention(layer, attention, hidden);
    case "compressed":
      return buildCompressedAttention(layer, attention, hidden);
  }
}

/** The feed-forward part on its normed input; `attended` is what went into the norm. */
function buildFeedForwardPart(layer: LayerContext, x: GraphNode, attended: GraphNode): GraphNode {
  const { block, graph } = layer;
  if (block.experts === undefined) {
    return block.feedForward === undefined ? x : buildFeedForward(layer, block.feedForward, x);
  }
  if (block.feedForward === undefined) {
    return buildExperts(layer, block.experts, x);
  }
  // A dense network beside the experts, each with norms of its own; the router sees the attended state.
  const dense = layer.norm("post_ffw_norm_1", buildFeedForward(layer, block.feedForward, x));
  const routerInput = layer.has("ffn_gate_inp.scale")
    ? graph.inPlace(layer.bareNorm(attended), layer.weight("ffn_gate_inp.scale"))
    : x;
  const expertInput = layer.has("pre_ffw_norm_2.weight") ? layer.norm("pre_ffw_norm_2", attended) : x;
  const routed = layer.norm("post_ffw_norm_2", buildExperts(layer, block.experts, expertInput, routerInput));
  return graph.inPlace(dense, routed);
}

function buildOutput(context: GraphContext, architecture: Architecture, hidden: GraphNode, backend: number): GraphNode {
  const { graph, habits } = context;
  const width = architecture.hiddenSize;
  const pick = (node: GraphNode): GraphNode => {
    node.isOutput = true;
    return graph.getRows(node, context.outputIds);
  };
  const selected = habits.keepsHidden === "before-norm" ? pick(hidden) : hidden;
  if (!yieldsLogits(architecture) && !hasTensor(architecture, "output_norm.weight")) {
    hidden.isOutput = true;
    return hidden;
  }
  const hasBias = hasTensor(architecture, "output_norm.bias");
  const raw = habits.layerNorm || hasBias ? graph.plain(selected) : graph.inPlace(selected);
  const scaled = graph.inPlace(raw, graph.weight(backend, width * F32, width));
  const normedAll = hasBias ? graph.inPlace(scaled, graph.weight(backend, width * F32, width)) : scaled;
  const normed = habits.keepsHidden === "after-norm" ? pick(normedAll) : normedAll;
  normed.isOutput = true;
  if (!yieldsLogits(architecture)) {
    return normed;
  }
  const name = readsTableAsOutput(architecture) ? "token_embd.weight" : "output.weight";
  const bytes = backend === context.host ? context.bytesOf(name) : 0;
  const logits = graph.mulMat(graph.weight(backend, bytes, width, architecture.vocabularySize), normed);
  logits.isOutput = true;
  return logits;
}
