import type { Block, PlainTensor } from "../architecture.js";
import {
  assertDense,
  attentionBiases,
  feedForward,
  feedForwardBiases,
  groupedAttention,
  hiddenSizeOf,
  intermediateSizeOf,
  joinParts,
  norms,
  normTensors,
  plain,
} from "../block-parts.js";
import type { ConfigReader } from "../config-reader.js";
import { describeDecoder, layerCountOf } from "../decoder.js";
import type { Family } from "../family.js";
import { layerWindows, windowField } from "../windows.js";

/** Llama's layer: two norms, grouped-query attention, SwiGLU; biases where the config says so. */
export function llamaBlock(config: ConfigReader): Block {
  assertDense(config);
  const hiddenSize = hiddenSizeOf(config);
  return joinParts(
    norms(hiddenSize, ["attn_norm", "ffn_norm"]),
    groupedAttention(config, { biases: attentionBiases(config, "qkvo") }),
    feedForward(config),
    config.flag("mlp_bias", false) ? feedForwardBiases(intermediateSizeOf(config), hiddenSize, true) : {},
  );
}

interface LlamaLikeTraits {
  gguf: string;
  tiedByDefault?: boolean;
}

/** Families whose tensors are Llama's; they differ in the name a GGUF file gives them. */
function llamaLike(
  modelTypes: string[],
  architectures: string[],
  traits: LlamaLikeTraits,
  defaults?: Family["defaults"],
): Family {
  return {
    modelTypes,
    architectures,
    ...(defaults ? { defaults } : {}),
    describe: (config) => {
      const block = llamaBlock(config);
      return describeDecoder(config, {
        gguf: traits.gguf,
        tiedByDefault: traits.tiedByDefault ?? false,
        layer: () => block,
      });
    },
  };
}

const LLAMA_DEFAULTS = {
  vocab_size: 32000,
  hidden_size: 4096,
  intermediate_size: 11008,
  num_hidden_layers: 32,
  num_attention_heads: 32,
  max_position_embeddings: 2048,
};

/** Mistral 7B's window of 4096 is kept full by llama.cpp and by most engines, so none is described. */
const MISTRAL_DEFAULTS = {
  ...LLAMA_DEFAULTS,
  intermediate_size: 14336,
  num_key_value_heads: 8,
  max_position_embeddings: 131072,
};

/** Image tiles, and the tokens of one: patches of the tile and a class token. */
const tileTokens = (vision: ConfigReader): number =>
  vision.size("max_num_tiles") * (Math.floor(vision.size("image_size") / vision.size("patch_size")) ** 2 + 1);

/** Embeddings of the image tokens, which have no row in the output matrix. */
const IMAGE_TOKENS = 8;

/** Llama 3.2 Vision: some layers attend to the image's tokens instead of the text's. llama.cpp does not load it. */
const MLLAMA: Family = {
  modelTypes: ["mllama", "mllama_text_model"],
  architectures: ["MllamaForConditionalGeneration"],
  describe: (config) => {
    const hiddenSize = hiddenSizeOf(config);
    const cross = new Set(config.optionalWholes(["cross_attention_layers"]) ?? []);
    const vision = config.optionalObject("vision_config");
    const self = llamaBlock(config);
    const crossBlock = (): Block =>
      joinParts(
        norms(hiddenSize, ["attn_norm", "ffn_norm"]),
        groupedAttention(config, {
          queryKeyNorm: "head",
          shape: vision ? { crossTokens: tileTokens(vision) } : {},
        }),
        feedForward(config),
        { tensors: [plain("attn_gate", [1], "OTHER"), plain("ffn_gate", [1], "OTHER")] },
      );
    return describeDecoder(config, {
      gguf: null,
      tiedByDefault: false,
      layer: (index) => (cross.has(index) ? crossBlock() : self),
      tensors: [
        {
          name: "image_token_embd.weight",
          shape: [hiddenSize, IMAGE_TOKENS],
          role: "TOKEN_EMBEDDING",
          isInputTable: true,
        },
      ],
    });
  },
};

