import type { Block } from "../architecture.js";
import {
  type BlockPart,
  feedForward,
  hiddenSizeOf,
  joinParts,
  norms,
  plain,
  routedExperts,
  sharedExperts,
} from "../block-parts.js";
import type { ConfigReader } from "../config-reader.js";
import { describeDecoder, layerCountOf } from "../decoder.js";
import { expertLayers } from "../expert-layers.js";
import type { Family } from "../family.js";
import { MAX_LAYERS } from "../limits.js";
import { latentAttention } from "./deepseek.js";

/*
 * Kimi-Linear and Kimi-K3: Kimi delta attention in most layers, latent attention without rotation in the others.
 * K3 adds residuals from earlier layers (`attn_res_block_size`), output gates, and experts on a narrower width.
 */

/** Numbers of the recurrent layers, which the config counts from 1. */
function recurrentLayers(linear: ConfigReader): Set<number> {
  const numbers = linear.optionalWholes(["kda_layers"], { min: 1, max: MAX_LAYERS });
  if (!numbers) throw linear.invalid("kda_layers", "is missing");
  return new Set(numbers.map((number) => number - 1));
}

/** Weighted residuals of earlier blocks of layers, before attention and before the feed forward. */
const layerResiduals = (hiddenSize: number): BlockPart => ({
  tensors: ["attn_res", "ffn_res"].flatMap((name) => [
    plain(`${name}_norm.weight`, [hiddenSize], "NORM"),
    plain(`${name}_proj.weight`, [hiddenSize], "OTHER"),
  ]),
});

export const KIMI_LINEAR_FAMILIES: readonly Family[] = [
  {
    modelTypes: ["kimi_linear"],
    architectures: ["KimiLinearForCausalLM", "KimiK3ForConditionalGeneration"],
    describe: (config) => {
      const hiddenSize = hiddenSizeOf(config);
      const layers = layerCountOf(config);
      const linear = config.object("linear_attn_config");
      const isRecurrent = recurrentLayers(linear);
      const hasExperts = expertLayers(config, layers);
      const hasResiduals = config.has("attn_res_block_size");
      const latentSize = config.optionalSize("routed_expert_hidden_size");
      const layer = (index: number): Block =>
        joinParts(
          norms(hiddenSize, ["attn_norm", "ffn_norm"]),
          isRecurrent.has(index)
            ? {
                recurrent: {
                  kind: "kimi-delta-attention",
                  heads: linear.size("num_heads"),
                  headDim: linear.size("head_dim"),
                  convKernel: linear.size("short_conv_kernel_size"),
                  ...(linear.flag("use_full_rank_gate", false) ? { fullRankGate: true } : {}),
                },
              }
            : latentAttention(config, config.flag("mla_use_output_gate", false) ? { outputGate: true } : {}),
          hasExperts[index]
            ? routedExperts(config, {
                routerScoreBias: true,
                latentSize,
                ...(latentSize !== undefined && config.flag("latent_moe_use_norm", false) ? { latentNorm: true } : {}),
                shared: sharedExperts(config, "num_shared_experts"),
              })
            : feedForward(config),
          hasResiduals ? layerResiduals(hiddenSize) : {},
        );
      return describeDecoder(config, {
        gguf: hasResiduals ? "kimi-k3" : "kimi-linear",
        tiedByDefault: false,
        layer,
        tensors: hasResiduals
          ? [
              plain("output_res_norm.weight", [hiddenSize], "NORM"),
              plain("output_res_proj.weight", [hiddenSize], "OTHER"),
            ]
          : [],
      });
    },
  },
];
