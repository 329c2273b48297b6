import type { Block, Window } from "../architecture.js";
import {
  attentionBiases,
  type BlockPart,
  feedForward,
  groupedAttention,
  hiddenSizeOf,
  joinParts,
  norms,
  plain,
  readHeads,
  routedExperts,
  sharedExperts,
} from "../block-parts.js";
import { type ConfigReader, describe } from "../config-reader.js";
import { describeDecoder, layerCountOf, predictionCountOf, vocabularySizeOf } from "../decoder.js";
import { expertLayers } from "../expert-layers.js";
import type { Family } from "../family.js";
import { MAX_LIST_LENGTH } from "../limits.js";
import { predictionBlock, repeatBlock } from "../prediction.js";
import { layerWindows, windowField } from "../windows.js";

/*
 * Mixtures of experts whose layers differ in heads or that carry prediction blocks: GLM-4.5 to 4.7, Step-3.5,
 * MiMo-V2, Laguna.
 */

const GLM4_MOE: Family = {
  modelTypes: ["glm4_moe", "glm4v_moe", "glm4v_moe_text"],
  architectures: ["Glm4MoeForCausalLM", "Glm4vMoeForConditionalGeneration"],
  defaults: {
    vocab_size: 151424,
    hidden_size: 4096,
    intermediate_size: 10944,
    num_hidden_layers: 46,
    num_attention_heads: 96,
    num_key_value_heads: 8,
    max_position_embeddings: 65536,
    moe_intermediate_size: 1408,
    num_experts_per_tok: 8,
    n_shared_experts: 1,
    n_routed_experts: 128,
    first_k_dense_replace: 1,
  },
  assumed: { head_dim: 128 },
  describe: (config) => {
    const hiddenSize = hiddenSizeOf(config);
    const hasExperts = expertLayers(config, layerCountOf(config));
    const block = (isMixture: boolean): Block =>
      joinParts(
        norms(hiddenSize, ["attn_norm", "post_attention_norm"]),
        groupedAttention(config, {
          biases: config.flag("attention_bias", true) ? ["q", "k", "v"] : [],
          queryKeyNorm: config.flag("use_qk_norm", false) ? "head" : undefined,
        }),
        isMixture
          ? routedExperts(config, { routerScoreBias: true, shared: sharedExperts(config, "n_shared_experts") })
          : feedForward(config),
      );
    // GLM-4.5 and 4.7 publish copies of the embedding and the output matrix with the block, GLM-4.6 does not, and no
    // config says which: a silent one counts them, but no file is taken to have them.
    const ownsVocabulary = config.optionalFlag("mtp_use_dedicated_embeddings", "_nextn_has_embeddings");
    return describeDecoder(config, {
      gguf: "glm4moe",
      tiedByDefault: false,
      layer: (index) => block(hasExperts[index] ?? false),
      prediction: {
        blocks: repeatBlock(
          () =>
            predictionBlock(block(true), hiddenSize, {
              ownVocabulary: ownsVocabulary === false ? undefined : vocabularySizeOf(config),
              isVocabularyLeftOut: ownsVocabulary === undefined,
            }),
          predictionCountOf(config, "num_nextn_predict_layers"),
        ),
        inGguf: true,
        loadedByLlamaCpp: false,
        // The cache has a row for every block of the file (llama-kv-cache.cpp), loaded or not.
        cachedByLlamaCpp: true,
      },
    });
  },
};

/** One gate value per head, multiplied onto the attention's output. */
const headGate = (hiddenSize: number, heads: number): BlockPart => ({
  tensors: [plain("attn_gate.weight", [hiddenSize, heads], "ATTENTION")],
});

const STEP_PATTERN = { period: 4, full: "first" } as const;

