import type { Block } from "../architecture.js";
import {
  type AttentionOptions,
  attentionBiases,
  type ExpertsOptions,
  expertCountOf,
  feedForward,
  groupedAttention,
  hiddenSizeOf,
  intermediateSizeOf,
  joinParts,
  norms,
  plain,
  readHeads,
  routedExperts,
  sharedExperts,
} from "../block-parts.js";
import { ConfigReader } from "../config-reader.js";
import { describeDecoder, layerCountOf, predictionCountOf } from "../decoder.js";
import { expertLayers } from "../expert-layers.js";
import type { Family } from "../family.js";
import { predictionBlock } from "../prediction.js";
import { layerWindows, windowField } from "../windows.js";
import { QWEN3_ASSUMED } from "./qwen.js";

/*
 * Mixtures of experts with grouped-query attention in every layer: Mixtral, Qwen MoE, gpt-oss, Llama 4, MiniMax,
 * ERNIE 4.5, Ling. (Those with prediction blocks or per-layer head counts have files of their own.)
 */

interface MixtureTraits {
  gguf: string | null;
  tiedByDefault?: boolean;
  normNames?: string[];
  attention: (config: ConfigReader) => AttentionOptions;
  experts: (config: ConfigReader) => ExpertsOptions;
  /** Field that counts prediction blocks: dense layers that llama.cpp's converter leaves out (ERNIE 4.5). */
  predictionCount?: string;
}

function mixture(
  modelTypes: string[],
  architectures: string[],
  traits: MixtureTraits,
  defaults: Family["defaults"] = {},
  assumed: Family["assumed"] = {},
): Family {
  return {
    modelTypes,
    architectures,
    defaults,
    assumed,
    describe: (config) => {
      const hasExperts = expertLayers(config, layerCountOf(config));
      const block = (isMixture: boolean): Block =>
        joinParts(
          norms(hiddenSizeOf(config), traits.normNames ?? ["attn_norm", "ffn_norm"]),
          groupedAttention(config, traits.attention(config)),
          isMixture ? routedExperts(config, traits.experts(config)) : feedForward(config),
        );
      return describeDecoder(config, {
        gguf: traits.gguf,
        tiedByDefault: traits.tiedByDefault ?? false,
        layer: (index) => block(hasExperts[index] ?? false),
        prediction: {
          blocks: Array.from(
            { length: traits.predictionCount === undefined ? 0 : predictionCountOf(config, traits.predictionCount) },
            () => predictionBlock(block(false), hiddenSizeOf(config), { headNorm: null }),
          ),
          inGguf: false,
          loadedByLlamaCpp: false,
          cachedByLlamaCpp: false,
        },
      });
    },
  };
}

/** Shared expert of a stated width with a gate vector of its own (Qwen). */
export const gatedSharedExpert = (config: ConfigReader): ExpertsOptions["shared"] => {
  const size = config.optionalCount("shared_expert_intermediate_size") ?? 0;
  return size > 0 ? { size, gated: true, hasGateVector: true } : undefined;
};

const qwen3MoeAttention = (config: ConfigReader): AttentionOptions => ({
  queryKeyNorm: "head",
  biases: attentionBiases(config, "qkvo"),
});

const QWEN3_MOE_DEFAULTS = {
  vocab_size: 151936,
  hidden_size: 2048,
  intermediate_size: 6144,
  num_hidden_layers: 24,
  num_attention_heads: 32,
  num_key_value_heads: 4,
  max_position_embeddings: 32768,
  moe_intermediate_size: 768,
  num_experts: 128,
  num_experts_per_tok: 8,
};

