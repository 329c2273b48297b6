import type { Architecture, Block, Indexer, LatentAttention } from "../architecture.js";
import {
  type BlockPart,
  feedForward,
  groupedAttention,
  headsOf,
  hiddenSizeOf,
  joinParts,
  norms,
  readHeads,
  routedExperts,
  sharedExperts,
} from "../block-parts.js";
import type { ConfigReader } from "../config-reader.js";
import { describeDecoder, layerCountOf, type PredictionTraits, predictionCountOf } from "../decoder.js";
import { expertLayers } from "../expert-layers.js";
import type { Family } from "../family.js";
import { predictionBlock } from "../prediction.js";

/*
 * Multi-head latent attention: DeepSeek V2 to V3.2, Kimi K2, GLM-4.7-Flash, GLM-5, MiniCPM3.
 */

/** The latent attention of a config, with what the layer's own fields add. */
export function latentAttention(config: ConfigReader, more: Partial<LatentAttention> = {}): BlockPart {
  return {
    attention: {
      kind: "latent",
      heads: headsOf(config),
      queryRank: config.optionalSize("q_lora_rank") ?? null,
      kvRank: config.size("kv_lora_rank"),
      ropeDim: config.count("qk_rope_head_dim"),
      nopeDim: config.count("qk_nope_head_dim"),
      ...more,
      valueDim: more.valueDim ?? config.size("v_head_dim"),
    },
  };
}

/** What llama.cpp and its converter do with the prediction blocks. */
type PredictionHabits = Omit<PredictionTraits, "blocks">;

const LEFT_OUT: PredictionHabits = { inGguf: false, loadedByLlamaCpp: false, cachedByLlamaCpp: false };
const KEPT_AND_CACHED: PredictionHabits = { inGguf: true, loadedByLlamaCpp: false, cachedByLlamaCpp: true };

interface LatentTraits {
  gguf: string;
  prediction: PredictionHabits;
  /** The indexer of each layer, prediction blocks after the last one; undefined for a layer without. */
  indexers?: (config: ConfigReader, blocks: number) => (Indexer | undefined)[];
  assumed?: Family["assumed"];
}

/** Widths of DeepSeek's latent attention, the same from V2 to V3.2 and in Kimi K2. */
const LATENT_WIDTHS = { kv_lora_rank: 512, qk_nope_head_dim: 128, qk_rope_head_dim: 64, v_head_dim: 128 };
/** The same of its indexer. */
const INDEXER_WIDTHS = { index_n_heads: 64, index_head_dim: 128, index_topk: 2048 };

const feedForwardPart = (config: ConfigReader, isMixture: boolean): BlockPart =>
  isMixture
    ? routedExperts(config, {
        routerScoreBias: (config.optionalText("topk_method") ?? "noaux_tc") === "noaux_tc",
        shared: sharedExperts(config, "n_shared_experts"),
      })
    : feedForward(config);

function latent(
  modelTypes: string[],
  architectures: string[],
  traits: LatentTraits,
  defaults?: Family["defaults"],
): Family {
  return {
    modelTypes,
    architectures,
    ...(defaults ? { defaults } : {}),
    assumed: { ...LATENT_WIDTHS, ...traits.assumed },
    describe: (config) => describeLatent(config, traits),
  };
}

function describeLatent(config: ConfigReader, traits: LatentTraits): Architecture {
  const hiddenSize = hiddenSizeOf(config);
  const layers = layerCountOf(config);
  const hasExperts = expertLayers(config, layers);
  const predicted = predictionCountOf(config, "num_nextn_predict_layers");
  const indexers = traits.indexers?.(config, layers + predicted) ?? [];
  const block = (index: number): Block => {
    const indexer = indexers[index];
    return joinParts(
      norms(hiddenSize, ["attn_norm", "ffn_norm"]),
      latentAttention(config, indexer ? { indexer } : {}),
      feedForwardPart(config, hasExperts[index] ?? true),
    );
  };
  return describeDecoder(config, {
    gguf: traits.gguf,
    tiedByDefault: false,
    layer: block,
    prediction: {
      blocks: Array.from({ length: predicted }, (_, index) => predictionBlock(block(layers + index), hiddenSize)),
      ...traits.prediction,
    },
  });
}

const readIndexer = (config: ConfigReader): Indexer => ({
  heads: config.size("index_n_heads"),
  keyDim: config.size("index_head_dim"),
  topK: config.size("index_topk"),
});

/**
 * Indexers by layer: every layer has one, unless layers share an earlier layer's: by a list (`indexer_types`), or all
 * but every `index_topk_freq`-th after the first `index_skip_topk_offset`. A prediction block has its own.
 */
function layerIndexers(config: ConfigReader, blocks: number): (Indexer | undefined)[] {
  const layers = layerCountOf(config);
  const indexer = readIndexer(config);
  const types = config.optionalChoicePerLayer(["indexer_types"], layers, ["full", "shared"]);
  const every = config.optionalSize("index_topk_freq") ?? 1;
  const offset = config.optionalCount("index_skip_topk_offset") ?? 0;
  const isShared = (index: number): boolean =>
    types ? types[index] === "shared" : index < layers && index >= offset && (index - offset + 1) % every !== 0;
  return Array.from({ length: blocks }, (_, index) => (isShared(index) ? undefined : indexer));
}

