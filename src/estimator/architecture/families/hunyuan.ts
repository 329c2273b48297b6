import type { Block } from "../architecture.js";
import {
  assertDense,
  attentionBiases,
  feedForward,
  groupedAttention,
  headsOf,
  hiddenSizeOf,
  intermediateSizeOf,
  joinParts,
  norms,
  routedExperts,
  sharedExperts,
} from "../block-parts.js";
import type { ConfigReader } from "../config-reader.js";
import { describeDecoder, layerCountOf, predictionCountOf } from "../decoder.js";
import { expertLayers } from "../expert-layers.js";
import type { Family } from "../family.js";
import { predictionBlock, repeatBlock } from "../prediction.js";

/* Hunyuan: dense, a mixture that may share keys and values between layers, and its third generation, Hy3. */

const DENSE: Family = {
  modelTypes: ["hunyuan_v1_dense", "hunyuan_vl", "hunyuan_vl_text"],
  architectures: ["HunYuanDenseV1ForCausalLM", "HunYuanVLForConditionalGeneration"],
  describe: (config) => {
    assertDense(config);
    const isVision = config.optionalText("model_type")?.startsWith("hunyuan_vl") === true;
    const block = joinParts(
      norms(hiddenSizeOf(config), ["attn_norm", "ffn_norm"]),
      groupedAttention(config, { queryKeyNorm: "head", biases: attentionBiases(config, "qkvo") }),
      feedForward(config),
    );
    return describeDecoder(config, {
      gguf: isVision ? "hunyuan_vl" : "hunyuan-dense",
      tiedByDefault: false,
      layer: () => block,
    });
  },
};

/** Numbers that Hunyuan's configs state once for all layers or, being the same, layer by layer. */
const PER_LAYER = ["moe_topk", "num_shared_expert", "moe_intermediate_size"];

function onceForAll(config: ConfigReader): ConfigReader {
  const layers = layerCountOf(config);
  const stated = PER_LAYER.flatMap((name) => {
    if (!Array.isArray(config.raw(name))) return [];
    const values = config.optionalWholePerLayer([name], layers) ?? [];
    if (new Set(values).size > 1) throw config.invalid(name, "differs between layers, which is not described");
    return [[name, values[0]] as const];
  });
  return stated.length === 0 ? config : config.withOverrides(Object.fromEntries(stated));
}

/**
 * Layers that share one layer's keys and values (cross-layer attention, `cla_share_factor`): the first of so many
 * owns them.
 */
const sharingFactor = (config: ConfigReader): number =>
  config.flag("use_cla", false) ? (config.optionalSize("cla_share_factor") ?? 1) : 1;

const MIXTURE: Family = {
  modelTypes: ["hunyuan_v1_moe", "hunyuan"],
  architectures: ["HunYuanMoEV1ForCausalLM", "HunYuanForCausalLM"],
  describe: (stated) => {
    const config = onceForAll(stated);
    const hasExperts = expertLayers(config, layerCountOf(config));
    const factor = sharingFactor(config);
    // The first release divides the width by the heads, whatever its config gives as their width.
    const width = factor > 1 ? Math.floor(hiddenSizeOf(config) / headsOf(config)) : undefined;
    const size = config.optionalSize("moe_intermediate_size") ?? intermediateSizeOf(config);
    const shared = config.optionalCount("num_shared_expert") ?? 0;
    const block = (isMixture: boolean, owns: boolean): Block =>
      joinParts(
        norms(hiddenSizeOf(config), ["attn_norm", "ffn_norm"]),
        groupedAttention(config, {
          queryKeyNorm: config.flag("use_qk_norm", true) ? "head" : undefined,
          shape: {
            ...(width === undefined ? {} : { keyDim: width, valueDim: width }),
            ...(owns ? {} : { sharesCache: true, ownsNoKeys: true }),
          },
        }),
        isMixture
          ? routedExperts(config, { size, shared: shared > 0 ? { size: shared * size, gated: true } : undefined })
          : feedForward(config),
      );
    return describeDecoder(config, {
      gguf: factor > 1 ? null : "hunyuan-moe",
      tiedByDefault: false,
      layer: (index) => block(hasExperts[index] ?? false, index % factor === 0),
    });
  },
};

/** Hy3: a leading dense layer, then experts chosen with a score bias, and a prediction block with experts. */
const HY3: Family = {
  modelTypes: ["hy_v3"],
  architectures: ["HYV3ForCausalLM", "HyV3ForCausalLM"],
  assumed: { first_k_dense_replace: 1, head_dim: 128 },
  describe: (config) => {
    const hiddenSize = hiddenSizeOf(config);
    const hasExperts = expertLayers(config, layerCountOf(config));
    const block = (isMixture: boolean): Block =>
      joinParts(
        norms(hiddenSize, ["attn_norm", "ffn_norm"]),
        groupedAttention(config, { queryKeyNorm: "head", biases: attentionBiases(config, "qkvo") }),
        isMixture
          ? routedExperts(config, { routerScoreBias: true, shared: sharedExperts(config, "num_shared_experts") })
          : feedForward(config),
      );
    return describeDecoder(config, {
      gguf: "hy_v3",
      tiedByDefault: false,
      layer: (index) => block(hasExperts[index] ?? false),
      prediction: {
        blocks: repeatBlock(
          () => predictionBlock(block(true), hiddenSize),
          predictionCountOf(config, "num_nextn_predict_layers"),
        ),
        inGguf: true,
        loadedByLlamaCpp: true,
        cachedByLlamaCpp: false,
      },
    });
  },
};

export const HUNYUAN_FAMILIES: readonly Family[] = [DENSE, MIXTURE, HY3];