/** gpt-oss: sinks per head, biases on every projection, router and expert; every second layer full. */
const GPT_OSS: Family = {
  modelTypes: ["gpt_oss"],
  architectures: ["GptOssForCausalLM"],
  defaults: {
    vocab_size: 201088,
    hidden_size: 2880,
    intermediate_size: 2880,
    num_hidden_layers: 36,
    num_attention_heads: 64,
    num_key_value_heads: 8,
    max_position_embeddings: 131072,
    num_local_experts: 128,
    num_experts_per_tok: 4,
  },
  assumed: { head_dim: 64, sliding_window: 128 },
  describe: (config) => {
    const hiddenSize = hiddenSizeOf(config);
    const windows = layerWindows(config, layerCountOf(config), { period: 2, full: "last" });
    const count = expertCountOf(config);
    const size = intermediateSizeOf(config);
    return describeDecoder(config, {
      gguf: "gpt-oss",
      tiedByDefault: false,
      layer: (index) => {
        const attention = groupedAttention(config, {
          biases: ["q", "k", "v", "o"],
          shape: windowField(windows[index]),
        });
        const heads = attention.attention?.heads ?? 0;
        return joinParts(
          norms(hiddenSize, ["attn_norm", "post_attention_norm"]),
          attention,
          routedExperts(config, { size }),
          {
            tensors: [
              plain("attn_sinks.weight", [heads], "ATTENTION"),
              plain("ffn_gate_inp.bias", [count], "ROUTER"),
              plain("ffn_gate_exps.bias", [size, count], "EXPERTS"),
              plain("ffn_up_exps.bias", [size, count], "EXPERTS"),
              plain("ffn_down_exps.bias", [hiddenSize, count], "EXPERTS"),
            ],
          },
        );
      },
    });
  },
};

/** Every fourth layer is full and not rotated; the others attend within chunks. */
const LLAMA4_FULL_EVERY = 4;

const LLAMA4: Family = {
  modelTypes: ["llama4", "llama4_text"],
  architectures: ["Llama4ForConditionalGeneration", "Llama4ForCausalLM"],
  defaults: {
    vocab_size: 202048,
    hidden_size: 5120,
    intermediate_size: 8192,
    intermediate_size_mlp: 16384,
    num_hidden_layers: 48,
    num_attention_heads: 40,
    num_key_value_heads: 8,
    head_dim: 128,
    max_position_embeddings: 131072,
    num_experts_per_tok: 1,
    num_local_experts: 16,
    attention_chunk_size: 8192,
  },
  describe: (config) => {
    const layers = layerCountOf(config);
    const chunk = config.optionalSize("attention_chunk_size");
    const rotated = config.optionalWholes(["no_rope_layers"], { max: 1 }) ?? [];
    const step = config.optionalSize("interleave_moe_layer_step") ?? 1;
    const listed = config.optionalWholes(["moe_layers"]);
    const isFull = (index: number): boolean =>
      rotated.length > 0 ? rotated[index] === 0 : (index + 1) % LLAMA4_FULL_EVERY === 0;
    const isMixture = (index: number): boolean => (listed ? listed.includes(index) : (index + 1) % step === 0);
    const size = intermediateSizeOf(config);
    if (rotated.length > 0 && rotated.length < layers) {
      throw config.invalid("no_rope_layers", `has ${rotated.length} entries, but the model has ${layers} layers`);
    }
    return describeDecoder(config, {
      gguf: "llama4",
      tiedByDefault: false,
      layer: (index) =>
        joinParts(
          norms(hiddenSizeOf(config), ["attn_norm", "ffn_norm"]),
          groupedAttention(config, {
            biases: attentionBiases(config, "qkvo"),
            shape: isFull(index)
              ? { noRope: true }
              : windowField(chunk === undefined ? undefined : { kind: "chunked", size: chunk }),
          }),
          isMixture(index)
            ? routedExperts(config, { size, shared: { size, gated: true } })
            : feedForward(config, { size: config.size("intermediate_size_mlp") }),
        ),
    });
  },
};

