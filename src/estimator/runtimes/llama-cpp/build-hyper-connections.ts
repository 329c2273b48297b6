import { contiguousStrides } from "./build-attention.js";
import type { GraphContext, LayerContext } from "./graph-context.js";
import { F32, type GraphNode, Op } from "./graph-node.js";

/** What a part of a layer reads of the residual streams, and how its result goes back to them. */
export interface StreamMix {
  /** One row for each token, mixed of all streams. */
  input: GraphNode;
  /** Weight of the result in each stream: [streams, tokens]. */
  post: GraphNode;
  /** How streams mix among themselves: [streams, streams, tokens]. */
  combination: GraphNode;
}

/** Parallel residual streams begin as copies of the embedding: [hidden, streams, tokens] (models/deepseek4.cpp). */
export function splitStreams(context: GraphContext, hidden: GraphNode): GraphNode {
  const { graph, architecture, tokens } = context;
  const streams = architecture.residualStreams ?? 1;
  const single = graph.view(hidden, architecture.hiddenSize, 1, tokens);
  return graph.make(Op.PLAIN, F32, architecture.hiddenSize, streams, tokens, 1, single);
}

/** Mixes the streams for a part of the layer, `attn` or `ffn` (models/deepseek4.cpp, build_hc_pre). */
export function mixStreams(layer: LayerContext, part: "attn" | "ffn", residual: GraphNode): StreamMix {
  const { graph, context } = layer;
  const { ne0: width, ne1: streams } = residual;
  const n = context.tokens;
  const name = `hc_${part}`;
  const flat = graph.view(residual, width * streams, n);
  const mixes = graph.mulMat(layer.weight(`${name}_fn.weight`), graph.inPlace(flat));
  const scale = layer.weight(`${name}_scale.weight`);
  const base = layer.weight(`${name}_base.weight`);
  const gate = (offset: number): GraphNode => {
    const rows = graph.stridedView(mixes, [streams, n, 1, 1], [mixes.nb1, mixes.nb1 * n, mixes.nb1 * n], offset * F32);
    const scaled = graph.inPlace(rows, graph.view(scale, 1, 1));
    contiguousStrides(scaled);
    return graph.inPlace(graph.inPlace(graph.inPlace(scaled, graph.view(base, streams, 1))));
  };
  const pre = gate(0);
  const post = gate(streams);
  const combination = graph.make(Op.PLAIN, F32, streams, streams, n, 1, mixes, scale, base);
  return { input: graph.make(Op.PLAIN, F32, width, n, 1, 1, residual, pre), post, combination };
}

/** Puts a part's result back into the streams (build_hc_post). */
export function joinStreams(layer: LayerContext, result: GraphNode, residual: GraphNode, mix: StreamMix): GraphNode {
  const { ne0: width, ne1: streams } = residual;
  return layer.graph.make(
    Op.PLAIN,
    F32,
    width,
    streams,
    layer.context.tokens,
    1,
    result,
    residual,
    mix.post,
    mix.combination,
  );
}

/** One row of all streams for each output, by weights of the model's own (build_hc_head). */
export function mergeStreams(context: GraphContext, hidden: GraphNode, backend: number): GraphNode {
  const { graph, tokens } = context;
  const { ne0: width, ne1: streams } = hidden;
  const picked = graph.getRows(graph.view(hidden, width * streams, tokens), context.outputIds);
  const rows = picked.ne1;
  const weight = (ne0: number, ne1 = 1): GraphNode => graph.weight(backend, ne0 * ne1 * F32, ne0, ne1);
  const mixes = graph.mulMat(
    weight(width * streams, streams),
    graph.inPlace(graph.view(picked, width * streams, rows)),
  );
  const weights = graph.inPlace(graph.inPlace(graph.inPlace(graph.inPlace(mixes, weight(1)), weight(streams))));
  let merged: GraphNode | null = null;
  for (let stream = 0; stream < streams; stream += 1) {
    const stride = picked.nb1;
    const own = graph.stridedView(
      picked,
      [width, rows, 1, 1],
      [stride, stride * rows, stride * rows],
      stream * width * F32,
    );
    const by = graph.stridedView(
      weights,
      [1, rows, 1, 1],
      [weights.nb1, weights.nb1 * rows, weights.nb1 * rows],
      stream * F32,
    );
    const weighted = graph.inPlace(own, by);
    contiguousStrides(weighted);
    merged = merged === null ? weighted : graph.inPlace(merged, weighted);
  }
  return merged as GraphNode;
}
