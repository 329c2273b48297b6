import type { Block } from "../architecture.js";
import {
  assertDense,
  attentionBiases,
  feedForward,
  feedForwardBiases,
  groupedAttention,
  headsOf,
  hiddenSizeOf,
  intermediateSizeOf,
  joinParts,
  norms,
  plain,
  routedExperts,
} from "../block-parts.js";
import type { ConfigReader } from "../config-reader.js";
import { describeDecoder, vocabularySizeOf } from "../decoder.js";
import type { Family } from "../family.js";

/*
 * Phi, ChatGLM and GLM 4: families that keep Q, K and V, or gate and up, in one matrix.
 * Phi-3's window is not described: llama.cpp keeps these layers full, and so do most engines.
 */

const phi3Block = (config: ConfigReader): Block => {
  assertDense(config);
  return joinParts(
    norms(hiddenSizeOf(config), ["attn_norm", "ffn_norm"]),
    groupedAttention(config, { shape: { fusedQkv: true } }),
    feedForward(config, { fusedGateUp: true }),
  );
};

/** Layer norms with biases, one for attention and feed forward together. */
const phi2Block = (config: ConfigReader): Block => {
  const hiddenSize = hiddenSizeOf(config);
  const size = config.optionalSize("intermediate_size", "n_inner") ?? 4 * hiddenSize;
  return joinParts(
    norms(hiddenSize, ["attn_norm"], true),
    groupedAttention(config, { biases: ["q", "k", "v", "o"] }),
    feedForward(config, { size, gated: false }),
    { tensors: [plain("ffn_up.bias", [size], "FEED_FORWARD"), plain("ffn_down.bias", [hiddenSize], "FEED_FORWARD")] },
  );
};

/** Layer norms and biases throughout; block-sparse attention still caches every token. */
const phi3SmallBlock = (config: ConfigReader): Block => {
  const hiddenSize = hiddenSizeOf(config);
  const size = config.size("ff_intermediate_size");
  return joinParts(
    norms(hiddenSize, ["attn_norm", "ffn_norm"], true),
    groupedAttention(config, { shape: { fusedQkv: true }, biases: ["q", "k", "v", "o"] }),
    feedForward(config, { size, fusedGateUp: true }),
    {
      tensors: [plain("ffn_up.bias", [2 * size], "FEED_FORWARD"), plain("ffn_down.bias", [hiddenSize], "FEED_FORWARD")],
    },
  );
};

const phimoeBlock = (config: ConfigReader): Block =>
  joinParts(
    norms(hiddenSizeOf(config), ["attn_norm", "ffn_norm"], true),
    groupedAttention(config, { biases: attentionBiases(config, "qkvo") }),
    routedExperts(config, { size: intermediateSizeOf(config) }),
  );

const chatglmBlock = (config: ConfigReader): Block => {
  const kvHeads = config.flag("multi_query_attention", false) ? config.size("multi_query_group_num") : headsOf(config);
  return joinParts(
    norms(hiddenSizeOf(config), ["attn_norm", "ffn_norm"]),
    groupedAttention(config, {
      shape: { fusedQkv: true, kvHeads },
      biases: config.flag("add_qkv_bias", false) ? ["q", "k", "v"] : [],
    }),
    feedForward(config, { fusedGateUp: true }),
  );
};

/** The first ChatGLM: layer norms, biases throughout, a plain feed forward. llama.cpp does not load it. */
const firstChatglmBlock = (config: ConfigReader): Block => {
  const hiddenSize = hiddenSizeOf(config);
  const size = config.size("inner_hidden_size");
  return joinParts(
    norms(hiddenSize, ["attn_norm", "ffn_norm"], true),
    groupedAttention(config, { shape: { fusedQkv: true }, biases: ["q", "k", "v", "o"] }),
    feedForward(config, { size, gated: false }),
    feedForwardBiases(size, hiddenSize, false),
  );
};

