import type { Block, Window } from "../architecture.js";
import {
  feedForward,
  groupedAttention,
  hiddenSizeOf,
  joinParts,
  norms,
  routedExperts,
  sharedExperts,
} from "../block-parts.js";
import { describeDecoder, layerCountOf } from "../decoder.js";
import { expertLayers } from "../expert-layers.js";
import type { Family } from "../family.js";
import { layerWindows, windowField } from "../windows.js";

/** Layers per full layer where the config does not say. */
const FULL_EVERY = 4;

/** AFMoE (Trinity): gated attention and experts, each between two norms; full layers are not rotated. */
export const AFMOE_FAMILIES: readonly Family[] = [
  {
    modelTypes: ["afmoe"],
    architectures: ["AfmoeForCausalLM"],
    assumed: { head_dim: 128 },
    describe: (config) => {
      const layers = layerCountOf(config);
      const period = config.optionalSize("global_attn_every_n_layers") ?? FULL_EVERY;
      const windows = layerWindows(config, layers, { period, full: "last" });
      const hasExperts = expertLayers(config, layers);
      const block = (window: Window | undefined, isMixture: boolean): Block =>
        joinParts(
          norms(hiddenSizeOf(config), ["attn_norm", "post_attention_norm", "ffn_norm", "post_ffw_norm"]),
          groupedAttention(config, {
            queryKeyNorm: "head",
            shape: { outputGate: true, ...windowField(window), ...(window ? {} : { noRope: true }) },
          }),
          isMixture
            ? routedExperts(config, { routerScoreBias: true, shared: sharedExperts(config, "num_shared_experts") })
            : feedForward(config),
        );
      return describeDecoder(config, {
        gguf: "afmoe",
        tiedByDefault: false,
        layer: (index) => block(windows[index], hasExperts[index] ?? false),
      });
    },
  },
];
