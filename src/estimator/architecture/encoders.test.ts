import { describe, expect, it } from "vitest";
import { countParameters } from "../tensors/count-parameters.js";
import { ConfigError } from "./config-error.js";
import { architectureFromConfig } from "./from-config.js";

/* Towers against the parameter counts on the models' Hugging Face pages; fields by their configuration classes. */

const QWEN2_7B = {
  model_type: "qwen2",
  hidden_size: 3584,
  intermediate_size: 18944,
  num_hidden_layers: 28,
  num_attention_heads: 28,
  num_key_value_heads: 4,
};
const INTERN_VIT = { model_type: "internvl_vision", image_size: [448, 448], patch_size: [14, 14] };
const SIGLIP = { hidden_size: 1152, intermediate_size: 4304, patch_size: 14 };

const MODELS: [name: string, parameters: number, config: Record<string, unknown>][] = [
  [
    "InternVL3-8B-hf",
    7_944_373_760,
    { model_type: "internvl", text_config: { ...QWEN2_7B, vocab_size: 151674 }, vision_config: INTERN_VIT },
  ],
  [
    "llava-onevision-qwen2-7b-ov-hf",
    8_030_807_584,
    {
      model_type: "llava_onevision",
      text_config: { ...QWEN2_7B, vocab_size: 152128 },
      vision_config: { model_type: "siglip_vision_model", num_hidden_layers: 26, image_size: 384, ...SIGLIP },
    },
  ],
  [
    "llava-v1.6-34b-hf",
    34_752_083_968,
    {
      model_type: "llava_next",
      text_config: {
        model_type: "llama",
        hidden_size: 7168,
        intermediate_size: 20480,
        num_hidden_layers: 60,
        num_attention_heads: 56,
        num_key_value_heads: 8,
        vocab_size: 64064,
      },
      vision_config: {
        model_type: "clip_vision_model",
        hidden_size: 1024,
        intermediate_size: 4096,
        num_hidden_layers: 24,
        patch_size: 14,
        image_size: 336,
      },
    },
  ],
  [
    "SmolVLM-500M-Instruct",
    507_482_304,
    {
      model_type: "idefics3",
      scale_factor: 4,
      text_config: {
        model_type: "llama",
        hidden_size: 960,
        intermediate_size: 2560,
        num_hidden_layers: 32,
        num_attention_heads: 15,
        num_key_value_heads: 5,
        head_dim: 64,
        vocab_size: 49280,
      },
      vision_config: { hidden_size: 768, patch_size: 16, image_size: 512 },
    },
  ],
  [
    "aya-vision-8b",
    8_631_842_032,
    {
      model_type: "aya_vision",
      alignment_intermediate_size: 28672,
      text_config: {
        model_type: "cohere2",
        hidden_size: 4096,
        intermediate_size: 14336,
        num_hidden_layers: 32,
        num_attention_heads: 32,
        num_key_value_heads: 8,
      },
      vision_config: { image_size: 364 },
    },
  ],
  [
    "deepseek-vl2-small",
    16_148_349_504,
    {
      model_type: "deepseek_vl_v2",
      language_config: {
        model_type: "deepseek_v2",
        first_k_dense_replace: 1,
        hidden_size: 2048,
        intermediate_size: 10944,
        moe_intermediate_size: 1408,
        n_routed_experts: 64,
        n_shared_experts: 2,
        num_attention_heads: 16,
        num_experts_per_tok: 6,
        num_hidden_layers: 27,
        q_lora_rank: null,
        vocab_size: 102400,
      },
      vision_config: { layers: 27, mlp_ratio: 3.7362, width: 1152, patch_size: 14 },
      projector_config: { n_embed: 2048 },
    },
  ],
  [
    "gemma-4-E2B-it",
    5_123_178_051,
    {
      model_type: "gemma4",
      text_config: {
        model_type: "gemma4_text",
        hidden_size: 1536,
        num_hidden_layers: 35,
        intermediate_size: 6144,
        num_key_value_heads: 1,
        num_kv_shared_layers: 20,
        use_double_wide_mlp: true,
        layer_types: Array.from({ length: 35 }, (_, index) =>
          (index + 1) % 5 === 0 ? "full_attention" : "sliding_attention",
        ),
      },
      vision_config: {},
      audio_config: {},
    },
  ],
  [
    "gemma-4-E4B-it",
    7_996_156_490,
    {
      model_type: "gemma4",
      text_config: {
        model_type: "gemma4_text",
        hidden_size: 2560,
        num_hidden_layers: 42,
        intermediate_size: 10240,
        num_key_value_heads: 2,
        num_kv_shared_layers: 18,
      },
      vision_config: {},
      audio_config: {},
    },
  ],
  [
    "pixtral-12b (transformers' names)",
    12_682_739_712,
    {
      model_type: "llava",
      text_config: {
        model_type: "mistral",
        head_dim: 128,
        hidden_size: 5120,
        intermediate_size: 14336,
        num_hidden_layers: 40,
        num_key_value_heads: 8,
        vocab_size: 131072,
        max_position_embeddings: 1024000,
      },
      vision_config: { model_type: "pixtral", head_dim: 64, image_size: 1024, patch_size: 16 },
    },
  ],
  [
    "gemma-3n-E2B-it, with 256 rows of padding in the table of 30 layers",
    5_439_438_272 + 256 * 256 * 30,
    {
      model_type: "gemma3n",
      text_config: { model_type: "gemma3n_text", intermediate_size: 8192, num_hidden_layers: 30 },
      vision_config: { architecture: "mobilenetv5_300m_enc" },
      audio_config: {},
    },
  ],
  [
    "gemma-3n-E4B-it, with 256 rows of padding in the table of 35 layers",
    7_849_978_192 + 256 * 256 * 35,
    {
      model_type: "gemma3n",
      text_config: { model_type: "gemma3n_text" },
      vision_config: {},
      audio_config: {},
    },
  ],
  [
    "NVIDIA-Nemotron-Nano-12B-v2-VL-BF16, whose count holds six constants for the colours",
    13_181_860_358 - 6,
    {
      model_type: "NemotronH_Nano_VL_V2",
      downsample_ratio: 0.5,
      projector_hidden_size: 20480,
      llm_config: {
        model_type: "nemotron_h",
        head_dim: 128,
        hidden_size: 5120,
        hybrid_override_pattern: "M-M-M-M*-M-M-M-M*-M-M-M-M*-M-M-M-M*-M-M-M-M*-M-M-M-M*-M-M-M-M-",
        intermediate_size: 20480,
        mamba_head_dim: 80,
        mamba_num_heads: 128,
        max_position_embeddings: 131072,
        num_attention_heads: 40,
        num_hidden_layers: 62,
        num_key_value_heads: 8,
        vocab_size: 132096,
      },
      vision_config: { args: { model: "vit_huge_patch16_224", cpe_max_size: 2048 }, patch_size: 16 },
    },
  ],
  [
    "command-a-vision-07-2025",
    111_867_525_360,
    {
      model_type: "cohere2_vision",
      alignment_intermediate_size: 36864,
      downsample_factor: 2,
      text_config: {
        model_type: "cohere2",
        head_dim: 128,
        hidden_size: 12288,
        intermediate_size: 36864,
        num_attention_heads: 96,
        num_hidden_layers: 64,
        num_key_value_heads: 8,
      },
      vision_config: { model_type: "siglip_vision_model", image_size: 512, patch_size: 16, vision_use_head: false },
    },
  ],
  [
    "Phi-4-reasoning-vision-15B",
    15_119_518_144,
    {
      model_type: "phi4-siglip",
      architectures: ["Phi4ForCausalLMV"],
      hidden_size: 5120,
      intermediate_size: 17920,
      max_position_embeddings: 32768,
      num_attention_heads: 40,
      num_hidden_layers: 40,
      num_key_value_heads: 10,
      tie_word_embeddings: false,
      vision_config: { model_type: "siglip2_vision_model" },
      vocab_size: 100352,
    },
  ],
  [
    "HunyuanOCR",
    996_208_112,
    {
      model_type: "hunyuan_vl",
      architectures: ["HunYuanVLForConditionalGeneration"],
      tie_word_embeddings: true,
      text_config: {
        model_type: "hunyuan_vl_text",
        head_dim: 128,
        hidden_size: 1024,
        intermediate_size: 3584,
        max_position_embeddings: 131072,
        num_attention_heads: 16,
        num_hidden_layers: 24,
        num_key_value_heads: 8,
        vocab_size: 120818,
      },
      vision_config: { hidden_size: 1152, out_hidden_size: 1024 },
    },
  ],
  [
    "InternVL2_5-8B",
    8_075_365_376,
    {
      model_type: "internvl_chat",
      llm_config: {
        model_type: "internlm2",
        hidden_size: 4096,
        intermediate_size: 14336,
        max_position_embeddings: 32768,
        num_attention_heads: 32,
        num_hidden_layers: 32,
        num_key_value_heads: 8,
        vocab_size: 92553,
      },
      vision_config: { hidden_size: 1024, intermediate_size: 4096, norm_type: "layer_norm", qkv_bias: true },
    },
  ],
  [
    "InternVL3-38B",
    38_388_164_992,
    {
      model_type: "internvl_chat",
      llm_config: {
        model_type: "qwen2",
        hidden_size: 5120,
        intermediate_size: 27648,
        num_attention_heads: 40,
        num_hidden_layers: 64,
        num_key_value_heads: 8,
        vocab_size: 151674,
      },
      vision_config: {
        hidden_size: 3200,
        intermediate_size: 12800,
        norm_type: "rms_norm",
        num_hidden_layers: 45,
        qk_normalization: true,
        qkv_bias: false,
      },
    },
  ],
];