/** MiniMax-M3: dense leading layers, then experts with a block-sparse attention index. */
const MINIMAX_M3: Family = {
  modelTypes: ["minimax_m3", "minimax_m3_vl", "minimax_m3_text", "minimax_m3_vl_text"],
  architectures: ["MiniMaxM3ForCausalLM", "MiniMaxM3SparseForCausalLM", "MiniMaxM3SparseForConditionalGeneration"],
  defaults: {
    vocab_size: 200064,
    hidden_size: 6144,
    intermediate_size: 3072,
    num_hidden_layers: 60,
    num_attention_heads: 64,
    num_key_value_heads: 4,
    head_dim: 128,
    max_position_embeddings: 524288,
    num_experts_per_tok: 4,
    num_local_experts: 128,
    dense_intermediate_size: 12288,
    shared_intermediate_size: 3072,
  },
  describe: (config) => {
    const layers = layerCountOf(config);
    const hasExperts = expertLayers(config, layers);
    const sparse = config.optionalObject("sparse_attention_config");
    const isSparse = sparse?.flag("use_sparse_attention", true)
      ? (sparse.optionalWholePerLayer(["sparse_attention_freq"], layers, { max: 1 }) ?? [])
      : [];
    const sharedSize = config.optionalCount("shared_intermediate_size") ?? 0;
    return describeDecoder(config, {
      gguf: "minimax-m3",
      tiedByDefault: false,
      layer: (index) =>
        joinParts(
          norms(hiddenSizeOf(config), ["attn_norm", "ffn_norm"]),
          groupedAttention(config, {
            queryKeyNorm: config.flag("use_qk_norm", true) ? "head" : undefined,
            shape:
              sparse && isSparse[index] === 1
                ? {
                    indexer: {
                      heads: sparse.size("sparse_num_index_heads"),
                      keyDim: sparse.size("sparse_index_dim"),
                      topK: sparse.size("sparse_topk_blocks"),
                    },
                  }
                : {},
          }),
          hasExperts[index]
            ? routedExperts(config, {
                size: config.optionalSize("moe_intermediate_size") ?? intermediateSizeOf(config),
                routerScoreBias: config.flag("use_routing_bias", true),
                shared: sharedSize > 0 ? { size: sharedSize, gated: true } : undefined,
              })
            : feedForward(config, { size: config.size("dense_intermediate_size", "intermediate_size") }),
        ),
    });
  },
};

/** MiniMax-01 and M1: lightning attention, softmax attention where `attn_type_list` has a 1. */
const MINIMAX_01: Family = {
  modelTypes: ["minimax_text_01", "minimax_m1", "minimax"],
  architectures: ["MiniMaxText01ForCausalLM", "MiniMaxM1ForCausalLM", "MiniMaxForCausalLM"],
  describe: (config) => {
    const layers = layerCountOf(config);
    const types = config.optionalChoicePerLayer(["layer_types"], layers, ["linear_attention", "full_attention"]);
    const flags = config.optionalWholePerLayer(["attn_type_list"], layers, { max: 1 });
    if (!types && !flags) throw config.invalid("attn_type_list", "is missing");
    const isFull = (index: number): boolean => (types ? types[index] === "full_attention" : flags?.[index] === 1);
    const sharedSize = config.optionalCount("shared_intermediate_size") ?? 0;
    const heads = readHeads(config);
    return describeDecoder(config, {
      gguf: null,
      tiedByDefault: false,
      layer: (index) =>
        joinParts(
          norms(hiddenSizeOf(config), ["attn_norm", "ffn_norm"]),
          isFull(index)
            ? groupedAttention(config)
            : { recurrent: { kind: "lightning", heads: heads.heads, headDim: heads.keyDim } },
          routedExperts(config, {
            size: intermediateSizeOf(config),
            shared: sharedSize > 0 ? { size: sharedSize, gated: true } : undefined,
          }),
        ),
    });
  },
};