/** InternLM: Q, K, V and output have biases (`bias`). llama.cpp does not convert it. */
const INTERNLM: Family = {
  modelTypes: ["internlm"],
  architectures: ["InternLMForCausalLM"],
  describe: (config) => {
    assertDense(config);
    const block = joinParts(
      norms(hiddenSizeOf(config), ["attn_norm", "ffn_norm"]),
      groupedAttention(config, { biases: config.flag("bias", true) ? ["q", "k", "v", "o"] : [] }),
      feedForward(config),
    );
    return describeDecoder(config, { gguf: null, tiedByDefault: false, layer: () => block });
  },
};

/** InternLM 3: biases of Q, K and V (`qkv_bias`), and of everything else (`bias`). */
const INTERNLM3: Family = {
  modelTypes: ["internlm3"],
  architectures: ["InternLM3ForCausalLM"],
  describe: (config) => {
    assertDense(config);
    const hiddenSize = hiddenSizeOf(config);
    const hasBias = config.flag("bias", false);
    const block = joinParts(
      norms(hiddenSize, ["attn_norm", "ffn_norm"]),
      groupedAttention(config, {
        biases: [
          ...(config.flag("qkv_bias", false) ? (["q", "k", "v"] as const) : []),
          ...(hasBias ? (["o"] as const) : []),
        ],
      }),
      feedForward(config),
      hasBias ? feedForwardBiases(intermediateSizeOf(config), hiddenSize, true) : {},
    );
    return describeDecoder(config, { gguf: "llama", tiedByDefault: false, layer: () => block });
  },
};

/**
 * NV-Embed: Mistral that attends both ways and caches nothing, behind it a cross attention to learned latents.
 * llama.cpp does not load it.
 */
const NV_EMBED: Family = {
  modelTypes: ["bidir_mistral"],
  architectures: [],
  defaults: MISTRAL_DEFAULTS,
  describe: (config) => {
    assertDense(config);
    const hiddenSize = hiddenSizeOf(config);
    const block = joinParts(
      norms(hiddenSize, ["attn_norm", "ffn_norm"]),
      groupedAttention(config, { shape: { uncached: true } }),
      feedForward(config),
    );
    const pooling = config.optionalObject("latent_attention_config");
    return {
      ...describeDecoder(config, {
        gguf: null,
        tiedByDefault: false,
        layer: () => block,
        tensors: pooling ? latentPooling(pooling, hiddenSize) : [],
      }),
      hasOutput: false,
    };
  },
};

/** NV-Embed's pooling: attention over latents and a gated feed forward, each behind norms. */
function latentPooling(config: ConfigReader, hiddenSize: number): PlainTensor[] {
  const width = config.optionalSize("latent_dim", "hidden_dim") ?? hiddenSize;
  const inner = config.size("num_cross_heads") * config.size("cross_dim_head");
  const size = width * (config.optionalSize("mult") ?? 4);
  return [
    plain("pool_latents.weight", [width, config.size("num_latents_value")], "OTHER"),
    plain("pool_attn_q.weight", [width, inner], "OTHER"),
    plain("pool_attn_kv.weight", [width, 2 * inner], "OTHER"),
    plain("pool_attn_output.weight", [inner, width], "OTHER"),
    plain("pool_ffn_up.weight", [width, 2 * size], "OTHER"),
    plain("pool_ffn_up.bias", [2 * size], "OTHER"),
    plain("pool_ffn_down.weight", [size, width], "OTHER"),
    plain("pool_ffn_down.bias", [width], "OTHER"),
    ...["pool_attn_norm", "pool_latents_norm", "pool_ffn_norm"].flatMap((name) => normTensors(name, width, true)),
  ];
}

/** Every fourth layer, counted from the last, is full and not rotated. */
const MUSE_PERIOD = 4;

