import type { Architecture, Attention, Block, Experts, Recurrent } from "../src/estimator/architecture/architecture.js";
import type { GgufValue } from "./write-gguf.js";

/**
 * The metadata that llama.cpp's loader reads of an architecture (llama.cpp, src/llama-arch.cpp and the
 * `load_arch_hparams` of src/models/). Sizes come from the description; what takes no memory (epsilons, rope bases,
 * scales) is the same for all.
 *
 * @throws RangeError for an architecture that llama.cpp has no name for.
 */
export function describeGguf(architecture: Architecture): Map<string, GgufValue> {
  const name = architecture.ggufArchitecture;
  if (name === null) throw new RangeError("llama.cpp does not know this architecture.");
  const own = new Map<string, GgufValue>([
    ["vocab_size", whole(architecture.vocabularySize)],
    ["context_length", whole(architecture.contextLength)],
    ["embedding_length", whole(architecture.hiddenSize)],
    ...CONSTANTS,
    ...describeMultipliers(architecture),
    ...describeBlocks(architecture),
    ...(OWN_CONSTANTS[name] ?? []),
  ]);
  return new Map<string, GgufValue>([
    ["general.architecture", { type: "string", value: name }],
    ["tokenizer.ggml.model", { type: "string", value: "no_vocab" }],
    ["tokenizer.ggml.token_type_count", whole(rowsOf(architecture, "token_types.weight") ?? 0)],
    ...[...own].map(([key, value]): Entry => [`${name}.${key}`, value]),
  ]);
}

/** Names that files have for a tensor where the estimator's list says another; null for one that files leave out. */
const FILE_NAMES: Readonly<Record<string, Readonly<Record<string, string | null>>>> = {
  // The loader asks for this norm without the suffix.
  "falcon-h1": { "ffn_norm.weight": "ffn_norm" },
  // Norm and projection of attention over layers are multiplied by the converter.
  "kimi-k3": {
    "attn_res_norm.weight": "attn_res_score.weight",
    "attn_res_proj.weight": null,
    "ffn_res_norm.weight": "ffn_res_score.weight",
    "ffn_res_proj.weight": null,
    "output_res_norm.weight": "output_res_score.weight",
    "output_res_proj.weight": null,
  },
};

/** A tensor's name in the file; null where the file has none. */
export function fileName(architecture: Architecture, name: string): string | null {
  const [, prefix = "", rest = name] = /^(blk\.\d+\.)?(.*)$/.exec(name) ?? [];
  const renamed = FILE_NAMES[architecture.ggufArchitecture ?? ""]?.[rest];
  return renamed === null ? null : prefix + (renamed ?? rest);
}

type Entry = readonly [string, GgufValue];
type Entries = readonly Entry[];

const whole = (value: number): GgufValue => ({ type: "uint32", value });
const real = (value: number): GgufValue => ({ type: "float32", value });
const wholes = (value: readonly number[]): GgufValue => ({ type: "uint32[]", value });

/** Values that change no size, whatever they are; llama.cpp's loaders want one or another of them. */
const CONSTANTS: Entries = [
  ["attention.layer_norm_epsilon", real(1e-5)],
  ["attention.layer_norm_rms_epsilon", real(1e-5)],
  ["rope.freq_base", real(1e4)],
  ["logit_scale", real(1)],
  ["expert_weights_scale", real(1)],
  ["expert_weights_norm", { type: "bool", value: true }],
];

/** Granite's graphs have a step for each constant that is not zero; those of other architectures do not ask. */
function describeMultipliers({ ggufArchitecture, multipliers }: Architecture): Entry[] {
  const isAsked = ggufArchitecture?.startsWith("granite") === true;
  const scale = (what: "embedding" | "residual"): number => (isAsked && !multipliers?.includes(what) ? 0 : 2);
  return [
    ["embedding_scale", real(scale("embedding"))],
    ["residual_scale", real(scale("residual"))],
  ];
}

/** Quarters of a head that image positions are rotated by; the sum is half a head of 128. */
const SECTIONS: Entries = [["rope.dimension_sections", { type: "int32[]", value: [16, 24, 24, 0] }]];
/** Numbers of `enum llama_expert_gating_func_type` (llama-hparams.h). */
const GATING = { softmax: 1, sigmoid: 2, squareRootSoftplus: 4 };

