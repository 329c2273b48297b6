import type { Block, GatedDeltaNet } from "../architecture.js";
import {
  attentionBiases,
  type BlockPart,
  expertCountOf,
  feedForward,
  groupedAttention,
  hiddenSizeOf,
  joinParts,
  norms,
  routedExperts,
} from "../block-parts.js";
import type { ConfigReader } from "../config-reader.js";
import { describeDecoder, layerCountOf, predictionCountOf } from "../decoder.js";
import { expertLayers } from "../expert-layers.js";
import type { Family } from "../family.js";
import { MAX_LAYERS } from "../limits.js";
import { predictionBlock, repeatBlock } from "../prediction.js";
import { gatedSharedExpert } from "./mixture.js";

/* Qwen3-Next and Qwen3.5 to 3.8: gated delta nets, with gated full attention in every fourth layer. */

const FULL_ATTENTION_INTERVAL = 4;

const LAYER_TYPES = ["linear_attention", "full_attention"] as const;

/** Which layers are recurrent: the config's list, or all but every `full_attention_interval`-th. */
function recurrentLayers(config: ConfigReader, layers: number): boolean[] {
  const types = config.optionalChoicePerLayer(["layer_types"], layers, LAYER_TYPES);
  if (types) return types.map((type) => type === "linear_attention");
  const interval =
    config.optionalWhole(["full_attention_interval"], { min: 1, max: MAX_LAYERS }) ?? FULL_ATTENTION_INTERVAL;
  return Array.from({ length: layers }, (_, index) => (index + 1) % interval !== 0);
}

function gatedDeltaNet(config: ConfigReader, fusedRates: boolean): GatedDeltaNet {
  const keyHeads = config.size("linear_num_key_heads");
  const valueHeads = config.size("linear_num_value_heads");
  if (valueHeads % keyHeads !== 0) {
    throw config.invalid("linear_num_value_heads", `is ${valueHeads}, not a multiple of the ${keyHeads} key heads`);
  }
  return {
    kind: "gated-delta-net",
    keyHeads,
    keyDim: config.size("linear_key_head_dim"),
    valueHeads,
    valueDim: config.size("linear_value_head_dim"),
    convKernel: config.size("linear_conv_kernel_dim"),
    ...(fusedRates ? { fusedRates } : {}),
  };
}

interface HybridTraits {
  gguf: { dense: string; mixture: string };
  /** Fields that are one value in all models of the family, beside those of all hybrids. */
  assumed?: Family["assumed"];
  fusedRates: boolean;
  predictionInGguf: boolean;
  /** Prediction blocks of published checkpoints whose config does not count them. */
  uncountedPrediction: number;
  tiedByDefault: boolean;
}

/** Widths that every model of the families has. */
const ASSUMED = {
  head_dim: 256,
  linear_conv_kernel_dim: 4,
  linear_key_head_dim: 128,
  linear_value_head_dim: 128,
  linear_num_key_heads: 16,
};

const QWEN3_NEXT_DEFAULTS = {
  vocab_size: 151936,
  hidden_size: 2048,
  intermediate_size: 5632,
  num_hidden_layers: 48,
  num_attention_heads: 16,
  num_key_value_heads: 2,
  max_position_embeddings: 32768,
  linear_num_value_heads: 32,
  moe_intermediate_size: 512,
  shared_expert_intermediate_size: 512,
  num_experts_per_tok: 10,
  num_experts: 512,
};

const QWEN3_5_DEFAULTS = {
  vocab_size: 248320,
  hidden_size: 4096,
  intermediate_size: 12288,
  num_hidden_layers: 32,
  num_attention_heads: 16,
  num_key_value_heads: 4,
  max_position_embeddings: 32768,
  linear_num_value_heads: 32,
};

const QWEN3_5_MOE_DEFAULTS = {
  vocab_size: 248320,
  hidden_size: 2048,
  num_hidden_layers: 40,
  num_attention_heads: 16,
  num_key_value_heads: 2,
  max_position_embeddings: 32768,
  linear_num_value_heads: 32,
  moe_intermediate_size: 512,
  shared_expert_intermediate_size: 512,
  num_experts_per_tok: 8,
  num_experts: 256,
};

function qwenHybrid(
  modelTypes: string[],
  architectures: string[],
  traits: HybridTraits,
  defaults: Family["defaults"] = {},
): Family {
  return {
    modelTypes,
    architectures,
    defaults,
    assumed: { ...ASSUMED, ...traits.assumed },
    describe: (config) => {
      const hiddenSize = hiddenSizeOf(config);
      const layers = layerCountOf(config);
      const isRecurrent = recurrentLayers(config, layers);
      const isMixture = expertCountOf(config) > 0;
      const hasExperts = expertLayers(config, layers);
      const attention = (): BlockPart =>
        groupedAttention(config, {
          queryKeyNorm: "head",
          biases: attentionBiases(config, "qkvo"),
          shape: config.flag("attn_output_gate", true) ? { gatedQuery: true } : {},
        });
      const block = (recurrent: boolean, experts: boolean): Block =>
        joinParts(
          norms(hiddenSize, ["attn_norm", "post_attention_norm"]),
          recurrent ? { recurrent: gatedDeltaNet(config, traits.fusedRates) } : attention(),
          experts ? routedExperts(config, { shared: gatedSharedExpert(config) }) : feedForward(config),
        );
      const counted = ["mtp_num_hidden_layers", "num_nextn_predict_layers"];
      const predicted = config.has(...counted) ? predictionCountOf(config, ...counted) : traits.uncountedPrediction;
      return describeDecoder(config, {
        gguf: isMixture ? traits.gguf.mixture : traits.gguf.dense,
        tiedByDefault: traits.tiedByDefault,
        layer: (index) => block(isRecurrent[index] ?? false, isMixture && (hasExperts[index] ?? true)),
        prediction: {
          blocks: repeatBlock(() => predictionBlock(block(false, isMixture), hiddenSize), predicted),
          inGguf: traits.predictionInGguf,
          loadedByLlamaCpp: traits.predictionInGguf,
          cachedByLlamaCpp: false,
        },
      });
    },
  };
}

const QWEN3_5: HybridTraits = {
  assumed: { mamba_ssm_dtype: "float32" },
  gguf: { dense: "qwen35", mixture: "qwen35moe" },
  fusedRates: false,
  predictionInGguf: true,
  uncountedPrediction: 0,
  tiedByDefault: false,
};

export const QWEN_HYBRID_FAMILIES: readonly Family[] = [
  qwenHybrid(
    ["qwen3_next"],
    ["Qwen3NextForCausalLM"],
    {
      gguf: { dense: "qwen3next", mixture: "qwen3next" },
      fusedRates: true,
      predictionInGguf: false,
      uncountedPrediction: 1,
      tiedByDefault: false,
    },
    QWEN3_NEXT_DEFAULTS,
  ),
  qwenHybrid(
    ["qwen3_5", "qwen3_5_text", "minicpmv4_6"],
    ["Qwen3_5ForConditionalGeneration", "Qwen3_5ForCausalLM"],
    QWEN3_5,
    QWEN3_5_DEFAULTS,
  ),
  qwenHybrid(
    ["qwen3_5_moe", "qwen3_5_moe_text"],
    ["Qwen3_5MoeForConditionalGeneration", "Qwen3_5MoeForCausalLM"],
    QWEN3_5,
    QWEN3_5_MOE_DEFAULTS,
  ),
];
