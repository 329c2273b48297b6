import { describe, expect, it } from "vitest";
import { countParameters } from "../../tensors/count-parameters.js";
import { architectureFromConfig } from "../from-config.js";

/*
 * Configs with the fields that shape a model, against the parameter counts on the models' Hugging Face pages
 * (safetensors, prediction blocks included). They state what their publishers' files state and nothing more.
 */

type Config = Record<string, unknown>;

const TRINITY_NANO: Config = {
  model_type: "afmoe",
  architectures: ["AfmoeForCausalLM"],
  dtype: "bfloat16",
  global_attn_every_n_layers: 4,
  head_dim: 128,
  hidden_size: 1024,
  intermediate_size: 3072,
  max_position_embeddings: 131072,
  moe_intermediate_size: 256,
  num_attention_heads: 8,
  num_dense_layers: 2,
  num_experts: 128,
  num_experts_per_tok: 8,
  num_hidden_layers: 56,
  num_key_value_heads: 2,
  num_shared_experts: 1,
  rope_scaling: null,
  sliding_window: 2048,
  tie_word_embeddings: false,
  vocab_size: 200192,
};

const PHI4_FLASH: Config = {
  model_type: "phi4flash",
  architectures: ["Phi4FlashForCausalLM"],
  hidden_size: 2560,
  intermediate_size: 10240,
  max_position_embeddings: 262144,
  mb_per_layer: 2,
  num_attention_heads: 40,
  num_hidden_layers: 32,
  num_key_value_heads: 20,
  sliding_window: 512,
  tie_word_embeddings: true,
  vocab_size: 200064,
};

const RING_2_5: Config = {
  model_type: "bailing_hybrid",
  architectures: ["BailingMoeV2_5ForCausalLM"],
  first_k_dense_replace: 4,
  head_dim: 128,
  hidden_size: 8192,
  intermediate_size: 18432,
  kv_lora_rank: 512,
  layer_group_size: 8,
  max_position_embeddings: 131072,
  moe_intermediate_size: 2048,
  num_attention_heads: 64,
  num_experts: 256,
  num_experts_per_tok: 8,
  num_hidden_layers: 80,
  num_key_value_heads: 64,
  num_shared_experts: 1,
  q_lora_rank: 1536,
  vocab_size: 157184,
};

/** Names of what mixes tokens in each layer. */
function mixers(config: Config): Record<string, number> {
  const { blocks, layers } = architectureFromConfig(config);
  const found: Record<string, number> = {};
  for (const name of layers) {
    const { attention, recurrent } = blocks[name] ?? {};
    const grouped = attention?.kind === "grouped" ? attention : undefined;
    const kind = grouped?.sharesCache
      ? "shared"
      : (grouped?.window?.kind ?? attention?.kind ?? recurrent?.kind ?? "stateless");
    found[kind] = (found[kind] ?? 0) + 1;
  }
  return found;
}