/** Ling: Q, K and V in one matrix, and norms of queries and keys in its second generation. */
const LING: Family = {
  modelTypes: ["bailing_moe", "bailing_moe_v2"],
  architectures: ["BailingMoeForCausalLM", "BailingMoeV2ForCausalLM"],
  describe: (config) => {
    const hasExperts = expertLayers(config, layerCountOf(config));
    const isSecond = config.flag("use_qk_norm", false);
    const block = (isMixture: boolean): Block =>
      joinParts(
        norms(hiddenSizeOf(config), ["attn_norm", "ffn_norm"]),
        groupedAttention(config, {
          queryKeyNorm: isSecond ? "head" : undefined,
          biases: config.flag("use_qkv_bias", false) ? ["q", "k", "v"] : [],
          shape: isSecond ? { fusedQkv: true } : {},
        }),
        isMixture
          ? routedExperts(config, {
              routerScoreBias: config.flag("moe_router_enable_expert_bias", false),
              shared: sharedExperts(config, "num_shared_experts"),
            })
          : feedForward(config),
      );
    return describeDecoder(config, {
      gguf: isSecond ? "bailingmoe2" : "bailingmoe",
      tiedByDefault: false,
      layer: (index) => block(hasExperts[index] ?? false),
    });
  },
};

/** ERNIE 4.5 VL's configs state some widths and counts twice: for the text's experts and for the images'. */
function textAndVision(config: ConfigReader, name: string): [number, number] {
  const value = config.raw(name);
  if (!Array.isArray(value)) return [config.size(name), config.size(name)];
  const [text, vision] = config.optionalWholes([name], { min: 1 }) ?? [];
  if (text === undefined || vision === undefined) throw config.invalid(name, "must have two entries");
  return [text, vision];
}

/** Fields of ERNIE 4.5 VL with one entry for each kind of expert, of which the text's count. */
const PER_MODALITY = ["moe_num_experts", "moe_intermediate_size", "moe_layer_start_index", "moe_layer_end_index"];

/** The config with each list of two reduced to its first entry. */
function textConfig(config: ConfigReader): ConfigReader {
  const first = PER_MODALITY.flatMap((name) => {
    const value = config.raw(name);
    return Array.isArray(value) ? [[name, config.optionalNumbers(name)?.[0]] as const] : [];
  });
  return new ConfigReader(Object.fromEntries(first), config.path, config);
}

/**
 * ERNIE 4.5 VL: experts for text and narrower ones for images, each with a router of its own. llama.cpp does not
 * load it.
 */
const ERNIE_VL: Family = {
  modelTypes: ["ernie4_5_moe_vl", "ernie4_5_vl_moe", "ernie4_5_vl_moe_text"],
  architectures: ["Ernie4_5_VLMoeForConditionalGeneration", "Ernie4_5_VL_MoeForConditionalGeneration"],
  defaults: {
    vocab_size: 103424,
    hidden_size: 2560,
    intermediate_size: 12288,
    num_hidden_layers: 28,
    num_attention_heads: 20,
    num_key_value_heads: 4,
    max_position_embeddings: 131072,
    moe_intermediate_size: [1536, 512],
    moe_k: 6,
    moe_num_experts: 64,
    moe_num_shared_experts: 2,
    moe_layer_start_index: 1,
  },
  describe: (config) => {
    const hiddenSize = hiddenSizeOf(config);
    const text = textConfig(config);
    const [, size] = textAndVision(config, "moe_intermediate_size");
    const [, count] = textAndVision(config, "moe_num_experts");
    const hasExperts = expertLayers(text, layerCountOf(config));
    const vision = {
      tensors: [
        plain("ffn_gate_inp_vision.weight", [hiddenSize, count], "ROUTER"),
        plain("exp_probs_b_vision.bias", [count], "ROUTER"),
        ...["gate", "up"].map((name) => plain(`ffn_${name}_vexps.weight`, [hiddenSize, size, count], "EXPERTS")),
        plain("ffn_down_vexps.weight", [size, hiddenSize, count], "EXPERTS"),
      ],
    };
    const block = (isMixture: boolean): Block =>
      joinParts(
        norms(hiddenSize, ["attn_norm", "ffn_norm"]),
        groupedAttention(config, { biases: config.flag("use_bias", false) ? ["q", "k", "v", "o"] : [] }),
        isMixture
          ? joinParts(
              routedExperts(text, { routerScoreBias: true, shared: sharedExperts(text, "moe_num_shared_experts") }),
              vision,
            )
          : feedForward(config),
      );
    return describeDecoder(config, {
      gguf: null,
      tiedByDefault: true,
      layer: (index) => block(hasExperts[index] ?? false),
    });
  },
};

