import type { Block, Recurrent } from "../architecture.js";
import {
  type BlockPart,
  feedForward,
  headsOf,
  hiddenSizeOf,
  joinParts,
  norms,
  plain,
  readHeads,
  routedExperts,
} from "../block-parts.js";
import type { ConfigReader } from "../config-reader.js";
import { describeDecoder, layerCountOf, predictionCountOf } from "../decoder.js";
import { expertLayers } from "../expert-layers.js";
import type { Family } from "../family.js";
import { predictionBlock, repeatBlock } from "../prediction.js";
import { latentAttention } from "./deepseek.js";

/*
 * Ling and Ring 2.5 and 3: latent attention in the last layer of every group, and in what is left over after the
 * last whole group; linear attention elsewhere (lightning attention in 2.5, Kimi delta attention in 3).
 */

const isLatentLayer = (index: number, layers: number, group: number): boolean =>
  (index + 1) % group === 0 || index >= Math.floor(layers / group) * group;

/** The third generation is told by its short convolutions. */
const isThird = (config: ConfigReader): boolean => config.has("short_conv_kernel_size");

function linearAttention(config: ConfigReader): BlockPart {
  const { heads, keyDim } = readHeads(config);
  if (!isThird(config)) {
    const norm = config.flag("use_qk_norm", true)
      ? ["attn_q_norm.weight", "attn_k_norm.weight"].map((name) => plain(name, [keyDim], "NORM"))
      : [];
    return { recurrent: { kind: "lightning", heads, headDim: keyDim }, tensors: norm };
  }
  const fullRank = config.flag("no_kda_lora", true);
  const recurrent: Recurrent = {
    kind: "kimi-delta-attention",
    heads,
    headDim: keyDim,
    convKernel: config.size("short_conv_kernel_size"),
    ...(fullRank ? { fullRankGate: true, fullRankDecay: true } : {}),
  };
  return { recurrent };
}

/** One gate value per head on the latent attention's result (Ling 3). */
const headGate = (config: ConfigReader, hiddenSize: number): BlockPart =>
  config.optionalText("gated_attention_proj_granularity_type") === "head_wise"
    ? { tensors: [plain("attn_gate.weight", [hiddenSize, headsOf(config)], "ATTENTION")] }
    : {};

/** Experts of the same width as the routed ones, or of a width of their own. */
function shared(config: ConfigReader): { size: number; gated: true } | undefined {
  const count = config.optionalCount("num_shared_experts") ?? 0;
  const size = config.optionalSize("moe_shared_expert_intermediate_size") ?? config.size("moe_intermediate_size");
  return count > 0 ? { size: count * size, gated: true } : undefined;
}

export const BAILING_HYBRID_FAMILIES: readonly Family[] = [
  {
    modelTypes: ["bailing_hybrid"],
    architectures: ["BailingMoeV2_5ForCausalLM", "BailingMoeV3ForCausalLM"],
    assumed: { head_dim: 128, kv_lora_rank: 512, qk_nope_head_dim: 128, qk_rope_head_dim: 64, v_head_dim: 128 },
    describe: (config) => {
      const hiddenSize = hiddenSizeOf(config);
      const layers = layerCountOf(config);
      const group = config.size("layer_group_size");
      const hasExperts = expertLayers(config, layers);
      const block = (isLatent: boolean, isMixture: boolean): Block =>
        joinParts(
          norms(hiddenSize, ["attn_norm", "ffn_norm"]),
          isLatent ? joinParts(latentAttention(config), headGate(config, hiddenSize)) : linearAttention(config),
          isMixture
            ? routedExperts(config, {
                routerScoreBias: config.flag("moe_router_enable_expert_bias", true),
                shared: shared(config),
              })
            : feedForward(config),
        );
      return describeDecoder(config, {
        gguf: null,
        tiedByDefault: false,
        layer: (index) => block(isLatentLayer(index, layers, group), hasExperts[index] ?? false),
        prediction: {
          blocks: repeatBlock(
            () => predictionBlock(block(true, true), hiddenSize),
            predictionCountOf(config, "num_nextn_predict_layers"),
          ),
          inGguf: false,
          loadedByLlamaCpp: false,
          cachedByLlamaCpp: false,
        },
      });
    },
  },
];
