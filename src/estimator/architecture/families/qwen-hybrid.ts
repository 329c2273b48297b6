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
  fusedRates: boolean;
  predictionInGguf: boolean;
  /** Prediction blocks of published checkpoints whose config does not count them. */
  uncountedPrediction: number;
  tiedByDefault: boolean;
}

function qwenHybrid(modelTypes: string[], architectures: string[], traits: HybridTraits): Family {
  return {
    modelTypes,
    architectures,
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

export const QWEN_HYBRID_FAMILIES: readonly Family[] = [
  qwenHybrid(["qwen3_next"], ["Qwen3NextForCausalLM"], {
    gguf: { dense: "qwen3next", mixture: "qwen3next" },
    fusedRates: true,
    predictionInGguf: false,
    uncountedPrediction: 1,
    tiedByDefault: false,
  }),
  qwenHybrid(
    ["qwen3_5", "qwen3_5_text", "qwen3_5_moe", "qwen3_5_moe_text", "minicpmv4_6"],
    [
      "Qwen3_5ForConditionalGeneration",
      "Qwen3_5ForCausalLM",
      "Qwen3_5MoeForConditionalGeneration",
      "Qwen3_5MoeForCausalLM",
    ],
    {
      gguf: { dense: "qwen35", mixture: "qwen35moe" },
      fusedRates: false,
      predictionInGguf: true,
      uncountedPrediction: 0,
      tiedByDefault: false,
    },
  ),
];
