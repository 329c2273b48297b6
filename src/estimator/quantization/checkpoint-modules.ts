import type { Architecture, Block } from "../architecture/architecture.js";
import type { Tensor } from "../tensors/tensor.js";

/**
 * Lists of modules in a checkpoint's quantization_config name layers as PyTorch does
 * ("model.layers.3.self_attn.q_proj"), by exact name, by parent, with wildcards ("*.self_attn*") or as an
 * expression ("re:.*mlp\\.(gate|up)_proj"). Here they are compared with the tensors of a model.
 * Sources: transformers (`should_convert_module`), compressed-tensors (`match_named_modules`), NVIDIA Model Optimizer.
 */

const PROJECTIONS = {
  up: ["up_proj", "gate_up_proj", "w3", "fc1"],
  gate: ["gate_proj", "gate_up_proj", "w1"],
  down: ["down_proj", "w2", "fc2"],
};
const FEED_FORWARD_PARENTS = ["mlp", "feed_forward", "mixer"];
const SHARED_PARENTS = [
  "mlp.shared_experts",
  "mlp.shared_expert",
  "block_sparse_moe.shared_experts",
  "feed_forward.shared_expert",
  "mixer.shared_experts",
];
/** Experts are named by their first: lists name all of them or none. */
const EXPERT_PARENTS = ["mlp.experts.0", "block_sparse_moe.experts.0", "feed_forward.experts.0", "mixer.experts.0"];
/** Where a layer has a feed-forward network beside its experts, the experts are not part of the "mlp". */
const EXPERT_PARENTS_BESIDE_MLP = ["experts.0", "moe.experts.0", "block_sparse_moe.experts.0"];

const under = (parents: readonly string[], names: readonly string[]): string[] =>
  parents.flatMap((parent) => names.map((name) => `${parent}.${name}`));

/** Modules within a layer by the GGUF name of their tensor. */
const LAYER_MODULES: Record<string, string[]> = {
  attn_q: ["self_attn.q_proj"],
  attn_k: ["self_attn.k_proj"],
  attn_v: ["self_attn.v_proj"],
  attn_qkv: ["self_attn.qkv_proj"],
  attn_output: ["self_attn.o_proj"],
  attn_gate: ["self_attn.g_proj"],
  attn_q_a: ["self_attn.q_a_proj"],
  attn_q_b: ["self_attn.q_b_proj"],
  attn_kv_a_mqa: ["self_attn.kv_a_proj_with_mqa"],
  attn_kv_b: ["self_attn.kv_b_proj"],
  attn_k_b: ["self_attn.kv_b_proj"],
  attn_v_b: ["self_attn.kv_b_proj"],
  "indexer.attn_q_b": ["self_attn.indexer.wq_b"],
  "indexer.attn_k": ["self_attn.indexer.wk"],
  "indexer.proj": ["self_attn.indexer.weights_proj", "self_attn.indexers_proj"],
  "indexer.q_proj": ["self_attn.index_q_proj"],
  "indexer.k_proj": ["self_attn.index_k_proj"],
  ffn_gate_inp: ["mlp.gate", "mlp.router", "block_sparse_moe.gate", "feed_forward.router", "router.proj"],
  ffn_up: under(FEED_FORWARD_PARENTS, PROJECTIONS.up),
  ffn_gate: under(FEED_FORWARD_PARENTS, PROJECTIONS.gate),
  ffn_down: under(FEED_FORWARD_PARENTS, PROJECTIONS.down),
  ffn_up_shexp: under(SHARED_PARENTS, PROJECTIONS.up),
  ffn_gate_shexp: under(SHARED_PARENTS, PROJECTIONS.gate),
  ffn_down_shexp: under(SHARED_PARENTS, PROJECTIONS.down),
  ssm_in: ["mixer.in_proj", "mamba.in_proj"],
  ssm_out: ["linear_attn.out_proj", "mixer.out_proj", "mamba.out_proj"],
  ssm_ba: ["linear_attn.in_proj_ba"],
  ssm_alpha: ["linear_attn.in_proj_a", "linear_attn.in_proj_ba"],
  ssm_beta: ["linear_attn.in_proj_b", "linear_attn.in_proj_ba", "self_attn.b_proj"],
  ssm_f_a: ["self_attn.f_a_proj"],
  ssm_f_b: ["self_attn.f_b_proj"],
  ssm_g: ["self_attn.g_proj"],
  ssm_g_a: ["self_attn.g_a_proj"],
  ssm_g_b: ["self_attn.g_b_proj"],
  "nextn.eh_proj": ["eh_proj"],
  "nextn.shared_head_head": ["shared_head.head"],
  "nextn.embed_tokens": ["embed_tokens"],
};