/** GLM-5's and GLM-4.7-Flash's latent attention. */
const GLM_WIDTHS = { qk_nope_head_dim: 192, v_head_dim: 256 };

const DEEPSEEK_V2_DEFAULTS = {
  vocab_size: 102400,
  hidden_size: 4096,
  intermediate_size: 11008,
  num_hidden_layers: 30,
  num_attention_heads: 32,
  max_position_embeddings: 2048,
};

const DEEPSEEK_V3_DEFAULTS = {
  vocab_size: 129280,
  hidden_size: 7168,
  intermediate_size: 18432,
  moe_intermediate_size: 2048,
  num_hidden_layers: 61,
  num_attention_heads: 128,
  n_shared_experts: 1,
  n_routed_experts: 256,
  num_experts_per_tok: 8,
  q_lora_rank: 1536,
  first_k_dense_replace: 3,
  max_position_embeddings: 4096,
};

/** Mistral 4's router has no score bias either. */
const MISTRAL4_WIDTHS = { kv_lora_rank: 256, qk_nope_head_dim: 64, topk_method: "greedy" };

const MISTRAL4_DEFAULTS = {
  vocab_size: 131072,
  hidden_size: 4096,
  intermediate_size: 12288,
  moe_intermediate_size: 2048,
  num_hidden_layers: 36,
  num_attention_heads: 32,
  n_shared_experts: 1,
  n_routed_experts: 128,
  num_experts_per_tok: 4,
  q_lora_rank: 1024,
  first_k_dense_replace: 0,
  max_position_embeddings: 1048576,
};

/** DeepSeek V2; with `use_mla: false` (DeepSeek-VL2-tiny) plain multi-head attention beside the same experts. */
const DEEPSEEK_V2: Family = {
  modelTypes: ["deepseek_v2"],
  architectures: ["DeepseekV2ForCausalLM"],
  defaults: DEEPSEEK_V2_DEFAULTS,
  assumed: LATENT_WIDTHS,
  describe: (config) => {
    const greedy = withGreedy(config);
    if (config.flag("use_mla", true)) return describeLatent(greedy, { gguf: "deepseek2", prediction: LEFT_OUT });
    const hasExperts = expertLayers(config, layerCountOf(config));
    return describeDecoder(config, {
      gguf: null,
      tiedByDefault: false,
      layer: (index) =>
        joinParts(
          norms(hiddenSizeOf(config), ["attn_norm", "ffn_norm"]),
          groupedAttention(config),
          feedForwardPart(greedy, hasExperts[index] ?? true),
        ),
    });
  },
};

/** DeepSeek V2 chooses experts greedily unless its config says otherwise, so its router has no score bias. */
const withGreedy = (config: ConfigReader): ConfigReader => config.withDefaults({ topk_method: "greedy" });

const MINICPM3: Family = {
  modelTypes: ["minicpm3"],
  architectures: ["MiniCPM3ForCausalLM"],
  describe: (config) => {
    const hiddenSize = hiddenSizeOf(config);
    const block = joinParts(
      norms(hiddenSize, ["attn_norm", "ffn_norm"]),
      latentAttention(config, {
        cachesExpanded: true,
        valueDim: readHeads(config).valueDim,
      }),
      feedForward(config),
    );
    return describeDecoder(config, { gguf: "minicpm3", tiedByDefault: true, layer: () => block });
  },
};

export const DEEPSEEK_FAMILIES: readonly Family[] = [
  DEEPSEEK_V2,
  latent(
    ["deepseek_v3", "kimi_k2"],
    ["DeepseekV3ForCausalLM", "KimiK2ForCausalLM", "MistralLarge3ForCausalLM"],
    { gguf: "deepseek2", prediction: LEFT_OUT },
    DEEPSEEK_V3_DEFAULTS,
  ),
  latent(
    ["mistral4"],
    ["Mistral4ForCausalLM"],
    { gguf: "mistral4", prediction: LEFT_OUT, assumed: MISTRAL4_WIDTHS },
    MISTRAL4_DEFAULTS,
  ),
  latent(["deepseek_v32"], ["DeepseekV32ForCausalLM"], {
    gguf: "deepseek32",
    prediction: KEPT_AND_CACHED,
    indexers: layerIndexers,
    assumed: INDEXER_WIDTHS,
  }),
  latent(["glm_moe_dsa"], ["GlmMoeDsaForCausalLM"], {
    gguf: "glm-dsa",
    prediction: KEPT_AND_CACHED,
    indexers: layerIndexers,
    assumed: { ...INDEXER_WIDTHS, ...GLM_WIDTHS, index_n_heads: 32 },
  }),
  latent(["glm4_moe_lite"], ["Glm4MoeLiteForCausalLM"], {
    gguf: "deepseek2",
    prediction: LEFT_OUT,
    assumed: GLM_WIDTHS,
  }),
  MINICPM3,
];
