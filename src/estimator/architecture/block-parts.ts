import type { Block, Experts, FeedForward, GroupedAttention, PlainTensor, TensorRole } from "./architecture.js";
import type { ConfigReader } from "./config-reader.js";
import { MAX_EXPERTS } from "./limits.js";

/*
 * The parts that layers are put together from. Each reads the config fields it needs and returns its share of a
 * block; a family joins them. Field names are those of transformers' configuration classes, with the spellings
 * that older and remote-code models use.
 */

/** A share of a block. */
export type BlockPart = Partial<Block>;

/** One block of several parts: their tensors together, every other field from the last part that has it. */
export function joinParts(...parts: BlockPart[]): Block {
  return Object.assign({}, ...parts, { tensors: parts.flatMap((part) => part.tensors ?? []) });
}

export const hiddenSizeOf = (config: ConfigReader): number => config.size("hidden_size", "n_embd", "d_model", "dim");

/** Query heads. */
export const headsOf = (config: ConfigReader): number =>
  config.size("num_attention_heads", "n_head", "num_heads", "n_heads");

/** A tensor with any shape. */
export function plain(name: string, shape: number[], role: TensorRole): PlainTensor {
  return { name, shape, role };
}

/** Norms of the block that scale the whole residual stream, `bias` for layer norms. */
export function norms(width: number, names: readonly string[], bias = false): BlockPart {
  return { tensors: names.flatMap((name) => normTensors(name, width, bias)) };
}

export function normTensors(name: string, width: number, bias = false): PlainTensor[] {
  const weight = plain(`${name}.weight`, [width], "NORM");
  return bias ? [weight, plain(`${name}.bias`, [width], "NORM")] : [weight];
}

/** How queries and keys are normalised. */
export type QueryKeyNorm =
  /** One vector of a head's width, shared by all heads (Qwen3). */
  | "head"
  /** One vector over all heads together (OLMo 2, MiniMax-M2). */
  | "all-heads"
  /** A vector for each head (Command R+, StableLM 2 12B). */
  | "each-head";

export interface AttentionOptions {
  queryKeyNorm?: QueryKeyNorm | undefined;
  /** Norm with bias beside the scale. */
  queryKeyNormBias?: boolean;
  /** The norm has no scale of its own; a GGUF file has one of constants. */
  queryKeyNormIsConstant?: boolean;
  /** Projections that have a bias. */
  biases?: readonly ("q" | "k" | "v" | "o")[] | undefined;
  /** Overrides of what the config's ordinary fields say. */
  shape?: Partial<GroupedAttention>;
  /** The field that an override of `kvHeads` was read from. */
  kvHeadsField?: string;
}

const KV_HEADS = ["num_key_value_heads", "num_kv_heads", "n_head_kv", "multi_query_group_num"];

/** Heads and head widths by the usual fields. */
export function readHeads(config: ConfigReader): { heads: number; kvHeads: number; keyDim: number; valueDim: number } {
  const heads = headsOf(config);
  const kvHeads = config.optionalSize(...KV_HEADS) ?? heads;
  const keyDim = config.optionalSize("head_dim", "attention_head_dim", "kv_channels") ?? evenHeadWidth(config, heads);
  return { heads, kvHeads, keyDim, valueDim: config.optionalCount("v_head_dim") || keyDim };
}

function evenHeadWidth(config: ConfigReader, heads: number): number {
  const hiddenSize = hiddenSizeOf(config);
  if (hiddenSize % heads !== 0) {
    throw config.invalid(
      ["num_attention_heads", "n_head", "num_heads", "n_heads"],
      `is ${heads}, which does not divide the hidden size ${hiddenSize}, and there is no head_dim`,
    );
  }
  return hiddenSize / heads;
}

/** Grouped-query attention with its biases and query/key norms. */
export function groupedAttention(config: ConfigReader, options: AttentionOptions = {}): BlockPart {
  const attention: GroupedAttention = { kind: "grouped", ...readHeads(config), ...options.shape };
  const hiddenSize = hiddenSizeOf(config);
  const { heads, kvHeads, keyDim, valueDim, fusedQkv } = attention;
  if (heads % kvHeads !== 0) {
    throw config.invalid(
      options.kvHeadsField ?? KV_HEADS,
      `is ${kvHeads}, which does not divide the ${heads} attention heads`,
    );
  }
  const widths = { q: heads * keyDim * (attention.gatedQuery ? 2 : 1), k: kvHeads * keyDim, v: kvHeads * valueDim };
  const biases = options.biases ?? [];
  const tensors: PlainTensor[] = [];
  if (fusedQkv && biases.includes("q")) {
    tensors.push(plain("attn_qkv.bias", [widths.q + widths.k + widths.v], "ATTENTION"));
  }
  for (const part of ["q", "k", "v"] as const) {
    if (!fusedQkv && biases.includes(part)) tensors.push(plain(`attn_${part}.bias`, [widths[part]], "ATTENTION"));
  }
  if (biases.includes("o")) tensors.push(plain("attn_output.bias", [hiddenSize], "ATTENTION"));
  tensors.push(...queryKeyNorms(attention, options));
  return { attention, tensors };
}