/** transformers' port of GLM-4: Q, K and V apart, gate and up together; GLM-4-0414 has norms after both parts too. */
const glmBlock = (config: ConfigReader, normNames: string[]): Block =>
  joinParts(
    norms(hiddenSizeOf(config), normNames),
    groupedAttention(config, { biases: attentionBiases(config, "qkv") }),
    feedForward(config, { fusedGateUp: true }),
  );

const GLM4_NORMS = ["attn_norm", "post_attention_norm", "ffn_norm", "post_ffw_norm"];

const outputBias = (config: ConfigReader) => ({
  tensors: [plain("output.bias", [vocabularySizeOf(config)], "OUTPUT")],
});

export const FUSED_FAMILIES: readonly Family[] = [
  {
    modelTypes: ["phi3", "phi3_v", "phi4mm", "phi4_multimodal", "phi4-siglip"],
    architectures: [
      "Phi3ForCausalLM",
      "Phi3VForCausalLM",
      "Phi4MMForCausalLM",
      "Phi4MultimodalForCausalLM",
      "Phi4ForCausalLMV",
    ],
    defaults: {
      vocab_size: 32064,
      hidden_size: 3072,
      intermediate_size: 8192,
      num_hidden_layers: 32,
      num_attention_heads: 32,
      max_position_embeddings: 4096,
    },
    describe: (config) => {
      const block = phi3Block(config);
      return describeDecoder(config, { gguf: "phi3", tiedByDefault: false, layer: () => block });
    },
  },
  {
    modelTypes: ["phi3small"],
    architectures: ["Phi3SmallForCausalLM"],
    describe: (config) => {
      const block = phi3SmallBlock(config);
      return describeDecoder(config, { gguf: null, tiedByDefault: true, outputNormBias: true, layer: () => block });
    },
  },
  {
    modelTypes: ["phi", "phi-msft"],
    architectures: ["PhiForCausalLM"],
    describe: (config) => {
      const block = phi2Block(config);
      return describeDecoder(config, {
        gguf: "phi2",
        tiedByDefault: false,
        layer: () => block,
        outputNormBias: true,
        ...outputBias(config),
      });
    },
  },
  {
    modelTypes: ["phimoe"],
    architectures: ["PhiMoEForCausalLM", "PhimoeForCausalLM"],
    describe: (config) => {
      const block = phimoeBlock(config);
      return describeDecoder(config, {
        gguf: "phimoe",
        tiedByDefault: false,
        layer: () => block,
        outputNormBias: true,
        ...(config.flag("lm_head_bias", false) ? outputBias(config) : {}),
      });
    },
  },
  {
    modelTypes: ["chatglm"],
    architectures: ["ChatGLMModel", "ChatGLMForConditionalGeneration"],
    describe: (config) => {
      if (config.has("inner_hidden_size")) {
        const first = firstChatglmBlock(config);
        return describeDecoder(config, { gguf: null, tiedByDefault: true, outputNormBias: true, layer: () => first });
      }
      const block = chatglmBlock(config);
      return describeDecoder(config, {
        gguf: "chatglm",
        tiedByDefault: false,
        layer: () => block,
      });
    },
  },
  {
    modelTypes: ["glm"],
    architectures: ["GlmForCausalLM"],
    describe: (config) => {
      const block = glmBlock(config, ["attn_norm", "ffn_norm"]);
      return describeDecoder(config, { gguf: "chatglm", tiedByDefault: false, layer: () => block });
    },
  },
  {
    modelTypes: ["glm4", "glm4v", "glm4v_text"],
    architectures: ["Glm4ForCausalLM", "Glm4vForConditionalGeneration"],
    defaults: {
      vocab_size: 151552,
      hidden_size: 4096,
      intermediate_size: 13696,
      num_hidden_layers: 40,
      num_attention_heads: 32,
      num_key_value_heads: 2,
      max_position_embeddings: 32768,
    },
    describe: (config) => {
      const block = glmBlock(config, GLM4_NORMS);
      return describeDecoder(config, { gguf: "glm4", tiedByDefault: false, layer: () => block });
    },
  },
];