const MODELS: [name: string, parameters: number, config: Config][] = [
  ["arcee-ai/Trinity-Nano-Preview", 6_120_003_328, TRINITY_NANO],
  [
    "arcee-ai/Trinity-Large-Thinking",
    398_635_286_016,
    {
      ...TRINITY_NANO,
      hidden_size: 3072,
      intermediate_size: 12288,
      moe_intermediate_size: 3072,
      num_attention_heads: 48,
      num_dense_layers: 6,
      num_experts: 256,
      num_experts_per_tok: 4,
      num_hidden_layers: 60,
      num_key_value_heads: 8,
      sliding_window: 4096,
    },
  ],
  [
    "tencent/Hy3-preview",
    298_786_155_776,
    {
      model_type: "hy_v3",
      architectures: ["HYV3ForCausalLM"],
      first_k_dense_replace: 1,
      head_dim: 128,
      hidden_size: 4096,
      intermediate_size: 13312,
      max_position_embeddings: 262144,
      moe_intermediate_size: 1536,
      num_attention_heads: 64,
      num_experts: 192,
      num_experts_per_tok: 8,
      num_hidden_layers: 80,
      num_key_value_heads: 8,
      num_nextn_predict_layers: 1,
      num_shared_experts: 1,
      vocab_size: 120832,
    },
  ],
  [
    "LiquidAI/LFM2.5-350M",
    354_483_968,
    {
      model_type: "lfm2",
      architectures: ["Lfm2ForCausalLM"],
      full_attn_idxs: [2, 5, 8, 10, 12, 14],
      hidden_size: 1024,
      intermediate_size: 6656,
      max_position_embeddings: 128000,
      num_attention_heads: 16,
      num_hidden_layers: 16,
      num_key_value_heads: 8,
      vocab_size: 65536,
    },
  ],
  [
    "tiiuae/falcon-rw-1b",
    1_311_625_216,
    {
      model_type: "falcon",
      architectures: ["FalconForCausalLM"],
      alibi: true,
      bias: true,
      hidden_size: 2048,
      multi_query: false,
      new_decoder_architecture: false,
      num_attention_heads: 32,
      num_hidden_layers: 24,
      parallel_attn: false,
      vocab_size: 50304,
    },
  ],
  [
    "nvidia/NV-Embed-v2",
    7_851_016_192,
    {
      model_type: "nvembed",
      architectures: ["NVEmbedModel"],
      hidden_size: 4096,
      latent_attention_config: {
        cross_dim_head: 4096,
        hidden_dim: 4096,
        latent_dim: 4096,
        mult: 4,
        num_cross_heads: 8,
        num_latents_value: 512,
      },
      text_config: { model_type: "bidir_mistral", architectures: ["MistralModel"], max_position_embeddings: 32768 },
    },
  ],
  [
    "Alibaba-NLP/gte-large-en-v1.5",
    434_139_136,
    {
      model_type: "new",
      architectures: ["NewModel"],
      hidden_size: 1024,
      intermediate_size: 4096,
      max_position_embeddings: 8192,
      num_attention_heads: 16,
      num_hidden_layers: 24,
      position_embedding_type: "rope",
      type_vocab_size: 2,
      vocab_size: 30528,
    },
  ],
  [
    "jinaai/jina-embeddings-v3",
    572_310_396,
    {
      model_type: "xlm-roberta",
      architectures: ["XLMRobertaModel"],
      hidden_size: 1024,
      intermediate_size: 4096,
      lora_adaptations: ["retrieval.query", "retrieval.passage", "separation", "classification", "text-matching"],
      lora_rank: 4,
      max_position_embeddings: 8194,
      num_attention_heads: 16,
      num_hidden_layers: 24,
      position_embedding_type: "rotary",
      type_vocab_size: 1,
      vocab_size: 250002,
    },
  ],
  [
    "distilbert/distilbert-base-uncased, without its head",
    66_362_880,
    {
      model_type: "distilbert",
      architectures: ["DistilBertModel"],
      dim: 768,
      hidden_dim: 3072,
      max_position_embeddings: 512,
      n_heads: 12,
      n_layers: 6,
      vocab_size: 30522,
    },
  ],
  [
    "microsoft/Phi-4-mini-flash-reasoning (bytes of its index, 741,376 of the values in 32 bits)",
    7_706_608_640 / 2 - 741_376,
    PHI4_FLASH,
  ],
  [
    "meituan-longcat/LongCat-Flash-Chat",
    561_862_880_256,
    {
      model_type: "longcat_flash",
      architectures: ["LongcatFlashForCausalLM"],
      expert_ffn_hidden_size: 2048,
      ffn_hidden_size: 12288,
      hidden_size: 6144,
      kv_lora_rank: 512,
      max_position_embeddings: 131072,
      moe_topk: 12,
      n_routed_experts: 512,
      num_attention_heads: 64,
      num_layers: 28,
      q_lora_rank: 1536,
      qk_nope_head_dim: 128,
      qk_rope_head_dim: 64,
      v_head_dim: 128,
      vocab_size: 131072,
      zero_expert_num: 256,
    },
  ],
];

/** mamba_ssm's own configs; the counts are those of transformers' versions of the models, and a closed form. */
const ORIGINAL_MAMBA: [name: string, gguf: string, parameters: number, config: Config][] = [
  [
    "state-spaces/mamba-130m",
    "mamba",
    129_135_360,
    { d_model: 768, n_layer: 24, pad_vocab_size_multiple: 8, ssm_cfg: {} },
  ],
  [
    "state-spaces/mamba-2.8b",
    "mamba",
    2_768_345_600,
    { d_model: 2560, n_layer: 64, pad_vocab_size_multiple: 8, ssm_cfg: {} },
  ],
  [
    "state-spaces/mamba2-2.7b",
    "mamba2",
    50288 * 2560 +
      2560 +
      64 * (2560 + 2560 * (2 * 5120 + 2 * 128 + 80) + 5 * (5120 + 256) + 3 * 80 + 5120 + 5120 * 2560),
    { attn_layer_idx: [], d_model: 2560, n_layer: 64, pad_vocab_size_multiple: 16, ssm_cfg: { layer: "Mamba2" } },
  ],
];