/** Layers with experts as text ("3,4,5"), as Step's configs have them. */
function listedExpertLayers(config: ConfigReader, layers: number): boolean[] {
  const text = config.optionalText("moe_layers_enum");
  if (text === undefined) return expertLayers(config, layers);
  if (text.length > MAX_LIST_LENGTH) {
    throw config.invalid("moe_layers_enum", `has ${text.length} characters; at most ${MAX_LIST_LENGTH} are read`);
  }
  const parts = text.split(",").map((part) => part.trim());
  if (!parts.every((part) => /^\d{1,6}$/.test(part))) {
    throw config.invalid("moe_layers_enum", `must be layer numbers between commas, but is ${describe(text)}`);
  }
  const numbers = new Set(parts.map(Number));
  return Array.from({ length: layers }, (_, index) => numbers.has(index));
}

const STEP35: Family = {
  modelTypes: ["step3p5", "step3p7", "step3p5_text", "step3p7_text"],
  architectures: ["Step3p5ForCausalLM", "Step3p7ForCausalLM", "Step3p7ForConditionalGeneration"],
  describe: (config) => {
    const hiddenSize = hiddenSizeOf(config);
    const layers = layerCountOf(config);
    const windows = layerWindows(config, layers, STEP_PATTERN);
    const hasExperts = listedExpertLayers(config, layers);
    const sliding = config.optionalObject("attention_other_setting");
    const attention = (window: Window | undefined): BlockPart => {
      const own = window ? sliding : undefined;
      const heads = own?.optionalSize("num_attention_heads") ?? config.size("num_attention_heads");
      const kvHeads =
        own?.optionalSize("num_attention_groups") ?? config.size("num_attention_groups", "num_key_value_heads");
      return joinParts(
        groupedAttention(config, {
          queryKeyNorm: "head",
          kvHeadsField: own ? "attention_other_setting" : "num_attention_groups",
          shape: { heads, kvHeads, ...windowField(window) },
        }),
        config.flag("use_head_wise_attn_gate", false) ? headGate(hiddenSize, heads) : {},
      );
    };
    const sharedSize = config.optionalCount("share_expert_dim") ?? 0;
    const block = (window: Window | undefined, isMixture: boolean): Block =>
      joinParts(
        norms(hiddenSize, ["attn_norm", "ffn_norm"]),
        attention(window),
        isMixture
          ? routedExperts(config, {
              routerScoreBias: config.flag("use_moe_router_bias", false),
              shared: sharedSize > 0 ? { size: sharedSize, gated: true } : undefined,
            })
          : feedForward(config),
      );
    const predicted = windows.find((window) => window !== undefined);
    return describeDecoder(config, {
      gguf: "step35",
      tiedByDefault: false,
      layer: (index) => block(windows[index], hasExperts[index] ?? false),
      prediction: {
        blocks: repeatBlock(
          () => predictionBlock(block(predicted, false), hiddenSize, { ownOutput: vocabularySizeOf(config) }),
          predictionCountOf(config, "num_nextn_predict_layers"),
        ),
        inGguf: true,
        loadedByLlamaCpp: true,
        cachedByLlamaCpp: false,
      },
    });
  },
};

/** Step-3: queries of all heads through a narrower width, one key and value head. */
const STEP3: Family = {
  modelTypes: ["step3_vl", "step3_text", "step3"],
  architectures: ["Step3VLForConditionalGeneration", "Step3TextForCausalLM"],
  describe: (config) => {
    const hasExperts = listedExpertLayers(config, layerCountOf(config));
    const sharedSize = config.optionalCount("share_expert_dim") ?? 0;
    const queryRank = config.size("share_q_dim");
    return describeDecoder(config, {
      gguf: null,
      tiedByDefault: false,
      layer: (index) =>
        joinParts(
          norms(hiddenSizeOf(config), ["attn_norm", "ffn_norm"]),
          groupedAttention(config, {
            shape: { kvHeads: config.optionalSize("num_attention_groups") ?? 1, queryRank },
          }),
          hasExperts[index]
            ? routedExperts(config, { shared: sharedSize > 0 ? { size: sharedSize, gated: true } : undefined })
            : feedForward(config),
        ),
    });
  },
};

/** Dense prediction blocks that MiMo-V2 publishes beside the model; its configs do not count them. */
const MIMO2_PREDICTION_BLOCKS = 3;