/** The same in a layer of linear attention. */
const DELTA_NET_MODULES: Record<string, string[]> = {
  attn_qkv: ["linear_attn.in_proj_qkv", "linear_attn.in_proj_qkvz"],
  attn_gate: ["linear_attn.in_proj_z", "linear_attn.in_proj_qkvz"],
};

const EXPERT_PROJECTIONS: Record<string, string[]> = {
  ffn_up_exps: PROJECTIONS.up,
  ffn_gate_exps: PROJECTIONS.gate,
  ffn_gate_up_exps: ["gate_up_proj", ...PROJECTIONS.gate],
  ffn_down_exps: PROJECTIONS.down,
};

const MODEL_MODULES: Record<string, string[]> = {
  output: ["lm_head"],
  token_embd: ["embed_tokens"],
};

/** Names that a checkpoint may use for the module of a tensor, without the model's own prefix. */
export function moduleNames(tensor: Tensor, architecture: Architecture): string[] {
  const stem = tensor.name.replace(/^blk\.\d+\./, "").replace(/\.weight$/, "");
  const { layer } = tensor;
  if (layer === null) {
    return MODEL_MODULES[stem] ?? [stem];
  }
  const modules = layerModules(stem, tensor, architecture);
  const predicted = layer - architecture.layers.length;
  const parents = predicted < 0 ? [`layers.${layer}`] : [`layers.${layer}`, `mtp.layers.${predicted}`];
  return under(parents, modules);
}

function layerModules(stem: string, tensor: Tensor, architecture: Architecture): string[] {
  const block = blockOf(tensor, architecture);
  const projections = EXPERT_PROJECTIONS[stem];
  if (projections !== undefined) {
    return under(block?.feedForward === undefined ? EXPERT_PARENTS : EXPERT_PARENTS_BESIDE_MLP, projections);
  }
  const ofDeltaNet = block?.recurrent?.kind === "gated-delta-net" ? DELTA_NET_MODULES[stem] : undefined;
  return ofDeltaNet ?? LAYER_MODULES[stem] ?? [stem];
}

function blockOf(tensor: Tensor, { blocks, layers, nextTokenPrediction }: Architecture): Block | undefined {
  const layer = tensor.layer ?? 0;
  return blocks[layers[layer] ?? nextTokenPrediction?.layers[layer - layers.length] ?? ""];
}

export type ModuleMatcher = (names: readonly string[]) => boolean;

/** Compiles a list of module patterns; expressions beyond wildcards and alternatives match nothing. */
export function matchModules(patterns: readonly string[]): ModuleMatcher {
  const globs = new Set(patterns.flatMap(toGlobs).map(withoutModelPrefix).map(withFirstExpert));
  const plain = new Set([...globs].filter((glob) => !glob.includes("*")));
  const wildByLayer = new Map<string, Glob[]>();
  for (const glob of globs) {
    if (plain.has(glob)) continue;
    const layer = layerOf(glob);
    wildByLayer.set(layer, [...(wildByLayer.get(layer) ?? []), splitGlob(glob), splitGlob(`${glob}.*`)]);
  }
  const anyLayer = wildByLayer.get(ANY_LAYER) ?? [];
  return (names) =>
    names.some(
      (name) =>
        (plain.size > 0 && runsOfSegments(name).some((run) => plain.has(run))) ||
        anyLayer.some((glob) => matchesGlob(name, glob)) ||
        (wildByLayer.get(layerOf(name)) ?? []).some((glob) => matchesGlob(name, glob)),
    );
}