function queryKeyNorms(attention: GroupedAttention, options: AttentionOptions): PlainTensor[] {
  const { heads, kvHeads, keyDim } = attention;
  if (options.queryKeyNorm === undefined) return [];
  const shapes = {
    head: { q: [keyDim], k: [keyDim] },
    "all-heads": { q: [heads * keyDim], k: [kvHeads * keyDim] },
    "each-head": { q: [keyDim, heads], k: [keyDim, kvHeads] },
  }[options.queryKeyNorm];
  const parts = attention.ownsNoKeys ? (["q"] as const) : (["q", "k"] as const);
  const constant = options.queryKeyNormIsConstant ? { isParameter: false } : {};
  return parts.flatMap((part) => [
    { ...plain(`attn_${part}_norm.weight`, shapes[part], "NORM"), ...constant },
    ...(options.queryKeyNormBias ? [plain(`attn_${part}_norm.bias`, shapes[part], "NORM")] : []),
  ]);
}

/** The projections `attention_bias: true` gives a bias in transformers: all four, or Q, K and V only. */
export function attentionBiases(config: ConfigReader, projections: "qkvo" | "qkv"): AttentionOptions["biases"] {
  return config.flag("attention_bias", false) ? ([...projections] as ("q" | "k" | "v" | "o")[]) : [];
}

/** A dense feed forward of the width that `intermediate_size` names. */
export function feedForward(config: ConfigReader, options: Partial<FeedForward> = {}): BlockPart {
  const size = options.size ?? intermediateSizeOf(config);
  return { feedForward: { gated: true, ...options, size } };
}

export const intermediateSizeOf = (config: ConfigReader): number =>
  config.size("intermediate_size", "ffn_hidden_size", "n_inner", "hidden_dim");

/** Biases of a dense feed forward. */
export function feedForwardBiases(width: number, hiddenSize: number, gated: boolean): BlockPart {
  return {
    tensors: [
      plain("ffn_up.bias", [width], "FEED_FORWARD"),
      ...(gated ? [plain("ffn_gate.bias", [width], "FEED_FORWARD")] : []),
      plain("ffn_down.bias", [hiddenSize], "FEED_FORWARD"),
    ],
  };
}

export interface ExpertsOptions {
  size?: number;
  gated?: boolean;
  fusedGateUp?: boolean;
  latentSize?: number | undefined;
  latentNorm?: boolean;
  shared?: Experts["shared"] | undefined;
  /** A bias added to the router's scores when it chooses (`e_score_correction_bias`). */
  routerScoreBias?: boolean;
}

const EXPERT_COUNT = ["num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts", "num_routed_experts"];
const EXPERTS_USED = [
  "num_experts_per_tok",
  "num_experts_per_token",
  "experts_per_token",
  "top_k_experts",
  "moe_topk",
  "moe_top_k",
  "moe_k",
];

/** Routed experts per layer; 0 where the config has none. */
export function expertCountOf(config: ConfigReader): number {
  return config.optionalWhole(EXPERT_COUNT, { min: 0, max: MAX_EXPERTS }) ?? 0;
}

/**
 * For families whose every layer is dense: a config of theirs that states routed experts is of another model, and
 * what its layers are made of is not known.
 */
export function assertDense(config: ConfigReader): void {
  const count = expertCountOf(config);
  if (count > 1) {
    throw config.invalid(EXPERT_COUNT, `is ${count}, but the layers of this architecture are dense`);
  }
}

/** Routed experts, with their shared expert and router. */
export function routedExperts(config: ConfigReader, options: ExpertsOptions = {}): BlockPart {
  const { routerScoreBias, shared, ...stated } = options;
  const count = config.whole(EXPERT_COUNT, { min: 1, max: MAX_EXPERTS });
  const used = config.whole(EXPERTS_USED, { min: 1, max: MAX_EXPERTS });
  if (used > count) throw config.invalid(EXPERTS_USED, `is ${used}, more than the ${count} experts there are`);
  const experts: Experts = {
    gated: true,
    ...withoutUndefined(stated),
    count,
    used,
    size: options.size ?? config.size("moe_intermediate_size", "expert_ffn_hidden_size"),
  };
  if (shared && shared.size > 0) experts.shared = shared;
  return { experts, tensors: routerScoreBias ? [plain("exp_probs_b.bias", [count], "ROUTER")] : [] };
}

/** Shared experts stated as a number of experts of the routed experts' width. */
export function sharedExperts(config: ConfigReader, ...names: string[]): Experts["shared"] {
  const count = config.optionalWhole(names, { min: 0, max: MAX_EXPERTS }) ?? 0;
  if (count === 0) return undefined;
  return { size: count * config.size("moe_intermediate_size"), gated: true };
}

function withoutUndefined<T extends object>(value: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, field]) => field !== undefined)) as never;
}
