import { ConfigError } from "../config-error.js";
import { MAX_LAYERS } from "../limits.js";
import type { GgufHeader, GgufTensor, GgufValue } from "./gguf-header.js";

/*
 * A GGUF file's metadata in the words of a config.json, so that the same families describe both. Keys are those of
 * gguf-py (`gguf/constants.py`), what converters write into them that of `convert_hf_to_gguf.py`.
 */

/** A config.json's fields. */
type Fields = Readonly<Record<string, unknown>>;

/** Reads a header: keys of its architecture without their prefix, and what tensors there are. */
class HeaderReader {
  readonly architecture: string;
  private readonly tensors: ReadonlyMap<string, GgufTensor>;

  constructor(private readonly header: GgufHeader) {
    const name = lookUp(header.metadata, "general.architecture");
    if (typeof name !== "string") {
      throw new ConfigError("general.architecture is missing: nothing says which architecture this is.", "INVALID", [
        "general.architecture",
      ]);
    }
    this.architecture = name;
    this.tensors = new Map(header.tensors.map((tensor) => [tensor.name, tensor]));
  }

  /** A key of the architecture: "block_count" for "llama.block_count". */
  raw(key: string): GgufValue | undefined {
    return lookUp(this.header.metadata, `${this.architecture}.${key}`);
  }

  /** A number, or the one that all layers have; undefined for lists of several numbers. */
  number(key: string): number | undefined {
    const value = this.raw(key);
    if (typeof value === "number") return value;
    if (!Array.isArray(value)) return undefined;
    const [first] = value;
    return typeof first === "number" && value.every((item) => item === first) ? first : undefined;
  }

  /** A list with a number for each layer. */
  numbers(key: string): readonly number[] | undefined {
    const value = this.raw(key);
    return Array.isArray(value) && value.every((item) => typeof item === "number") ? value : undefined;
  }

  list(key: string): readonly GgufValue[] | undefined {
    const value = this.raw(key);
    return Array.isArray(value) ? value : undefined;
  }

  text(key: string): string | undefined {
    const value = this.raw(key);
    return typeof value === "string" ? value : undefined;
  }

  has(tensor: string): boolean {
    return this.tensors.has(tensor);
  }

  /** Whether any layer has a tensor of that name. */
  hasInBlocks(name: string): boolean {
    return [...this.tensors.keys()].some((tensor) => tensor.startsWith("blk.") && tensor.endsWith(`.${name}`));
  }

  shape(tensor: string): readonly number[] | undefined {
    return this.tensors.get(tensor)?.shape;
  }
}

function lookUp(metadata: GgufHeader["metadata"], key: string): GgufValue | undefined {
  return Object.hasOwn(metadata, key) ? metadata[key] : undefined;
}

function double(value: number | undefined): number | undefined {
  return value === undefined ? undefined : 2 * value;
}

/** How an architecture of GGUF is called in a config.json, and the fields that only it has. */
interface Translation {
  modelType: string | ((header: HeaderReader) => string);
  fields?: (header: HeaderReader) => Fields;
}

const same = (modelType: string): Translation => ({ modelType });

/** DeepSeek's latent attention. Since April 2025 files state the widths before compression as `key_length_mla`. */
function latentFields(header: HeaderReader): Fields {
  const ropeDim = header.number("rope.dimension_count");
  const keyDim = header.number("attention.key_length_mla") ?? header.number("attention.key_length");
  return {
    head_dim: undefined,
    num_key_value_heads: undefined,
    partial_rotary_factor: undefined,
    qk_rope_head_dim: ropeDim,
    qk_nope_head_dim: keyDim === undefined || ropeDim === undefined ? undefined : keyDim - ropeDim,
    v_head_dim: header.number("attention.value_length_mla") ?? header.number("attention.value_length"),
    topk_method: header.hasInBlocks("exp_probs_b.bias") ? "noaux_tc" : "greedy",
    index_n_heads: header.number("attention.indexer.head_count"),
    index_head_dim: header.number("attention.indexer.key_length"),
    index_topk: header.number("attention.indexer.top_k"),
  };
}

