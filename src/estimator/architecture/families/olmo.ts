import type { Block, Window } from "../architecture.js";
import {
  assertDense,
  feedForward,
  groupedAttention,
  hiddenSizeOf,
  intermediateSizeOf,
  joinParts,
  norms,
  type QueryKeyNorm,
  routedExperts,
  sharedExperts,
} from "../block-parts.js";
import { type ConfigReader, describe } from "../config-reader.js";
import { describeDecoder, layerCountOf, predictionCountOf } from "../decoder.js";
import { expertLayers } from "../expert-layers.js";
import type { Family } from "../family.js";
import { predictionBlock, repeatBlock } from "../prediction.js";
import { layerWindows, type WindowPattern, windowField } from "../windows.js";

/** Every fourth layer is full in OLMo 3 and EXAONE 4. */
const PATTERN = { period: 4, full: "last" } as const;

const EXAONE4_DEFAULTS = {
  vocab_size: 102400,
  hidden_size: 4096,
  intermediate_size: 16384,
  num_hidden_layers: 32,
  num_attention_heads: 32,
  num_key_value_heads: 32,
  max_position_embeddings: 2048,
  sliding_window: 4096,
};

/** Which layers are full by EXAONE's `sliding_window_pattern`: letters ("LLLG", G full) or a number of layers. */
function windowPattern(config: ConfigReader): WindowPattern | ((index: number) => boolean) {
  const pattern = config.raw("sliding_window_pattern");
  if (typeof pattern !== "string") return { ...PATTERN, period: config.optionalSize("sliding_window_pattern") ?? 4 };
  if (!/^[LG]+$/.test(pattern)) {
    throw config.invalid("sliding_window_pattern", `must be letters L and G, but is ${describe(pattern)}`);
  }
  return (index) => pattern[index % pattern.length] === "G";
}

/** EXAONE MoE: norms before attention and feed forward, sliding layers rotated, full ones not. */
const EXAONE_MOE: Family = {
  modelTypes: ["exaone_moe"],
  architectures: ["ExaoneMoeForCausalLM", "ExaoneMoEForCausalLM"],
  describe: (config) => {
    const hiddenSize = hiddenSizeOf(config);
    const layers = layerCountOf(config);
    const windows = layerWindows(config, layers, windowPattern(config));
    const hasExperts = expertLayers(config, layers);
    const block = (window: Window | undefined, isMixture: boolean): Block =>
      joinParts(
        norms(hiddenSize, ["attn_norm", "ffn_norm"]),
        groupedAttention(config, {
          queryKeyNorm: "head",
          shape: { ...windowField(window), ...(window ? {} : { noRope: true }) },
        }),
        isMixture
          ? routedExperts(config, { routerScoreBias: true, shared: sharedExperts(config, "num_shared_experts") })
          : feedForward(config),
      );
    return describeDecoder(config, {
      gguf: "exaone-moe",
      tiedByDefault: false,
      layer: (index) => block(windows[index], hasExperts[index] ?? false),
      prediction: {
        blocks: repeatBlock(
          () => predictionBlock(block(undefined, false), hiddenSize),
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

/** Norms stand after attention and feed forward instead of before. */
const postNormBlock = (config: ConfigReader, queryKeyNorm: QueryKeyNorm, window: Window | undefined): Block =>
  joinParts(
    norms(hiddenSizeOf(config), ["post_attention_norm", "post_ffw_norm"]),
    groupedAttention(config, { queryKeyNorm, shape: windowField(window) }),
    feedForward(config),
  );

function postNorm(
  modelTypes: string[],
  architectures: string[],
  traits: { gguf: string; queryKeyNorm: QueryKeyNorm; predictionInGguf: boolean },
  defaults?: Family["defaults"],
): Family {
  return {
    modelTypes,
    architectures,
    ...(defaults ? { defaults } : {}),
    describe: (config) => {
      assertDense(config);
      const windows = layerWindows(config, layerCountOf(config), windowPattern(config));
      const predicted = predictionCountOf(config, "num_nextn_predict_layers");
      return describeDecoder(config, {
        gguf: traits.gguf,
        tiedByDefault: false,
        layer: (index) => postNormBlock(config, traits.queryKeyNorm, windows[index]),
        prediction: {
          blocks: repeatBlock(
            () => predictionBlock(postNormBlock(config, traits.queryKeyNorm, undefined), hiddenSizeOf(config)),
            predicted,
          ),
          inGguf: traits.predictionInGguf,
          loadedByLlamaCpp: false,
          cachedByLlamaCpp: false,
        },
      });
    },
  };
}

export const OLMO_FAMILIES: readonly Family[] = [
  postNorm(["olmo2", "olmo3"], ["Olmo2ForCausalLM", "Olmo3ForCausalLM"], {
    gguf: "olmo2",
    queryKeyNorm: "all-heads",
    predictionInGguf: false,
  }),
  postNorm(
    ["exaone4", "exaone4_5", "exaone4_5_text"],
    ["Exaone4ForCausalLM", "Exaone4_5_ForConditionalGeneration"],
    { gguf: "exaone4", queryKeyNorm: "head", predictionInGguf: true },
    EXAONE4_DEFAULTS,
  ),
  EXAONE_MOE,
  {
    modelTypes: ["olmoe"],
    architectures: ["OlmoeForCausalLM"],
    describe: (config) => {
      const block = joinParts(
        norms(hiddenSizeOf(config), ["attn_norm", "ffn_norm"]),
        groupedAttention(config, { queryKeyNorm: "all-heads" }),
        routedExperts(config, { size: intermediateSizeOf(config) }),
      );
      return describeDecoder(config, { gguf: "olmoe", tiedByDefault: false, layer: () => block });
    },
  },
  {
    modelTypes: ["olmo"],
    architectures: ["OlmoForCausalLM"],
    describe: (config) => {
      const block = joinParts(groupedAttention(config), feedForward(config));
      return describeDecoder(config, { gguf: "olmo", tiedByDefault: false, hasFinalNorm: false, layer: () => block });
    },
  },
];
