import { type ConfigReader, toWhole } from "./config-reader.js";
import { MAX_LAYERS } from "./limits.js";

/** Which layers have experts instead of a dense feed forward. */
export type ExpertLayers = boolean[];

/** Names of the number of layers before the first one with experts. */
const LEADING = ["first_k_dense_replace", "first_last_k_dense_replace", "num_dense_layers", "moe_layer_start_index"];

/**
 * Layers with experts by the fields that configs use: a list of kinds (`mlp_layer_types`), a list of flags or a
 * step (`moe_layer_freq`, `is_moe_layer`), a number of leading dense layers (`first_k_dense_replace`), the last layer
 * with experts (`moe_layer_end_index`), dense layers by number (`mlp_only_layers`), and steps counted from the end of
 * the first period (`decoder_sparse_step`, `moe_layer_interval`).
 */
export function expertLayers(config: ConfigReader, layers: number): ExpertLayers {
  const kinds = config.optionalChoicePerLayer(["mlp_layer_types"], layers, ["dense", "sparse", "moe", "hash_moe"]);
  if (kinds) return kinds.map((kind) => kind !== "dense");
  for (const list of ["moe_layer_freq", "is_moe_layer"]) {
    if (!Array.isArray(config.raw(list))) continue;
    const flags = config.optionalPerLayer([list], layers, (value, path) =>
      typeof value === "boolean" ? value : toWhole(value, path, 0, 1) === 1,
    );
    return flags ?? [];
  }
  const leading = config.optionalCount(...LEADING) ?? 0;
  if (leading > layers) {
    throw config.invalid(LEADING, `is ${leading}, but the model has ${layers} layers`);
  }
  const last = lastExpertLayer(config) ?? layers;
  const step = config.optionalWhole(["moe_layer_freq"], { min: 1, max: MAX_LAYERS }) ?? 1;
  const sparseStep =
    config.optionalWhole(["decoder_sparse_step", "moe_layer_interval"], { min: 1, max: MAX_LAYERS }) ?? 1;
  const dense = new Set(config.optionalWholes(["mlp_only_layers"]) ?? []);
  return Array.from(
    { length: layers },
    (_, index) =>
      index >= leading && index <= last && index % step === 0 && (index + 1) % sparseStep === 0 && !dense.has(index),
  );
}

/** ERNIE 4.5's last layer with experts, where -1 is the last of all. */
function lastExpertLayer(config: ConfigReader): number | undefined {
  return config.raw("moe_layer_end_index") === -1 ? undefined : config.optionalCount("moe_layer_end_index");
}
