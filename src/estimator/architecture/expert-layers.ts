import { type ConfigReader, toWhole } from "./config-reader.js";
import { MAX_LAYERS } from "./limits.js";

/** Which layers have experts instead of a dense feed forward. */
export type ExpertLayers = boolean[];

/** Names of the number of layers before the first one with experts. */
const LEADING = ["first_k_dense_replace", "num_dense_layers", "moe_layer_start_index"];

/**
 * Layers with experts by the fields that configs use: a list of kinds (`mlp_layer_types`), a list of 0 and 1 or a
 * step (`moe_layer_freq`), a number of leading dense layers (`first_k_dense_replace`), dense layers by number
 * (`mlp_only_layers`), and a step counted from the end of the first period (`decoder_sparse_step`).
 */
export function expertLayers(config: ConfigReader, layers: number): ExpertLayers {
  const kinds = config.optionalChoicePerLayer(["mlp_layer_types"], layers, ["dense", "sparse", "moe"]);
  if (kinds) return kinds.map((kind) => kind !== "dense");
  if (Array.isArray(config.raw("moe_layer_freq"))) {
    const flags = config.optionalPerLayer(["moe_layer_freq"], layers, (value, path) => toWhole(value, path, 0, 1));
    return flags?.map((flag) => flag === 1) ?? [];
  }
  const leading = config.optionalCount(...LEADING) ?? 0;
  if (leading > layers) {
    throw config.invalid(LEADING, `is ${leading}, but the model has ${layers} layers`);
  }
  const step = config.optionalWhole(["moe_layer_freq", "moe_layer_interval"], { min: 1, max: MAX_LAYERS }) ?? 1;
  const sparseStep = config.optionalWhole(["decoder_sparse_step"], { min: 1, max: MAX_LAYERS }) ?? 1;
  const dense = new Set(config.optionalWholes(["mlp_only_layers"]) ?? []);
  return Array.from(
    { length: layers },
    (_, index) => index >= leading && index % step === 0 && (index + 1) % sparseStep === 0 && !dense.has(index),
  );
}