/** Layers of sparse attention have an index of their own, or share an earlier layer's. */
function indexerTypes(header: HeaderReader): readonly string[] {
  const blocks = header.number("block_count") ?? 0;
  const layers = Math.min(blocks, MAX_LAYERS) - (header.number("nextn_predict_layers") ?? 0);
  return Array.from({ length: Math.max(0, layers) }, (_, layer) =>
    header.has(`blk.${layer}.indexer.attn_k.weight`) ? "full" : "shared",
  );
}

/** Gated delta networks (Qwen3-Next, Qwen3.5) in Mamba's keys. */
function deltaNetFields(header: HeaderReader): Fields {
  const valueHeads = header.number("ssm.time_step_rank");
  const inner = header.number("ssm.inner_size");
  return {
    linear_conv_kernel_dim: header.number("ssm.conv_kernel"),
    linear_key_head_dim: header.number("ssm.state_size"),
    linear_num_key_heads: header.number("ssm.group_count"),
    linear_num_value_heads: valueHeads,
    linear_value_head_dim: valueHeads === undefined || inner === undefined ? undefined : inner / valueHeads,
    full_attention_interval: header.number("full_attention_interval"),
  };
}

/** Layers without keys and values are short convolutions (LFM2). */
function convolutionFields(header: HeaderReader): Fields {
  const kvHeads = header.numbers("attention.head_count_kv") ?? [];
  return {
    layer_types: kvHeads.map((heads) => (heads > 0 ? "full_attention" : "conv")),
    num_key_value_heads: Math.max(0, ...kvHeads),
    conv_L_cache: header.number("shortconv.l_cache"),
    block_auto_adjust_ff_dim: false,
  };
}

const TRANSLATIONS: Readonly<Record<string, Translation>> = {
  llama: { modelType: (header) => ((header.number("expert_count") ?? 0) > 0 ? "mixtral" : "llama") },
  llama4: {
    modelType: "llama4_text",
    fields: (header) => ({
      intermediate_size: header.number("expert_feed_forward_length"),
      intermediate_size_mlp: header.number("feed_forward_length"),
      interleave_moe_layer_step: header.number("interleave_moe_layer_step"),
      attention_chunk_size: header.number("attention.chunk_size"),
    }),
  },
  mistral3: same("ministral3"),
  // Its width counts gate and up together.
  qwen: {
    modelType: "qwen",
    fields: (header) => ({
      intermediate_size: double(header.number("feed_forward_length")),
      attention_bias: undefined,
    }),
  },
  qwen2: same("qwen2"),
  qwen2moe: same("qwen2_moe"),
  qwen2vl: same("qwen2_vl_text"),
  qwen3: same("qwen3"),
  qwen3moe: same("qwen3_moe"),
  qwen3vl: same("qwen3_vl_text"),
  qwen3vlmoe: same("qwen3_vl_moe_text"),
  qwen3next: { modelType: "qwen3_next", fields: deltaNetFields },
  qwen35: { modelType: "qwen3_5_text", fields: deltaNetFields },
  qwen35moe: { modelType: "qwen3_5_moe_text", fields: deltaNetFields },
  phi2: same("phi"),
  phi3: same("phi3"),
  phimoe: same("phimoe"),
  gemma: same("gemma"),
  gemma2: same("gemma2"),
  gemma3: same("gemma3_text"),
  deepseek: same("deepseek"),
  deepseek2: { modelType: "deepseek_v3", fields: latentFields },
  deepseek32: { modelType: "deepseek_v32", fields: latentFields },
  "glm-dsa": {
    modelType: "glm_moe_dsa",
    fields: (header) => ({ ...latentFields(header), indexer_types: indexerTypes(header) }),
  },
  mistral4: { modelType: "mistral4", fields: latentFields },
  minicpm3: { modelType: "minicpm3", fields: latentFields },
  glm4: same("glm4"),
  glm4moe: {
    modelType: "glm4_moe",
    fields: (header) => ({ _nextn_has_embeddings: header.hasInBlocks("nextn.embed_tokens.weight") }),
  },
  granite: same("granite"),
  olmo2: same("olmo2"),
  olmoe: same("olmoe"),
  "gpt-oss": same("gpt_oss"),
  starcoder2: same("starcoder2"),
  stablelm: same("stablelm"),
  "command-r": same("cohere"),
  cohere2: same("cohere2"),
  internlm2: same("internlm2"),
  exaone: same("exaone"),
  exaone4: same("exaone4"),
  smollm3: same("smollm3"),
  seed_oss: same("seed_oss"),
  ernie4_5: same("ernie4_5"),
  "ernie4_5-moe": same("ernie4_5_moe"),
  "minimax-m2": same("minimax_m2"),
  "hunyuan-dense": same("hunyuan_v1_dense"),
  xverse: same("xverse"),
  baichuan: same("baichuan"),
  minicpm: same("minicpm"),
  bailingmoe2: same("bailing_moe_v2"),
  "hunyuan-moe": same("hunyuan_v1_moe"),
  "exaone-moe": same("exaone_moe"),
  falcon: {
    modelType: "falcon",
    fields: (header) => ({
      new_decoder_architecture: header.hasInBlocks("attn_norm_2.weight"),
      num_kv_heads: header.number("attention.head_count_kv"),
      multi_query: header.number("attention.head_count_kv") === 1,
    }),
  },
  chatglm: {
    modelType: (header) => (header.hasInBlocks("attn_qkv.weight") ? "chatglm" : "glm"),
    fields: (header) => ({
      multi_query_attention: true,
      multi_query_group_num: header.number("attention.head_count_kv"),
      add_qkv_bias: header.hasInBlocks("attn_qkv.bias"),
    }),
  },
  lfm2: { modelType: "lfm2", fields: convolutionFields },
  lfm2moe: { modelType: "lfm2_moe", fields: convolutionFields },
  mamba: {
    modelType: "mamba",
    fields: (header) => ({
      intermediate_size: header.number("ssm.inner_size"),
      state_size: header.number("ssm.state_size"),
      conv_kernel: header.number("ssm.conv_kernel"),
      time_step_rank: header.number("ssm.time_step_rank"),
    }),
  },
};

