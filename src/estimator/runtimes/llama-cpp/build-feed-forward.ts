import type { Experts, FeedForward } from "../../architecture/architecture.js";
import type { LayerContext } from "./graph-context.js";
import { F32, type GraphNode, Op } from "./graph-node.js";

/** Names of a feed-forward network's matrices: the layer's own or its shared expert's. */
interface Matrices {
  up: string;
  gate: string;
  down: string;
}

const DENSE: Matrices = { up: "ffn_up", gate: "ffn_gate", down: "ffn_down" };
const SHARED: Matrices = { up: "ffn_up_shexp", gate: "ffn_gate_shexp", down: "ffn_down_shexp" };

/** A dense feed-forward network (llama-graph.cpp, build_ffn). */
export function buildFeedForward(layer: LayerContext, feedForward: FeedForward, x: GraphNode): GraphNode {
  return buildMlp(layer, DENSE, feedForward.size, feedForward.fusedGateUp === true, x);
}

function buildMlp(layer: LayerContext, names: Matrices, size: number, fused: boolean, x: GraphNode): GraphNode {
  const { graph } = layer;
  const up = layer.project(names.up, x);
  let hidden: GraphNode;
  if (fused) {
    hidden = graph.make(Op.PLAIN, F32, size, up.ne1, 1, 1, up);
  } else if (layer.has(`${names.gate}.weight`)) {
    hidden = graph.plain(layer.project(names.gate, x), up);
  } else {
    hidden = graph.inPlace(up);
  }
  return layer.project(names.down, hidden);
}

/** Routed experts with the router, and the shared expert beside them (llama-graph.cpp, build_moe_ffn). */
export function buildExperts(
  layer: LayerContext,
  experts: Experts,
  x: GraphNode,
  routerInput: GraphNode = x,
): GraphNode {
  const { graph } = layer;
  const routed = buildRouted(layer, experts, x, routerInput);
  if (experts.shared === undefined) {
    return routed;
  }
  let shared = buildMlp(layer, SHARED, experts.shared.size, false, x);
  if (layer.has("ffn_gate_inp_shexp.weight")) {
    const gate = graph.inPlace(graph.mulMat(layer.weight("ffn_gate_inp_shexp.weight"), x));
    shared = graph.inPlace(shared, gate);
  }
  return graph.inPlace(routed, shared);
}

function buildRouted(layer: LayerContext, experts: Experts, x: GraphNode, routerInput: GraphNode): GraphNode {
  const { graph } = layer;
  const n = x.ne1;
  const { used, size } = experts;
  const { ids, weights } = route(layer, experts, routerInput);
  graph.expand(weights);
  const narrow = layer.has("ffn_latent_down.weight") ? layer.project("ffn_latent_down", x) : x;
  const weighsFirst = layer.context.habits.weighsExpertsFirst === true;
  const perToken = weighsFirst
    ? graph.inPlace(graph.make(Op.PLAIN, F32, narrow.ne0, used, n, 1, graph.view(narrow, narrow.ne0, 1, n)), weights)
    : graph.view(narrow, narrow.ne0, 1, n);
  let hidden: GraphNode;
  if (experts.fusedGateUp) {
    const both = expertProduct(layer, "ffn_gate_up_exps", perToken, ids);
    const half = (offset: number): GraphNode =>
      graph.stridedView(both, [size, used, n, 1], [both.nb1, both.nb2, both.nb3], offset * F32);
    hidden = graph.make(Op.PLAIN, F32, size, used, n, 1, half(0), half(size));
  } else {
    const up = expertProduct(layer, "ffn_up_exps", perToken, ids);
    hidden = experts.gated ? graph.plain(expertProduct(layer, "ffn_gate_exps", perToken, ids), up) : graph.inPlace(up);
  }
  const unweighed = scaleExperts(layer, expertProduct(layer, "ffn_down_exps", hidden, ids), ids);
  const results = weighsFirst ? unweighed : graph.inPlace(unweighed, weights);
  graph.expand(results);
  const views: GraphNode[] = [];
  for (let i = 0; i < used; i += 1) {
    const view = graph.stridedView(
      results,
      [results.ne0, n, 1, 1],
      [results.nb2, results.nb2 * n, results.nb2 * n],
      i * results.nb1,
    );
    graph.expand(view);
    views.push(view);
  }
  let sum = views[0] as GraphNode;
  for (const view of views.slice(1)) {
    sum = graph.make(Op.IN_PLACE, F32, results.ne0, n, 1, 1, sum, view);
    graph.expand(sum);
  }
  if (used === 1) {
    sum = graph.contiguous(sum);
  }
  return layer.has("ffn_latent_up.weight") ? layer.project("ffn_latent_up", sum) : sum;
}

function expertProduct(layer: LayerContext, name: string, x: GraphNode, ids: GraphNode): GraphNode {
  const product = layer.graph.mulMatId(layer.weight(`${name}.weight`), x, ids);
  return layer.has(`${name}.bias`) ? layer.graph.inPlace(product, layer.weight(`${name}.bias`), ids) : product;
}

/** Multiplies each expert's result by that expert's own scale, where the layer has one. */
function scaleExperts(layer: LayerContext, x: GraphNode, ids: GraphNode): GraphNode {
  const { graph } = layer;
  const name = "ffn_down_exps.scale";
  if (!layer.has(name)) {
    return x;
  }
  const count = layer.shape(name)[0] ?? 1;
  const scales = graph.view(layer.weight(name), 1, count);
  const repeated = graph.make(Op.PLAIN, F32, 1, count, x.ne2, 1, scales);
  return graph.inPlace(x, graph.getRows(repeated, ids));
}

/** Picks each token's experts and their weights: ids [used, n], weights [1, used, n]. */
function route(layer: LayerContext, experts: Experts, x: GraphNode): { ids: GraphNode; weights: GraphNode } {
  const { graph } = layer;
  const n = x.ne1;
  const { count, used } = experts;
  const logits = layer.bias("ffn_gate_inp", graph.mulMat(layer.weight("ffn_gate_inp.weight"), x));
  // A biased router weighs its experts by a softmax over the chosen ones only (gpt-oss).
  const weighsChosen = layer.has("ffn_gate_inp.bias");
  const probabilities = weighsChosen ? logits : graph.inPlace(logits);
  const ranked = layer.context.habits.ranksLogits ? logits : probabilities;
  const scores = layer.has("exp_probs_b.bias") ? graph.inPlace(ranked, layer.weight("exp_probs_b.bias")) : ranked;
  // The first layers of some models have a table of experts by token instead (hash routing).
  const table = "ffn_gate_tid2eid.weight";
  const ids = layer.has(table) ? graph.getRows(layer.weight(table), layer.context.tokenIds) : graph.topOf(scores, used);
  const chosen = graph.getRows(graph.view(probabilities, 1, count, n), ids);
  const flat = graph.view(chosen, used, n);
  if (weighsChosen) {
    return { ids, weights: graph.view(graph.inPlace(flat), 1, used, n) };
  }
  if (layer.context.habits.keepsExpertWeights) {
    return { ids, weights: chosen };
  }
  const total = graph.inPlace(graph.sumRows(flat));
  return { ids, weights: graph.view(graph.inPlace(flat, total), 1, used, n) };
}
