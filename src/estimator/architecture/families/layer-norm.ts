import type { Block, Window } from "../architecture.js";
import {
  attentionBiases,
  feedForward,
  feedForwardBiases,
  groupedAttention,
  headsOf,
  hiddenSizeOf,
  intermediateSizeOf,
  joinParts,
  norms,
  routedExperts,
} from "../block-parts.js";
import type { ConfigReader } from "../config-reader.js";
import { describeDecoder, layerCountOf, predictionCountOf } from "../decoder.js";
import { expertLayers } from "../expert-layers.js";
import type { Family } from "../family.js";
import { predictionBlock, repeatBlock } from "../prediction.js";
import { type LayerWindows, layerWindows, windowField } from "../windows.js";

/*
 * Families with layer norms, many with one norm before attention and feed forward in parallel:
 * Command, Falcon, StableLM, StarCoder 2, Nemotron 4.
 */

/** Every fourth layer of Command R7B and Command A is full. */
const COHERE2_PATTERN = { period: 4, full: "last" } as const;

const COHERE2_DEFAULTS = {
  vocab_size: 256000,
  hidden_size: 8192,
  intermediate_size: 22528,
  num_hidden_layers: 40,
  num_attention_heads: 64,
  max_position_embeddings: 8192,
  sliding_window: 4096,
};

/** Windows of Command A+: leading dense layers follow a pattern of their own, the mixtures after them start anew. */
function cohereMoeWindows(config: ConfigReader, layers: number, leading: number): LayerWindows {
  const period = config.optionalSize("sliding_window_pattern") ?? COHERE2_PATTERN.period;
  const leadingPeriod = config.optionalSize("prefix_dense_sliding_window_pattern") ?? 1;
  return layerWindows(config, layers, (index) =>
    index < leading ? (index + 1) % leadingPeriod === 0 : (index - leading + 1) % period === 0,
  );
}

/** Command A+: Command A's parallel layers with experts; its full layers are not rotated, but for leading dense ones. */
const COHERE2_MOE: Family = {
  modelTypes: ["cohere2_moe"],
  architectures: ["Cohere2MoeForCausalLM"],
  defaults: { ...COHERE2_DEFAULTS, num_experts: 8, num_experts_per_tok: 2 },
  assumed: { head_dim: 128, sliding_window: 4096 },
  describe: (config) => {
    const hiddenSize = hiddenSizeOf(config);
    const layers = layerCountOf(config);
    const hasExperts = expertLayers(config, layers);
    const firstMixture = hasExperts.indexOf(true);
    const leading = firstMixture < 0 ? layers : firstMixture;
    const windows = cohereMoeWindows(config, layers, leading);
    const size = intermediateSizeOf(config);
    const shared = config.optionalCount("num_shared_experts") ?? 0;
    const block = (window: Window | undefined, isMixture: boolean): Block =>
      joinParts(
        norms(hiddenSize, ["attn_norm"]),
        groupedAttention(config, {
          biases: attentionBiases(config, "qkvo"),
          shape: { ...windowField(window), ...(window === undefined && isMixture ? { noRope: true } : {}) },
        }),
        isMixture
          ? routedExperts(config, { size, shared: shared > 0 ? { size: shared * size, gated: true } : undefined })
          : feedForward(config, { size: config.optionalSize("prefix_dense_intermediate_size") ?? size }),
      );
    return describeDecoder(config, {
      gguf: "cohere2moe",
      tiedByDefault: true,
      layer: (index) => block(windows[index], hasExperts[index] ?? true),
      prediction: {
        blocks: repeatBlock(
          () => predictionBlock(block(undefined, true), hiddenSize),
          predictionCountOf(config, "num_nextn_predict_layers"),
        ),
        inGguf: true,
        loadedByLlamaCpp: true,
        cachedByLlamaCpp: true,
      },
    });
  },
};