/* Towers whose models publish no count that is theirs alone: sums over the modules of their classes. */
const TOWERS: [name: string, encoders: { kind: string; parameters: number }[], config: Record<string, unknown>][] = [
  [
    // SigLIP-L with its pooling head: 316.28 M (timm, vit_large_patch16_siglip_384); two layers to the text's width.
    "Janus-1.3B",
    [{ kind: "vision", parameters: 316_283_904 + (1024 + 1) * 2048 + (2048 + 1) * 2048 }],
    {
      model_type: "multi_modality",
      language_config: {
        model_type: "llama",
        hidden_size: 2048,
        intermediate_size: 5632,
        num_hidden_layers: 24,
        num_attention_heads: 16,
        vocab_size: 102400,
      },
      vision_config: { cls: "CLIPVisionTower", params: { image_size: 384, model_name: "siglip_large_patch16_384" } },
      gen_vision_config: { cls: "VQ-16" },
    },
  ],
  [
    // Qwen2.5-VL-7B's tower (its published count less the text), and Whisper's encoder of 32 layers.
    "Qwen2.5-Omni-7B",
    [
      { kind: "vision", parameters: 676_550_144 },
      { kind: "audio", parameters: 639_647_232 },
    ],
    {
      model_type: "qwen2_5_omni",
      thinker_config: {
        model_type: "qwen2_5_omni_thinker",
        audio_config: { d_model: 1280, encoder_ffn_dim: 5120, encoder_layers: 32, num_mel_bins: 128, output_dim: 3584 },
        text_config: { ...QWEN2_7B, model_type: "qwen2_5_omni_text", vocab_size: 152064 },
        vision_config: { depth: 32, hidden_size: 1280, intermediate_size: 3420, out_hidden_size: 3584 },
      },
      talker_config: { hidden_size: 896 },
    },
  ],
  [
    // "0.54 B" and "0.65 B" in the technical report (arXiv 2509.17765).
    "Qwen3-Omni-30B-A3B",
    [
      { kind: "vision", parameters: 538_631_408 },
      { kind: "audio", parameters: 647_927_168 },
    ],
    {
      model_type: "qwen3_omni_moe",
      thinker_config: {
        model_type: "qwen3_omni_moe_thinker",
        audio_config: { downsample_hidden_size: 480, output_dim: 2048 },
        text_config: { model_type: "qwen3_omni_moe_text", num_hidden_layers: 48, vocab_size: 152064 },
        vision_config: { out_hidden_size: 2048 },
      },
    },
  ],
  [
    "gemma-4-12B-it: no tower, projections of joined patches and of frames of sound",
    [
      { kind: "vision", parameters: 2 * 6912 + (6912 + 1) * 3840 + 4 * 3840 + 2 * 1120 * 3840 + 3840 * 3840 },
      { kind: "audio", parameters: 640 * 3840 },
    ],
    {
      model_type: "gemma4_unified",
      text_config: { model_type: "gemma4_unified_text", hidden_size: 3840, num_hidden_layers: 48 },
      vision_config: {},
      audio_config: {},
    },
  ],
];