/** Architectures of GGUF that can be read, sorted. */
export const readableGgufArchitectures = (): string[] => Object.keys(TRANSLATIONS).sort();

/**
 * The config.json that a GGUF file was made from, as far as the description needs it.
 *
 * @throws ConfigError - INVALID when the architecture is missing; NOT_MODELLED for one that cannot be read from GGUF.
 */
export function configFromGguf(header: GgufHeader): Fields {
  const reader = new HeaderReader(header);
  const { architecture } = reader;
  const translation = Object.hasOwn(TRANSLATIONS, architecture) ? TRANSLATIONS[architecture] : undefined;
  if (translation === undefined) {
    throw new ConfigError(
      `GGUF files of the architecture "${architecture.slice(0, 80)}" are not read here, and their memory is not guessed. ` +
        "Import the model's config.json instead.",
      "NOT_MODELLED",
      ["general.architecture"],
    );
  }
  const { modelType, fields } = translation;
  const config = {
    model_type: typeof modelType === "string" ? modelType : modelType(reader),
    ...commonFields(reader),
    ...fields?.(reader),
  };
  return Object.fromEntries(Object.entries(config).filter(([, value]) => value !== undefined));
}

/** Fields that most architectures have under the same keys. Families take those that they know. */
function commonFields(header: HeaderReader): Fields {
  const predicted = header.number("nextn_predict_layers");
  const blocks = header.number("block_count");
  const experts = header.number("expert_count") ?? 0;
  return {
    hidden_size: header.number("embedding_length"),
    num_hidden_layers: blocks === undefined ? undefined : blocks - (predicted ?? 0),
    num_nextn_predict_layers: predicted,
    num_attention_heads: header.number("attention.head_count"),
    num_key_value_heads: header.number("attention.head_count_kv"),
    head_dim: header.number("attention.key_length"),
    intermediate_size: header.number("feed_forward_length") ?? header.numbers("feed_forward_length"),
    max_position_embeddings: header.number("context_length"),
    vocab_size: header.shape("token_embd.weight")?.[1] ?? header.number("vocab_size"),
    tie_word_embeddings: !header.has("output.weight"),
    attention_bias: header.hasInBlocks("attn_q.bias") || header.hasInBlocks("attn_qkv.bias"),
    use_qkv_bias: header.hasInBlocks("attn_q.bias") || header.hasInBlocks("attn_qkv.bias"),
    mlp_bias: header.hasInBlocks("ffn_up.bias"),
    use_qk_norm: header.hasInBlocks("attn_q_norm.weight"),
    lm_head_bias: header.has("output.bias"),
    ...windowFields(header),
    ...(experts > 0 ? expertFields(header, experts) : {}),
    q_lora_rank: header.number("attention.q_lora_rank"),
    kv_lora_rank: header.number("attention.kv_lora_rank"),
    embedding_multiplier: header.number("embedding_scale"),
    residual_multiplier: header.number("residual_scale"),
    ...rotationFields(header),
  };
}