/** Further values that one loader wants and that follow from nothing in the description. */
const OWN_CONSTANTS: Readonly<Record<string, Entries>> = {
  bert: [["attention.causal", { type: "bool", value: false }]],
  deepseek4: [
    ["expert_gating_func", whole(GATING.squareRootSoftplus)],
    ["attention.compress_rope_freq_base", real(1e4)],
    ["hyper_connection.sinkhorn_iterations", whole(20)],
    ["hyper_connection.epsilon", real(1e-6)],
    ["swiglu_clamp_exp", real(10)],
  ],
  "kimi-k3": [
    ["attn_res.block_size", whole(12)],
    ["activation.situ_beta", real(1)],
    ["activation.situ_linear_beta", real(1)],
  ],
  "minimax-m3": [
    ["attention.indexer.block_size", whole(128)],
    ["attention.indexer.local_blocks", whole(1)],
  ],
  qwen2vl: SECTIONS,
  qwen3vl: [...SECTIONS, ["n_deepstack_layers", whole(3)]],
  qwen3vlmoe: [...SECTIONS, ["n_deepstack_layers", whole(3)]],
  qwen35: SECTIONS,
  qwen35moe: SECTIONS,
};

/** What the blocks say, layer by layer where they differ. */
function describeBlocks(architecture: Architecture): Entry[] {
  const prediction = architecture.nextTokenPrediction;
  const predicted = prediction?.inGguf ? prediction.layers : [];
  const blocks = [...architecture.layers, ...predicted].map((name) => architecture.blocks[name] as Block);
  const attentions = blocks.flatMap(({ attention }) => attention ?? []);
  const experts = blocks.flatMap((block) => block.experts ?? []);
  const recurrents = blocks.flatMap(({ recurrent }) => recurrent ?? []);
  return [
    ["block_count", whole(blocks.length)],
    ["nextn_predict_layers", whole(predicted.length)],
    ["feed_forward_length", perBlock(blocks.map((block) => feedForwardSize(architecture, block)))],
    ...describeAttentions(architecture, blocks, attentions),
    ...describeExperts(architecture, blocks, experts),
    ...recurrents.slice(0, 1).flatMap(describeRecurrent),
    ...(recurrents.length > 0
      ? [
          [
            "attention.recurrent_layers",
            wholes(blocks.map(({ recurrent }) => Number(recurrent !== undefined))),
          ] as const,
        ]
      : []),
  ];
}

/** One value where all blocks agree, a list where they do not. */
function perBlock(values: readonly number[]): GgufValue {
  const first = values[0] ?? 0;
  return values.every((value) => value === first) ? whole(first) : wholes(values);
}

/** Where experts have no width of their own in the metadata they have the feed-forward part's. */
function feedForwardSize(architecture: Architecture, { feedForward, experts }: Block): number {
  const size = feedForward?.size ?? experts?.size ?? 0;
  return STATES_BOTH_HALVES.has(architecture.ggufArchitecture ?? "") ? 2 * size : size;
}

/** Architectures whose metadata gives gate and up together as one width. */
const STATES_BOTH_HALVES: ReadonlySet<string> = new Set(["qwen"]);

