import type { Block } from "../architecture.js";
import { feedForward, hiddenSizeOf, joinParts, norms, plain, routedExperts } from "../block-parts.js";
import type { ConfigReader } from "../config-reader.js";
import { describeDecoder, predictionCountOf, vocabularySizeOf } from "../decoder.js";
import type { Family } from "../family.js";
import { MAX_EXPERTS, MAX_LAYERS } from "../limits.js";
import { predictionBlock, repeatBlock } from "../prediction.js";
import { latentAttention } from "./deepseek.js";

/*
 * LongCat-Flash: a layer is two of attention and dense feed forward each, with one set of experts beside the first.
 * Its prediction block has an embedding of its own.
 */

/** Attention blocks of one layer; each has a cache of its own, and counts as a layer in the description. */
const BLOCKS_PER_LAYER = 2;

/** LongCat's own count of layers; transformers states the doubled one under another name beside it. */
const doubleLayers = (config: ConfigReader): number =>
  BLOCKS_PER_LAYER * config.whole(["num_layers", "num_hidden_layers"], { min: 1, max: MAX_LAYERS / BLOCKS_PER_LAYER });

/** Experts that pass a token on unchanged: rows of the router and its score bias, no weights. */
function zeroExperts(config: ConfigReader, hiddenSize: number): Partial<Block> {
  const count = config.optionalWhole(["zero_expert_num"], { max: MAX_EXPERTS }) ?? 0;
  if (count === 0) return {};
  return {
    tensors: [
      plain("ffn_gate_inp_zero.weight", [hiddenSize, count], "ROUTER"),
      plain("exp_probs_b_zero.bias", [count], "ROUTER"),
    ],
  };
}

export const LONGCAT_FAMILIES: readonly Family[] = [
  {
    modelTypes: ["longcat_flash"],
    architectures: ["LongcatFlashForCausalLM", "LongcatCausalLM"],
    assumed: { kv_lora_rank: 512, qk_nope_head_dim: 128, qk_rope_head_dim: 64, v_head_dim: 128 },
    describe: (config) => {
      const hiddenSize = hiddenSizeOf(config);
      const dense = joinParts(
        norms(hiddenSize, ["attn_norm", "ffn_norm"]),
        latentAttention(config),
        feedForward(config, { size: config.size("ffn_hidden_size", "intermediate_size") }),
      );
      const mixture = joinParts(
        dense,
        routedExperts(config, {
          size: config.size("expert_ffn_hidden_size", "moe_intermediate_size"),
          routerScoreBias: true,
        }),
        zeroExperts(config, hiddenSize),
      );
      // Published with one block, which its config does not count.
      const counted = ["num_nextn_predict_layers"];
      const predicted = config.has(...counted) ? predictionCountOf(config, ...counted) : 1;
      return describeDecoder(config, {
        gguf: null,
        tiedByDefault: false,
        layers: doubleLayers(config),
        layer: (index) => (index % BLOCKS_PER_LAYER === 0 ? mixture : dense),
        prediction: {
          blocks: repeatBlock(
            () =>
              joinParts(predictionBlock(dense, hiddenSize), {
                tensors: [
                  plain("nextn.embed_tokens.weight", [hiddenSize, vocabularySizeOf(config)], "NEXT_TOKEN_PREDICTION"),
                ],
              }),
            predicted,
          ),
          inGguf: false,
          loadedByLlamaCpp: false,
          cachedByLlamaCpp: false,
        },
      });
    },
  },
];