function windowFields(header: HeaderReader): Fields {
  const pattern = header.list("attention.sliding_window_pattern");
  return {
    sliding_window: header.number("attention.sliding_window"),
    sliding_window_pattern: pattern === undefined ? header.number("attention.sliding_window_pattern") : undefined,
    layer_types: pattern?.map((isWindowed) => (isWindowed === true ? "sliding_attention" : "full_attention")),
  };
}

function expertFields(header: HeaderReader, experts: number): Fields {
  const shared = header.number("expert_shared_count");
  return {
    num_experts: experts,
    num_local_experts: experts,
    n_routed_experts: experts,
    moe_num_experts: experts,
    num_experts_per_tok: header.number("expert_used_count"),
    moe_k: header.number("expert_used_count"),
    moe_intermediate_size: header.number("expert_feed_forward_length"),
    shared_expert_intermediate_size: header.number("expert_shared_feed_forward_length"),
    n_shared_experts: shared,
    num_shared_expert: shared,
    num_shared_experts: shared,
    moe_num_shared_experts: shared,
    first_k_dense_replace: header.number("leading_dense_block_count"),
    moe_layer_start_index: header.number("leading_dense_block_count"),
    num_dense_layers: header.number("leading_dense_block_count"),
    moe_layer_interval: header.number("interleave_moe_layer_step"),
    use_expert_bias: header.hasInBlocks("exp_probs_b.bias"),
    moe_router_enable_expert_bias: header.hasInBlocks("exp_probs_b.bias"),
  };
}

function rotationFields(header: HeaderReader): Fields {
  const width = header.number("rope.dimension_count");
  const heads = header.number("attention.head_count");
  const hiddenSize = header.number("embedding_length");
  const headDim = header.number("attention.key_length") ?? (hiddenSize && heads ? hiddenSize / heads : undefined);
  return {
    rope_theta: header.number("rope.freq_base"),
    rope_local_base_freq: header.number("rope.freq_base_swa"),
    partial_rotary_factor: width && headDim && width < headDim ? width / headDim : undefined,
    rope_scaling: scalingFields(header),
  };
}

function scalingFields(header: HeaderReader): Fields | undefined {
  if (header.has("rope_freqs.weight")) return { rope_type: "llama3" };
  const factors = (length: string) =>
    Array.from({ length: header.shape(`rope_factors_${length}.weight`)?.[0] ?? 0 }, () => 1);
  const original = header.number("rope.scaling.original_context_length");
  const long = factors("long");
  if (long.length > 0) {
    return {
      rope_type: "longrope",
      long_factor: long,
      short_factor: factors("short"),
      original_max_position_embeddings: original,
    };
  }
  const kind = header.text("rope.scaling.type");
  if (kind === undefined || kind === "none") return undefined;
  return { rope_type: kind, factor: header.number("rope.scaling.factor"), original_max_position_embeddings: original };
}