export const MIXTURE_FAMILIES: readonly Family[] = [
  mixture(["mixtral"], ["MixtralForCausalLM"], {
    gguf: "llama",
    attention: () => ({}),
    experts: (config) => ({ size: intermediateSizeOf(config) }),
  }),
  mixture(["qwen2_moe"], ["Qwen2MoeForCausalLM"], {
    gguf: "qwen2moe",
    attention: (config) => ({ biases: config.flag("qkv_bias", true) ? ["q", "k", "v"] : [] }),
    experts: (config) => ({ shared: gatedSharedExpert(config) }),
  }),
  mixture(
    ["qwen3_moe", "qwen3_omni_moe_text"],
    ["Qwen3MoeForCausalLM"],
    { gguf: "qwen3moe", attention: qwen3MoeAttention, experts: () => ({}) },
    QWEN3_MOE_DEFAULTS,
    QWEN3_ASSUMED,
  ),
  mixture(
    ["qwen3_vl_moe", "qwen3_vl_moe_text"],
    ["Qwen3VLMoeForConditionalGeneration"],
    { gguf: "qwen3vlmoe", attention: qwen3MoeAttention, experts: () => ({}) },
    QWEN3_MOE_DEFAULTS,
    QWEN3_ASSUMED,
  ),
  mixture(["granitemoe", "granitemoeshared"], ["GraniteMoeForCausalLM", "GraniteMoeSharedForCausalLM"], {
    gguf: "granitemoe",
    attention: (config) => ({ biases: attentionBiases(config, "qkvo") }),
    experts: (config) => {
      const size = config.optionalCount("shared_intermediate_size") ?? 0;
      return { size: intermediateSizeOf(config), shared: size > 0 ? { size, gated: true } : undefined };
    },
  }),
  mixture(["minimax_m2"], ["MiniMaxM2ForCausalLM"], {
    gguf: "minimax-m2",
    attention: (config) => ({ queryKeyNorm: config.flag("use_qk_norm", true) ? "all-heads" : undefined }),
    experts: (config) => ({
      size: intermediateSizeOf(config),
      routerScoreBias: config.flag("use_routing_bias", true),
    }),
  }),
  mixture(["ernie4_5_moe"], ["Ernie4_5_MoeForCausalLM", "Ernie4_5_MoEForCausalLM"], {
    gguf: "ernie4_5-moe",
    tiedByDefault: true,
    predictionCount: "num_nextn_predict_layers",
    attention: (config) => ({ biases: config.flag("use_bias", false) ? ["q", "k", "v", "o"] : [] }),
    experts: (config) => ({
      routerScoreBias: config.flag("moe_use_aux_free", true),
      shared: sharedExperts(config, "moe_num_shared_experts"),
    }),
  }),
  mixture(["deepseek"], ["DeepseekForCausalLM"], {
    gguf: "deepseek",
    attention: (config) => ({ biases: attentionBiases(config, "qkvo") }),
    experts: (config) => ({ shared: sharedExperts(config, "n_shared_experts") }),
  }),
  mixture(["dots1"], ["Dots1ForCausalLM"], {
    gguf: "dots1",
    attention: qwen3MoeAttention,
    experts: (config) => ({ routerScoreBias: true, shared: sharedExperts(config, "n_shared_experts") }),
  }),
  ERNIE_VL,
  MINIMAX_01,
  GPT_OSS,
  LLAMA4,
  MINIMAX_M3,
  LING,
];
