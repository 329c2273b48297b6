import type { Block, Window } from "../architecture.js";
import {
  type AttentionOptions,
  assertDense,
  attentionBiases,
  feedForward,
  groupedAttention,
  hiddenSizeOf,
  intermediateSizeOf,
  joinParts,
  norms,
} from "../block-parts.js";
import type { ConfigReader } from "../config-reader.js";
import { describeDecoder, layerCountOf, predictionCountOf } from "../decoder.js";
import type { Family } from "../family.js";
import { predictionBlock } from "../prediction.js";
import { windowField } from "../windows.js";

interface QwenTraits {
  gguf: string;
  /** Field that counts prediction blocks, which llama.cpp's converter leaves out. */
  predictionCount?: string;
  attention: (config: ConfigReader) => AttentionOptions;
}

/** Qwen 2's Q, K and V have biases, whatever the config says. */
const qwen2Attention = (): AttentionOptions => ({ biases: ["q", "k", "v"] });

/** Qwen 3 dropped the biases and normalises each head's query and key. */
const qwen3Attention = (config: ConfigReader): AttentionOptions => ({
  queryKeyNorm: "head",
  biases: attentionBiases(config, "qkvo"),
});

/** Windows count only with `use_sliding_window`, and only from layer `max_window_layers` on. */
function windowOfLayer(config: ConfigReader, layer: number): Window | undefined {
  if (!config.flag("use_sliding_window", false)) return undefined;
  const size = config.optionalSize("sliding_window");
  const first = config.optionalCount("max_window_layers") ?? layerCountOf(config);
  return size !== undefined && layer >= first ? { kind: "sliding", size } : undefined;
}

function qwen(
  modelTypes: string[],
  architectures: string[],
  traits: QwenTraits,
  defaults: Family["defaults"] = {},
  assumed: Family["assumed"] = {},
): Family {
  return {
    modelTypes,
    architectures,
    defaults,
    assumed,
    describe: (config) => {
      assertDense(config);
      const block = (window: Window | undefined): Block =>
        joinParts(
          norms(hiddenSizeOf(config), ["attn_norm", "ffn_norm"]),
          groupedAttention(config, { ...traits.attention(config), shape: windowField(window) }),
          feedForward(config),
        );
      const predicted = traits.predictionCount === undefined ? 0 : predictionCountOf(config, traits.predictionCount);
      return describeDecoder(config, {
        gguf: traits.gguf,
        tiedByDefault: false,
        layer: (index) => block(windowOfLayer(config, index)),
        prediction: {
          blocks: Array.from({ length: predicted }, () => predictionBlock(block(undefined), hiddenSizeOf(config))),
          inGguf: false,
          loadedByLlamaCpp: false,
          cachedByLlamaCpp: false,
        },
      });
    },
  };
}

const QWEN2_DEFAULTS = {
  vocab_size: 151936,
  hidden_size: 4096,
  intermediate_size: 22016,
  num_hidden_layers: 32,
  num_attention_heads: 32,
  num_key_value_heads: 32,
  max_position_embeddings: 32768,
};
const QWEN2_VL_DEFAULTS = {
  ...QWEN2_DEFAULTS,
  vocab_size: 152064,
  hidden_size: 8192,
  intermediate_size: 29568,
  num_hidden_layers: 80,
  num_attention_heads: 64,
  num_key_value_heads: 8,
};
const QWEN3_DEFAULTS = QWEN2_DEFAULTS;
/** Qwen 3's heads are 128 wide whatever the hidden size. */
export const QWEN3_ASSUMED = { head_dim: 128 };
const QWEN3_VL_DEFAULTS = { ...QWEN3_DEFAULTS, max_position_embeddings: 128000 };

/** Qwen 1: Q, K and V in one matrix with a bias; `intermediate_size` counts gate and up together. */
const QWEN1: Family = {
  modelTypes: ["qwen"],
  architectures: ["QWenLMHeadModel"],
  describe: (config) => {
    const width = intermediateSizeOf(config);
    if (width % 2 !== 0) throw config.invalid("intermediate_size", `is ${width}, but Qwen 1 halves it`);
    const block = joinParts(
      norms(hiddenSizeOf(config), ["attn_norm", "ffn_norm"]),
      groupedAttention(config, { biases: ["q", "k", "v"], shape: { fusedQkv: true } }),
      feedForward(config, { size: width / 2 }),
    );
    return describeDecoder(config, { gguf: "qwen", tiedByDefault: false, layer: () => block });
  },
};

export const QWEN_FAMILIES: readonly Family[] = [
  QWEN1,
  qwen(["qwen2"], ["Qwen2ForCausalLM", "Qwen2Model"], { gguf: "qwen2", attention: qwen2Attention }, QWEN2_DEFAULTS),
  qwen(
    ["mimo"],
    ["MiMoForCausalLM"],
    { gguf: "qwen2", attention: qwen2Attention, predictionCount: "num_nextn_predict_layers" },
    QWEN2_DEFAULTS,
  ),
  qwen(
    ["qwen2_vl", "qwen2_vl_text", "qwen2_5_vl", "qwen2_5_vl_text", "qwen2_5_omni_text"],
    ["Qwen2VLForConditionalGeneration", "Qwen2_5_VLForConditionalGeneration"],
    { gguf: "qwen2vl", attention: qwen2Attention },
    QWEN2_VL_DEFAULTS,
  ),
  qwen(
    ["qwen3"],
    ["Qwen3ForCausalLM", "Qwen3Model"],
    { gguf: "qwen3", attention: qwen3Attention },
    QWEN3_DEFAULTS,
    QWEN3_ASSUMED,
  ),
  qwen(
    ["qwen3_vl", "qwen3_vl_text"],
    ["Qwen3VLForConditionalGeneration"],
    { gguf: "qwen3vl", attention: qwen3Attention },
    QWEN3_VL_DEFAULTS,
    QWEN3_ASSUMED,
  ),
];