function describeAttentions(
  architecture: Architecture,
  blocks: readonly Block[],
  attentions: readonly Attention[],
): Entry[] {
  const first = attentions[0];
  if (first === undefined) return [];
  const heads = ({ attention, recurrent }: Block): number =>
    attention?.heads ?? (recurrent?.kind === "kimi-delta-attention" ? recurrent.heads : first.heads);
  const windows = attentions.flatMap((attention) => ("window" in attention && attention.window) || []);
  const indexers = attentions.flatMap((attention) => ("indexer" in attention && attention.indexer) || []);
  const indexer = indexers[0];
  const window = windows[0];
  return [
    ["attention.head_count", perBlock(blocks.map(heads))],
    ["attention.head_count_kv", perBlock(blocks.map((block) => keyHeadsOf(block, first)))],
    ...describeHeadWidths(architecture, attentions),
    ...(window
      ? ([
          ["attention.sliding_window", whole(window.size)],
          ["attention.sliding_window_pattern", { type: "bool[]", value: blocks.map(isWindowed) }],
        ] satisfies Entry[])
      : []),
    ...(indexer
      ? ([
          ["attention.indexer.head_count", whole(indexer.heads)],
          ["attention.indexer.key_length", whole(indexer.keyDim)],
          ["attention.indexer.top_k", whole(indexer.topK)],
          ["attention.indexer.types", wholes(architecture.layers.map((name) => hasIndexer(architecture.blocks[name])))],
        ] satisfies Entry[])
      : []),
    [
      "attention.shared_kv_layers",
      whole(attentions.filter((attention) => "sharesCache" in attention && attention.sharesCache).length),
    ],
    ["embedding_length_per_layer_input", whole(widthOf(architecture, "per_layer_proj_norm.weight") ?? 0)],
  ];
}

/**
 * No key heads mark a recurrent layer (llama.cpp, `is_recr_impl`), but in models with Gated DeltaNet, whose recurrent
 * layers are listed.
 */
function keyHeadsOf({ attention, recurrent }: Block, first: Attention): number {
  if (attention !== undefined) return keyHeads(attention);
  return recurrent?.kind === "gated-delta-net" ? keyHeads(first) : 0;
}

function keyHeads(attention: Attention): number {
  switch (attention.kind) {
    case "grouped":
      return attention.kvHeads;
    case "latent":
      return attention.cachesExpanded ? attention.heads : 1;
    case "compressed":
      return 1;
  }
}

const isWindowed = ({ attention }: Block): boolean =>
  attention !== undefined && "window" in attention && attention.window !== undefined;

const hasIndexer = (block: Block | undefined): number =>
  Number(block?.attention !== undefined && "indexer" in block.attention && block.attention.indexer !== undefined);

function describeHeadWidths(architecture: Architecture, attentions: readonly Attention[]): Entry[] {
  const full = attentions.find((attention) => !("window" in attention && attention.window)) ?? attentions[0];
  const windowed = attentions.find((attention) => "window" in attention && attention.window) ?? full;
  if (full === undefined || windowed === undefined) return [];
  const rope = ropeDim(architecture, full);
  return [
    ...keyValueLengths(full).map(([key, value]): Entry => [`attention.${key}`, whole(value)]),
    ...keyValueLengths(windowed)
      .filter(([key]) => SWA_LENGTHS.has(key))
      .map(([key, value]): Entry => [`attention.${key}_swa`, whole(value)]),
    ...(rope === undefined ? [] : [["rope.dimension_count", whole(rope)] satisfies Entry]),
  ];
}

const SWA_LENGTHS: ReadonlySet<string> = new Set(["key_length", "value_length"]);

function keyValueLengths(attention: Attention): [string, number][] {
  switch (attention.kind) {
    case "grouped":
      return [
        ["key_length", attention.keyDim],
        ["value_length", attention.valueDim],
        ...(attention.queryRank === undefined ? [] : [["q_lora_rank", attention.queryRank] satisfies [string, number]]),
      ];
    case "latent": {
      const { kvRank, ropeDim, nopeDim, valueDim, queryRank } = attention;
      const cached: [string, number][] = attention.cachesExpanded
        ? [
            ["key_length", nopeDim + ropeDim],
            ["value_length", valueDim],
          ]
        : [
            ["key_length", kvRank + ropeDim],
            ["value_length", kvRank],
            ["key_length_mla", nopeDim + ropeDim],
            ["value_length_mla", valueDim],
          ];
      return [
        ...cached,
        ["kv_lora_rank", kvRank],
        ...(queryRank ? [["q_lora_rank", queryRank] as [string, number]] : []),
      ];
    }
    case "compressed":
      return [
        ["key_length", attention.keyDim],
        ["value_length", attention.keyDim],
        ["q_lora_rank", attention.queryRank],
        ["output_group_count", attention.outputGroups],
        ["output_lora_rank", attention.outputRank],
      ];
  }
}

