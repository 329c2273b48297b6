import type { Architecture, Block } from "../../architecture/architecture.js";
import { EstimateError } from "../../estimate-error.js";
import { buildGroupedAttention, buildLatentAttention } from "./build-attention.js";
import { buildExperts, buildFeedForward } from "./build-feed-forward.js";
import { type GraphContext, LayerContext } from "./graph-context.js";
import { F32, type GraphNode, I32 } from "./graph-node.js";

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
  const { graph, architecture } = context;
  let hidden = plan.start === "embedding" ? buildEmbedding(context) : incomingActivation(context, plan.startBackend);
  plan.layers.forEach((layer, position) => {
    const isLast = plan.ends && position === plan.layers.length - 1;
    const built = new LayerContext(
      context,
      layer.block,
      layer.index,
      layer.backend,
      layer.cacheBackend,
      layer.expertBackend,
      plan.assignsNorms ? layer.backend : -1,
    );
    hidden = buildLayer(built, hidden, isLast);
  });
  if (plan.ends) {
    hidden = buildOutput(context, architecture, hidden, plan.outputBackend);
  }
  graph.expand(hidden);
}

/** Token ids or ready embeddings: both inputs are allocated, whichever is used (llama-graph.cpp, build_inp_embd). */
function buildEmbedding(context: GraphContext): GraphNode {
  const { graph, architecture, tokens } = context;
  const width = architecture.hiddenSize;
  const ids = graph.input(I32, tokens);
  const ready = graph.input(F32, width, tokens);
  graph.expand(ready);
  const table = graph.weight(context.host, 0, width, architecture.vocabularySize);
  const embedded = graph.getRows(table, ids);
  graph.expand(embedded);
  return embedded;
}

/** The hidden state a device before this one hands over: computed there, so it is copied. */
function incomingActivation(context: GraphContext, backend: number): GraphNode {
  const { graph, architecture, tokens } = context;
  const node = graph.cache(backend, F32, architecture.hiddenSize, tokens, 1);
  return node;
}

function buildLayer(layer: LayerContext, input: GraphNode, isLast: boolean): GraphNode {
  const { graph, block, context } = layer;
  let residual = input;
  let hidden = layer.norm("attn_norm", input, true);
  let normed = hidden;
  if (block.attention !== undefined) {
    hidden = buildAttention(layer, block.attention, hidden);
  } else if (block.recurrent !== undefined) {
    throw new EstimateError("Recurrent layers are not modelled yet.", ["architecture"], "ARCHITECTURE_NOT_SUPPORTED");
  } else {
    hidden = input;
  }
  if (isLast) {
    hidden = graph.getRows(hidden, context.outputIds);
    residual = graph.getRows(residual, context.outputIds);
  }
  const hasFeedForward = block.feedForward !== undefined || block.experts !== undefined;
  const beforeFeedForward = feedForwardNorm(layer);
  if (hasFeedForward && beforeFeedForward === "parallel") {
    // One norm feeds attention and feed-forward side by side; both are added to the residual.
    if (isLast) {
      normed = graph.getRows(normed, context.outputIds);
    }
    const fed = buildFeedForwardPart(layer, normed);
    return graph.inPlace(graph.inPlace(fed, residual), hidden);
  }
  if (beforeFeedForward !== "post_attention_norm") {
    hidden = layer.norm("post_attention_norm", hidden);
  }
  const attended = graph.inPlace(hidden, residual);
  if (!hasFeedForward) {
    return attended;
  }
  const fed = buildFeedForwardPart(layer, layer.norm(beforeFeedForward, attended));
  return graph.inPlace(layer.norm("post_ffw_norm", fed), attended);
}

/**
 * Which norm comes before the feed-forward part: its own; the one named after attention, where there is no
 * other; or none of its own, when attention and feed-forward run side by side on the same normed input.
 */
function feedForwardNorm(layer: LayerContext): "ffn_norm" | "post_attention_norm" | "parallel" {
  if (layer.has("ffn_norm.weight") || !layer.has("attn_norm.weight")) {
    return "ffn_norm";
  }
  return layer.has("post_attention_norm.weight") ? "post_attention_norm" : "parallel";
}

function buildAttention(
  layer: LayerContext,
  attention: NonNullable<Block["attention"]>,
  hidden: GraphNode,
): GraphNode {
  switch (attention.kind) {
    case "grouped":
      return buildGroupedAttention(layer, attention, hidden);
    case "latent":
      return buildLatentAttention(layer, attention, hidden);
    case "compressed":
      throw new EstimateError("Compressed attention is not modelled yet.", ["architecture"]);
  }
}

function buildFeedForwardPart(layer: LayerContext, x: GraphNode): GraphNode {
  const { block, graph } = layer;
  if (block.experts === undefined) {
    return block.feedForward === undefined ? x : buildFeedForward(layer, block.feedForward, x);
  }
  const routed = buildExperts(layer, block.experts, x);
  return block.feedForward === undefined ? routed : graph.inPlace(routed, buildFeedForward(layer, block.feedForward, x));
}

function buildOutput(
  context: GraphContext,
  architecture: Architecture,
  hidden: GraphNode,
  backend: number,
): GraphNode {
  const { graph } = context;
  const width = architecture.hiddenSize;
  const normWeight = graph.weight(backend, width * F32, width);
  const normed = graph.inPlace(graph.inPlace(hidden), normWeight);
  normed.isOutput = true;
  if (!architecture.hasOutput) {
    return normed;
  }
  const name = architecture.tiedEmbeddings ? "token_embd.weight" : "output.weight";
  const bytes = backend === context.host ? (context.tensorBytes.get(name) ?? 0) : 0;
  const logits = graph.mulMat(graph.weight(backend, bytes, width, architecture.vocabularySize), normed);
  logits.isOutput = true;
  return logits;
}