const countOf = (config: Config): number => {
  const { total, nextTokenPrediction, encoders } = countParameters(architectureFromConfig(config));
  return total + nextTokenPrediction + encoders;
};

describe("parameters of published models", () => {
  it.each(MODELS)("%s: %d", (_, parameters, config) => {
    expect(countOf(config)).toBe(parameters);
  });

  it.each(ORIGINAL_MAMBA)("%s, told by its fields alone, is %s with %d parameters", (_, gguf, parameters, fields) => {
    const config = { vocab_size: 50277, ...fields };
    expect(architectureFromConfig(config)).toMatchObject({ ggufArchitecture: gguf, tiedEmbeddings: true });
    expect(countOf(config)).toBe(parameters);
    const refused =
      (change: Config): (() => unknown) =>
      () =>
        architectureFromConfig({ ...config, ...change });
    expect(refused({ d_model: null })).toThrow(expect.objectContaining({ path: ["hidden_size"] }));
    expect(refused({ ssm_cfg: { d_state: -1 } })).toThrow(expect.objectContaining({ path: ["ssm_cfg", "d_state"] }));
    expect(refused({ attn_layer_idx: [3] })).toThrow("attn_layer_idx names layers of attention");
    expect(refused({ architectures: ["Odd"] })).toThrow(expect.objectContaining({ code: "NOT_MODELLED" }));
  });

  it("Gemma 4 12B is the same by gemma4's and by gemma4_unified's names", () => {
    const text = {
      attention_k_eq_v: true,
      hidden_size: 3840,
      intermediate_size: 15360,
      num_attention_heads: 16,
      num_global_key_value_heads: 1,
      num_hidden_layers: 48,
      num_key_value_heads: 8,
    };
    const unified = architectureFromConfig({
      model_type: "gemma4_unified",
      text_config: { model_type: "gemma4_unified_text", ...text },
    });
    const plain = architectureFromConfig({
      model_type: "gemma4",
      text_config: { model_type: "gemma4_text", ...text, hidden_size_per_layer_input: 0, sliding_window: 1024 },
    });
    expect(unified.blocks).toEqual(plain.blocks);
    expect(countParameters(unified).total).toBe(11_907_350_320);
  });

  it("Gemma 4's last layer is full where the pattern ends elsewhere", () => {
    const { layers } = architectureFromConfig({
      model_type: "gemma4",
      text_config: { model_type: "gemma4_text", num_hidden_layers: 8 },
    });
    expect(layers.map((layer) => layer.startsWith("full"))).toEqual([0, 0, 0, 0, 0, 1, 0, 1].map(Boolean));
  });

  it.each<[string, number, Config]>([
    // The published counts hold the experts' biases, which GGUF files leave out, and a table of position numbers.
    [
      "nomic-ai/nomic-embed-text-v2-moe",
      475_292_928,
      {
        model_type: "nomic_bert",
        architectures: ["NomicBertModel"],
        activation_function: "gelu",
        mlp_fc1_bias: true,
        moe_every_n_layers: 2,
        moe_top_k: 2,
        n_embd: 768,
        n_head: 12,
        n_inner: 3072,
        n_layer: 12,
        n_positions: 2048,
        num_experts: 8,
        qkv_proj_bias: true,
        type_vocab_size: 1,
        vocab_size: 250048,
      },
    ],
    [
      "sentence-transformers/all-mpnet-base-v2",
      109_486_978,
      {
        model_type: "mpnet",
        architectures: ["MPNetForMaskedLM"],
        hidden_size: 768,
        intermediate_size: 3072,
        max_position_embeddings: 514,
        num_attention_heads: 12,
        num_hidden_layers: 12,
        relative_attention_num_buckets: 32,
        vocab_size: 30527,
      },
    ],
  ])("%s within a ten-thousandth", (_, parameters, config) => {
    expect(countOf(config) / parameters).toBeCloseTo(1, 4);
  });

  it("Command A+'s leading dense layers follow a pattern of their own", () => {
    const config = {
      model_type: "cohere2_moe",
      architectures: ["Cohere2MoeForCausalLM"],
      first_k_dense_replace: 1,
      head_dim: 128,
      hidden_size: 2048,
      intermediate_size: 768,
      max_position_embeddings: 500000,
      num_attention_heads: 32,
      num_experts: 128,
      num_experts_per_tok: 8,
      num_hidden_layers: 49,
      num_key_value_heads: 4,
      num_shared_experts: 0,
      prefix_dense_intermediate_size: 3072,
      prefix_dense_sliding_window_pattern: 1,
      sliding_window: 4096,
      tie_word_embeddings: null,
      vocab_size: 262144,
    };
    const { layers } = architectureFromConfig(config);
    expect(layers.map((layer) => layer.startsWith("full"))).toEqual(layers.map((_, index) => index % 4 === 0));
    // "30B-A3B" (llama.cpp, LLM_TYPE_30B_A3B for 49 layers).
    expect(countParameters(architectureFromConfig(config))).toMatchObject({
      total: 30_484_303_872,
      active: 3_305_213_952,
    });
    const kinds = layers.map((_, index) => (index % 4 === 0 ? "full_attention" : "sliding_attention"));
    expect(architectureFromConfig({ ...config, layer_types: kinds }).layers).toEqual(layers);
  });

  it("Phi-4-mini-flash caches in nine layers of attention, eight of them windows, and keeps nine states", () => {
    const expected = { mamba1: 9, sliding: 8, grouped: 1, stateless: 7, shared: 7 };
    expect(mixers(PHI4_FLASH)).toEqual(expected);
    const listed = Array.from({ length: 32 }, (_, index) => (index < 16 && index % 2 === 1 ? 512 : null));
    expect(mixers({ ...PHI4_FLASH, sliding_window: listed })).toEqual(expected);
    expect(() => mixers({ ...PHI4_FLASH, sliding_window: [null] })).toThrow("sliding_window names no window");
  });

  it("LongCat's layers have two attention blocks each, by transformers' count of layers as well", () => {
    const config = MODELS.find(([name]) => name.includes("LongCat"))?.[2] ?? {};
    expect(mixers(config)).toEqual({ latent: 56 });
    expect(mixers({ ...config, num_hidden_layers: 56 })).toEqual({ latent: 56 });
    const { num_layers, ...byOneName } = config;
    expect(mixers({ ...byOneName, num_hidden_layers: num_layers })).toEqual({ latent: 56 });
  });

  it("Ring 2.5 has latent attention in every eighth layer, Ling 3 delta attention elsewhere", () => {
    expect(mixers(RING_2_5)).toEqual({ lightning: 70, latent: 10 });
    expect(countOf(RING_2_5) / 1_012_474_606_720).toBeCloseTo(1, 3);
    expect(mixers({ ...RING_2_5, num_hidden_layers: 82 })).toEqual({ lightning: 70, latent: 12 });
    expect(mixers({ ...RING_2_5, short_conv_kernel_size: 4 })).toEqual({ "kimi-delta-attention": 70, latent: 10 });
  });

  it("Hunyuan-Large's every second layer reads the cache of the one before", () => {
    const config = {
      model_type: "hunyuan",
      architectures: ["HunYuanForCausalLM"],
      attention_head_dim: 128,
      cla_share_factor: 2,
      hidden_size: 6400,
      intermediate_size: 18304,
      max_position_embeddings: 131072,
      moe_topk: 1,
      num_attention_heads: 80,
      num_experts: 16,
      num_hidden_layers: 64,
      num_key_value_heads: 8,
      num_shared_expert: [...new Array(64).fill(1)],
      tie_word_embeddings: true,
      use_cla: true,
      vocab_size: 129024,
    };
    const architecture = architectureFromConfig(config);
    const sharing = architecture.layers.filter((name) => {
      const attention = architecture.blocks[name]?.attention;
      return attention?.kind === "grouped" && attention.sharesCache;
    });
    expect(sharing).toHaveLength(32);
    // "389B" in the technical report (arXiv 2411.02265).
    expect(countOf(config) / 389e9).toBeCloseTo(1, 2);
    expect(() => countOf({ ...config, num_shared_expert: [1, 2, ...new Array(62).fill(1)] })).toThrow(
      "num_shared_expert differs between layers",
    );
  });
});