/** Muse-Glimmer: gated attention between two norms; queries and keys are normalised without a scale. */
const MUSE_GLIMMER: Family = {
  modelTypes: ["muse_glimmer", "muse_glimmer_text"],
  architectures: ["MuseGlimmerForConditionalGeneration", "MuseGlimmerForCausalLM"],
  defaults: {
    vocab_size: 202048,
    hidden_size: 6656,
    intermediate_size: 19968,
    num_hidden_layers: 52,
    num_attention_heads: 32,
    num_key_value_heads: 2,
    head_dim: 128,
    max_position_embeddings: 131072,
    sliding_window: 2048,
  },
  describe: (config) => {
    assertDense(config);
    const hiddenSize = hiddenSizeOf(config);
    const layers = layerCountOf(config);
    const windows = layerWindows(config, layers, (index) => (layers - 1 - index) % MUSE_PERIOD === 0);
    const bases = config.optionalNumbers("layer_rope_theta");
    const block = (index: number): Block => {
      const isRotated = bases === undefined ? windows[index] !== undefined : bases[index] !== 0;
      const attention = groupedAttention(config, {
        biases: attentionBiases(config, "qkvo"),
        queryKeyNorm: "head",
        queryKeyNormIsConstant: true,
        shape: { outputGate: true, ...windowField(windows[index]), ...(isRotated ? {} : { noRope: true }) },
      });
      return joinParts(
        norms(hiddenSize, ["attn_norm", "post_attention_norm", "ffn_norm", "post_ffw_norm"]),
        attention,
        feedForward(config),
      );
    };
    return describeDecoder(config, { gguf: "muse-glimmer", tiedByDefault: false, layer: block });
  },
};

export const LLAMA_FAMILIES: readonly Family[] = [
  llamaLike(
    ["llama", "llama_text", "llama_bidirec", "yi", "aquila"],
    ["LlamaForCausalLM", "LLaMAForCausalLM", "YiForCausalLM", "AquilaForCausalLM", "LlamaModel"],
    { gguf: "llama" },
    LLAMA_DEFAULTS,
  ),
  llamaLike(["mistral"], ["MistralForCausalLM", "MistralModel"], { gguf: "llama" }, MISTRAL_DEFAULTS),
  llamaLike(
    ["ministral3", "ministral"],
    ["Ministral3ForCausalLM", "MinistralForCausalLM"],
    { gguf: "mistral3" },
    MISTRAL_DEFAULTS,
  ),
  llamaLike(["internlm2"], ["InternLM2ForCausalLM", "InternLM2ForRewardModel"], { gguf: "internlm2" }),
  INTERNLM,
  INTERNLM3,
  llamaLike(["granite"], ["GraniteForCausalLM"], { gguf: "granite" }),
  llamaLike(["smollm3"], ["SmolLM3ForCausalLM"], { gguf: "smollm3", tiedByDefault: true }),
  llamaLike(["baichuan"], ["BaichuanForCausalLM", "BaiChuanForCausalLM"], { gguf: "baichuan" }),
  llamaLike(["xverse"], ["XverseForCausalLM"], { gguf: "xverse" }),
  llamaLike(["exaone"], ["ExaoneForCausalLM"], { gguf: "exaone" }),
  llamaLike(["ernie4_5"], ["Ernie4_5ForCausalLM", "Ernie4_5_ForCausalLM"], { gguf: "ernie4_5", tiedByDefault: true }),
  {
    modelTypes: ["arcee"],
    architectures: ["ArceeForCausalLM"],
    describe: (config) => {
      const block = joinParts(
        norms(hiddenSizeOf(config), ["attn_norm", "ffn_norm"]),
        groupedAttention(config, { biases: attentionBiases(config, "qkvo") }),
        feedForward(config, { gated: false }),
      );
      return describeDecoder(config, { gguf: "arcee", tiedByDefault: false, layer: () => block });
    },
  },
  MLLAMA,
  NV_EMBED,
  MUSE_GLIMMER,
  llamaLike(["helium", "arcee_llama"], ["HeliumForCausalLM"], { gguf: "llama" }),
  llamaLike(["minicpm"], ["MiniCPMForCausalLM"], { gguf: "minicpm", tiedByDefault: true }),
];