export const LAYER_NORM_FAMILIES: readonly Family[] = [
  COHERE2_MOE,
  {
    modelTypes: ["cohere"],
    architectures: ["CohereForCausalLM"],
    describe: (config) => {
      const block = joinParts(
        norms(hiddenSizeOf(config), ["attn_norm"]),
        groupedAttention(config, {
          biases: attentionBiases(config, "qkvo"),
          queryKeyNorm: config.flag("use_qk_norm", false) ? "each-head" : undefined,
        }),
        feedForward(config),
      );
      const contextLength = config.optionalSize("model_max_length");
      return describeDecoder(config, {
        gguf: "command-r",
        tiedByDefault: true,
        layer: () => block,
        ...(contextLength === undefined ? {} : { contextLength }),
      });
    },
  },
  {
    modelTypes: ["cohere2"],
    architectures: ["Cohere2ForCausalLM"],
    defaults: COHERE2_DEFAULTS,
    describe: (config) => {
      const period = config.optionalSize("sliding_window_pattern", "layer_switch") ?? COHERE2_PATTERN.period;
      const windows = layerWindows(config, layerCountOf(config), { ...COHERE2_PATTERN, period });
      return describeDecoder(config, {
        gguf: "cohere2",
        tiedByDefault: true,
        layer: (index) =>
          joinParts(
            norms(hiddenSizeOf(config), ["attn_norm"]),
            groupedAttention(config, {
              biases: attentionBiases(config, "qkvo"),
              shape: { ...windowField(windows[index]), ...(windows[index] ? {} : { noRope: true }) },
            }),
            feedForward(config),
          ),
      });
    },
  },
  {
    modelTypes: ["falcon", "RefinedWeb", "RefinedWebModel"],
    architectures: ["FalconForCausalLM", "RWForCausalLM"],
    describe: (config) => {
      const hiddenSize = hiddenSizeOf(config);
      const heads = headsOf(config);
      const isNew = config.flag("new_decoder_architecture", false);
      const kvHeads = isNew
        ? (config.optionalSize("num_kv_heads", "n_head_kv") ?? heads)
        : config.flag("multi_query", true)
          ? 1
          : heads;
      const isParallel = config.flag("parallel_attn", true);
      const normsPerLayer = config.optionalSize("num_ln_in_parallel_attn") ?? (isNew || !isParallel ? 2 : 1);
      const size = config.optionalSize("ffn_hidden_size", "intermediate_size") ?? 4 * hiddenSize;
      const hasBias = config.flag("bias", false);
      const isRotated = !config.flag("alibi", false);
      const block = joinParts(
        norms(hiddenSize, normsPerLayer === 2 ? ["attn_norm", "attn_norm_2"] : ["attn_norm"], true),
        groupedAttention(config, {
          shape: { fusedQkv: true, kvHeads },
          biases: hasBias ? ["q", "k", "v", "o"] : [],
        }),
        feedForward(config, { size, gated: false }),
        hasBias ? feedForwardBiases(size, hiddenSize, false) : {},
      );
      return describeDecoder(config, {
        // llama.cpp builds the parallel, rotated layers only.
        gguf: isParallel && isRotated ? "falcon" : null,
        tiedByDefault: !isParallel,
        outputNormBias: true,
        layer: () => block,
        contextLength: config.optionalSize("max_position_embeddings") ?? 2048,
      });
    },
  },
  {
    modelTypes: ["stablelm", "stablelm_epoch"],
    architectures: ["StableLmForCausalLM", "StableLMEpochForCausalLM"],
    describe: (config) => {
      const normNames = config.flag("use_parallel_residual", false) ? ["attn_norm"] : ["attn_norm", "ffn_norm"];
      const block = joinParts(
        norms(hiddenSizeOf(config), normNames, true),
        groupedAttention(config, {
          biases: config.flag("use_qkv_bias", false) ? ["q", "k", "v"] : [],
          queryKeyNorm: config.flag("qk_layernorm", false) ? "each-head" : undefined,
        }),
        feedForward(config),
      );
      return describeDecoder(config, {
        gguf: "stablelm",
        tiedByDefault: false,
        outputNormBias: true,
        layer: () => block,
      });
    },
  },
  {
    modelTypes: ["starcoder2"],
    architectures: ["Starcoder2ForCausalLM"],
    describe: (config) => {
      const hiddenSize = hiddenSizeOf(config);
      const hasBias = config.flag("use_bias", true);
      const block = joinParts(
        norms(hiddenSize, ["attn_norm", "ffn_norm"], true),
        groupedAttention(config, { biases: hasBias ? ["q", "k", "v", "o"] : [] }),
        feedForward(config, { gated: false }),
        hasBias ? feedForwardBiases(intermediateSizeOf(config), hiddenSize, false) : {},
      );
      return describeDecoder(config, {
        gguf: "starcoder2",
        tiedByDefault: true,
        outputNormBias: true,
        layer: () => block,
      });
    },
  },
  {
    modelTypes: ["nemotron"],
    architectures: ["NemotronForCausalLM"],
    describe: (config) => {
      const block = joinParts(
        norms(hiddenSizeOf(config), ["attn_norm", "ffn_norm"], true),
        groupedAttention(config, { biases: attentionBiases(config, "qkvo") }),
        feedForward(config, { gated: false }),
      );
      return describeDecoder(config, {
        gguf: "nemotron",
        tiedByDefault: false,
        outputNormBias: true,
        layer: () => block,
      });
    },
  },
  {
    modelTypes: ["seed_oss"],
    architectures: ["SeedOssForCausalLM"],
    describe: (config) => {
      const biases: ("q" | "k" | "v" | "o")[] = config.flag("attention_bias", true) ? ["q", "k", "v"] : [];
      if (config.flag("attention_out_bias", false)) biases.push("o");
      const block = joinParts(
        norms(hiddenSizeOf(config), ["attn_norm", "post_attention_norm"]),
        groupedAttention(config, { biases }),
        feedForward(config),
      );
      return describeDecoder(config, { gguf: "seed_oss", tiedByDefault: false, layer: () => block });
    },
  },
];