/** Rotated width of a head; undefined for all of it, llama.cpp's default. */
function ropeDim(architecture: Architecture, attention: Attention): number | undefined {
  if (attention.kind !== "grouped") return attention.ropeDim;
  const factors = widthOf(architecture, "rope_factors_long.weight");
  return factors === undefined ? undefined : 2 * factors;
}

function describeExperts(architecture: Architecture, blocks: readonly Block[], experts: readonly Experts[]): Entry[] {
  const first = experts[0];
  if (first === undefined) return [];
  const shared = experts.find((part) => part.shared)?.shared;
  const mixtures = blocks.flatMap((block, index) => (block.experts ? [index] : []));
  return [
    ["expert_count", whole(Math.max(...experts.map(({ count }) => count)))],
    ["expert_used_count", whole(first.used)],
    ["expert_feed_forward_length", perBlock(blocks.map((block) => block.experts?.size ?? first.size))],
    ["expert_shared_count", whole(shared ? shared.size / first.size : 0)],
    ["expert_shared_feed_forward_length", whole(shared?.size ?? 0)],
    ["leading_dense_block_count", whole(mixtures[0] ?? 0)],
    ["interleave_moe_layer_step", whole((mixtures[1] ?? 1) - (mixtures[0] ?? 0))],
    ["expert_gating_func", whole(blocks.some(isBalanced) ? GATING.sigmoid : GATING.softmax)],
    ["hash_layer_count", whole(blocks.filter(({ tensors }) => tensors.some(isHashTable)).length)],
    ...(first.latentSize === undefined
      ? []
      : ([
          ["moe_latent_size", whole(first.latentSize)],
          ["expert_latent_length", whole(first.latentSize)],
        ] satisfies Entry[])),
    ...(architecture.residualStreams === undefined
      ? []
      : ([
          ["hyper_connection.count", whole(architecture.residualStreams)],
          ["attention.compress_ratios", wholes(blocks.map(compressRatio))],
        ] satisfies Entry[])),
  ];
}

/** Routers with a bias that balances the experts score by sigmoid. */
const isBalanced = ({ tensors }: Block): boolean => tensors.some(({ name }) => name === "exp_probs_b.bias");

const isHashTable = ({ name }: { name: string }): boolean => name === "ffn_gate_tid2eid.weight";

const compressRatio = ({ attention }: Block): number =>
  attention?.kind === "compressed" ? attention.compressRatio : 0;

function describeRecurrent(recurrent: Recurrent): Entry[] {
  const ssm = (values: Record<string, number>): Entry[] =>
    Object.entries(values).map(([key, value]) => [`ssm.${key}`, whole(value)]);
  switch (recurrent.kind) {
    case "gated-delta-net":
      return ssm({
        conv_kernel: recurrent.convKernel,
        inner_size: recurrent.valueHeads * recurrent.valueDim,
        state_size: recurrent.keyDim,
        time_step_rank: recurrent.valueHeads,
        group_count: recurrent.keyHeads,
      });
    case "kimi-delta-attention":
      return [...ssm({ conv_kernel: recurrent.convKernel }), ["kda.head_dim", whole(recurrent.headDim)]];
    case "mamba1":
      return ssm({
        conv_kernel: recurrent.convKernel,
        inner_size: recurrent.innerSize,
        state_size: recurrent.stateSize,
        time_step_rank: recurrent.timeStepRank,
      });
    case "mamba2":
      return ssm({
        conv_kernel: recurrent.convKernel,
        inner_size: recurrent.innerSize,
        state_size: recurrent.stateSize,
        time_step_rank: recurrent.heads,
        group_count: recurrent.groups,
      });
    case "short-convolution":
      return [["shortconv.l_cache", whole(recurrent.convKernel)]];
    case "lightning":
      return [];
  }
}

/** First or second dimension of a tensor outside the blocks. */
const shapeOf = (architecture: Architecture, name: string): number[] | undefined =>
  architecture.tensors.find((tensor) => tensor.name === name)?.shape;
const widthOf = (architecture: Architecture, name: string): number | undefined => shapeOf(architecture, name)?.[0];
const rowsOf = (architecture: Architecture, name: string): number | undefined => shapeOf(architecture, name)?.[1];
