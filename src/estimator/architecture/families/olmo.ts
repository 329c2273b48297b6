import type { Block, Window } from "../architecture.js";
import {
  feedForward,
  groupedAttention,
  hiddenSizeOf,
  joinParts,
  norms,
  type QueryKeyNorm,
  routedExperts,
} from "../block-parts.js";
import type { ConfigReader } from "../config-reader.js";
import { describeDecoder, layerCountOf } from "../decoder.js";
import type { Family } from "../family.js";
import { layerWindows, windowField } from "../windows.js";

/** Every fourth layer is full in OLMo 3 and EXAONE 4 ("LLLG"). */
const PATTERN = { period: 4, full: "last" } as const;

/** Norms stand after attention and feed forward instead of before. */
const postNormBlock = (config: ConfigReader, queryKeyNorm: QueryKeyNorm, window: Window | undefined): Block =>
  joinParts(
    norms(hiddenSizeOf(config), ["post_attention_norm", "post_ffw_norm"]),
    groupedAttention(config, { queryKeyNorm, shape: windowField(window) }),
    feedForward(config),
  );

function postNorm(modelTypes: string[], architectures: string[], gguf: string, queryKeyNorm: QueryKeyNorm): Family {
  return {
    modelTypes,
    architectures,
    describe: (config) => {
      const windows = layerWindows(config, layerCountOf(config), PATTERN);
      return describeDecoder(config, {
        gguf,
        tiedByDefault: false,
        layer: (index) => postNormBlock(config, queryKeyNorm, windows[index]),
      });
    },
  };
}

export const OLMO_FAMILIES: readonly Family[] = [
  postNorm(["olmo2", "olmo3"], ["Olmo2ForCausalLM", "Olmo3ForCausalLM"], "olmo2", "all-heads"),
  postNorm(["exaone4"], ["Exaone4ForCausalLM"], "exaone4", "head"),
  {
    modelTypes: ["olmoe"],
    architectures: ["OlmoeForCausalLM"],
    describe: (config) => {
      const block = joinParts(
        norms(hiddenSizeOf(config), ["attn_norm", "ffn_norm"]),
        groupedAttention(config, { queryKeyNorm: "all-heads" }),
        routedExperts(config),
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