const MIMO2: Family = {
  modelTypes: ["mimo_v2_flash", "mimo_v2"],
  architectures: ["MiMoV2FlashForCausalLM", "MiMoV2ForCausalLM"],
  describe: (config) => {
    const hiddenSize = hiddenSizeOf(config);
    const layers = layerCountOf(config);
    const windowSize = config.size("sliding_window_size", "sliding_window");
    const isSliding = config.optionalWholePerLayer(["hybrid_layer_pattern"], layers, { max: 1 });
    if (!isSliding) throw config.invalid("hybrid_layer_pattern", "is missing");
    const hasExperts = expertLayers(config, layers);
    const block = (sliding: boolean, isMixture: boolean): Block => {
      const full = readHeads(config);
      const shape = sliding
        ? {
            heads: config.optionalSize("swa_num_attention_heads") ?? full.heads,
            kvHeads: config.optionalSize("swa_num_key_value_heads") ?? full.kvHeads,
            keyDim: config.optionalSize("swa_head_dim") ?? full.keyDim,
            valueDim: config.optionalSize("swa_v_head_dim") ?? full.valueDim,
            window: { kind: "sliding" as const, size: windowSize },
          }
        : full;
      const hasSinks = config.flag(sliding ? "add_swa_attention_sink_bias" : "add_full_attention_sink_bias", false);
      return joinParts(
        norms(hiddenSize, ["attn_norm", "ffn_norm"]),
        groupedAttention(config, { shape, biases: attentionBiases(config, "qkv") }),
        hasSinks ? { tensors: [plain("attn_sinks.weight", [shape.heads], "ATTENTION")] } : {},
        isMixture
          ? routedExperts(config, { routerScoreBias: true, shared: sharedExperts(config, "n_shared_experts") })
          : feedForward(config),
      );
    };
    return describeDecoder(config, {
      gguf: "mimo2",
      tiedByDefault: false,
      layer: (index) => block(isSliding[index] === 1, hasExperts[index] ?? false),
      prediction: {
        blocks: repeatBlock(
          () => predictionBlock(block(true, false), hiddenSize, { headNorm: "layer_output_norm.weight" }),
          config.has("num_nextn_predict_layers")
            ? predictionCountOf(config, "num_nextn_predict_layers")
            : MIMO2_PREDICTION_BLOCKS,
        ),
        inGguf: true,
        loadedByLlamaCpp: false,
        cachedByLlamaCpp: true,
      },
    });
  },
};

const LAGUNA_PATTERN = { period: 4, full: "first" } as const;

const LAGUNA: Family = {
  modelTypes: ["laguna"],
  architectures: ["LagunaForCausalLM"],
  describe: (config) => {
    const hiddenSize = hiddenSizeOf(config);
    const layers = layerCountOf(config);
    const windows = layerWindows(config, layers, LAGUNA_PATTERN);
    const heads = config.optionalWholePerLayer(["num_attention_heads_per_layer"], layers, { min: 1 });
    const hasExperts = expertLayers(config, layers);
    const sharedSize = config.optionalCount("shared_expert_intermediate_size") ?? 0;
    return describeDecoder(config, {
      gguf: "laguna",
      tiedByDefault: false,
      layer: (index) => {
        const own = heads?.[index] ?? readHeads(config).heads;
        return joinParts(
          norms(hiddenSize, ["attn_norm", "ffn_norm"]),
          groupedAttention(config, {
            queryKeyNorm: "head",
            biases: attentionBiases(config, "qkvo"),
            shape: { heads: own, ...windowField(windows[index]) },
          }),
          config.raw("gating") === false || !config.has("gating") ? {} : headGate(hiddenSize, own),
          hasExperts[index]
            ? routedExperts(config, {
                routerScoreBias: true,
                shared: sharedSize > 0 ? { size: sharedSize, gated: true } : undefined,
              })
            : feedForward(config),
        );
      },
    });
  },
};

export const GLM_MOE_FAMILIES: readonly Family[] = [GLM4_MOE, STEP3, STEP35, MIMO2, LAGUNA];