const ANY_LAYER = "";

/** "layers.12" of a name or pattern that spells its layer out. */
function layerOf(name: string): string {
  return /^(?:mtp\.)?layers\.\d+(?=\.)/.exec(name)?.[0] ?? ANY_LAYER;
}

const MODEL_PREFIXES = ["model.language_model.", "language_model.model.", "language_model.", "model."];

function withoutModelPrefix(pattern: string): string {
  const prefix = MODEL_PREFIXES.find((candidate) => pattern.startsWith(candidate));
  return prefix === undefined ? pattern : pattern.slice(prefix.length);
}

function withFirstExpert(name: string): string {
  return name.replace(/\bexperts\.\d+/, "experts.0");
}

/**
 * What a plain pattern may be for a name to fall under it: a parent from the start, or, in lists that name kinds
 * of module ("gate"), any run of segments that does not name a layer.
 */
function runsOfSegments(name: string): string[] {
  const segments = name.split(".");
  return segments.flatMap((_, start) =>
    segments.slice(start).map((__, length) => segments.slice(start, start + length + 1).join(".")),
  );
}

const EXPRESSION_MARK = "re:";
const MOST_ALTERNATIVES = 64;

/** A pattern as wildcards. Expressions are anchored at the start, as compressed-tensors matches them. */
function toGlobs(pattern: string): string[] {
  if (!pattern.startsWith(EXPRESSION_MARK)) {
    return [pattern];
  }
  const expression = pattern.slice(EXPRESSION_MARK.length).replace(/^\^/, "");
  const body = expression.endsWith("$") ? expression.slice(0, -1) : `${expression}.*`;
  return expandAlternatives(body)
    .map((alternative) =>
      alternative
        .replaceAll(/\.\*|\\d\+|\[0-9\]\+/g, "*")
        .replaceAll("\\.", ".")
        .replaceAll(/\*+/g, "*"),
    )
    .filter((glob) => !/[\\()[\]{}|+?^$]/.test(glob));
}

/** "a(b|c)d" to "abd" and "acd". */
function expandAlternatives(expression: string): string[] {
  let expanded = [expression];
  for (;;) {
    const next = expanded.flatMap((text) => {
      const group = /\((?:\?:)?([^()]*)\)/.exec(text);
      return group === null
        ? [text]
        : (group[1] ?? "")
            .split("|")
            .map((choice) => text.slice(0, group.index) + choice + text.slice(group.index + group[0].length));
    });
    if (next.length > MOST_ALTERNATIVES) return [];
    if (next.every((text, index) => text === expanded[index])) return next;
    expanded = next;
  }
}

/** A wildcard pattern cut at its stars: at least two parts. */
interface Glob {
  first: string;
  middle: string[];
  last: string;
}

function splitGlob(glob: string): Glob {
  const parts = glob.split("*");
  return { first: parts[0] ?? "", middle: parts.slice(1, -1), last: parts.at(-1) ?? "" };
}

/** Wildcard match without backtracking: each part is taken where it is first found. */
function matchesGlob(name: string, { first, middle, last }: Glob): boolean {
  const end = name.length - last.length;
  if (!name.startsWith(first) || !name.endsWith(last) || end < first.length) return false;
  let position = first.length;
  for (const part of middle) {
    const found = name.indexOf(part, position);
    if (found === -1 || found + part.length > end) return false;
    position = found + part.length;
  }
  return true;
}