describe("towers", () => {
  it.each(MODELS)("%s has %d parameters in all", (_name, parameters, config) => {
    const { total, encoders } = countParameters(architectureFromConfig(config));
    expect(total + encoders).toBe(parameters);
  });

  it.each(TOWERS)("%s", (_name, encoders, config) => {
    expect(architectureFromConfig(config).encoders).toMatchObject(encoders);
  });

  it.each([
    ["gemma3n", { architecture: "mobilenetv9" }],
    ["multi_modality", { params: { model_name: "siglip_so400m" } }],
    ["NemotronH_Nano_VL_V2", { args: { model: "constructor" } }],
  ])("%s: a tower of a size that is not known is not counted", (modelType, vision) => {
    const text = { ...QWEN2_7B, vocab_size: 1000, max_position_embeddings: 1000 };
    const config = { model_type: modelType, text_config: text, vision_config: vision };
    expect(architectureFromConfig(config).encoders).toBeUndefined();
  });

  it("a share of nothing is refused by name", () => {
    const [, , nemotron] = MODELS.find(([name]) => name.includes("12B-v2-VL")) ?? [];
    expect(() => architectureFromConfig({ ...nemotron, downsample_ratio: 0 })).toThrow(
      expect.objectContaining({ path: ["downsample_ratio"] }),
    );
  });

  it("are absent where the config has no part for them, and kinds that are not described are not counted", () => {
    const [, , gemma] = MODELS[7] ?? [];
    expect(architectureFromConfig({ ...gemma, vision_config: null, audio_config: null }).encoders).toBeUndefined();
    expect(architectureFromConfig({ ...gemma, vision_config: null }).encoders).toMatchObject([{ kind: "audio" }]);
    expect(architectureFromConfig({ ...gemma, model_type: "some_vlm" }).encoders).toBeUndefined();
  });

  it.each([
    ["text for the part", { vision_config: "siglip" }, ["vision_config"]],
    ["a negative width", { vision_config: { hidden_size: -1 } }, ["vision_config", "hidden_size"]],
    ["no layers", { audio_config: { num_hidden_layers: 0 } }, ["audio_config", "num_hidden_layers"]],
  ])("%s is refused by name", (_what, change, path) => {
    const [, , gemma] = MODELS[7] ?? [];
    const read = (): unknown => architectureFromConfig({ ...gemma, ...change });
    expect(read).toThrow(ConfigError);
    expect(read).toThrow(expect.objectContaining({ path }));
  });
});
