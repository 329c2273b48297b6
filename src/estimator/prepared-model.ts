import type { Architecture } from "./architecture/architecture.js";
import type { WeightsBreakdown } from "./estimate.types.js";
import { layOutWeights, type WeightLayout } from "./placement/place-weights.js";
import type { QuantScheme } from "./quantization/scheme.js";
import { storeTensors } from "./quantization/store-tensors.js";
import { summarizeWeights } from "./quantization/summarize-weights.js";
import { listTensors } from "./tensors/list-tensors.js";

/** What does not change from one estimate of a model in a format to the next. */
export interface PreparedModel {
  weights: WeightsBreakdown;
  layout: WeightLayout;
  /** Bytes of each tensor by its GGUF name. */
  tensorBytes: ReadonlyMap<string, number>;
}

const prepared = new WeakMap<Architecture, WeakMap<QuantScheme, PreparedModel>>();

/**
 * Lists a model's tensors and stores them in a format, once per pair of objects: callers that keep the
 * architecture and the scheme get the second answer at no cost.
 */
export function prepareModel(architecture: Architecture, scheme: QuantScheme): PreparedModel {
  let byScheme = prepared.get(architecture);
  if (byScheme === undefined) {
    byScheme = new WeakMap();
    prepared.set(architecture, byScheme);
  }
  let model = byScheme.get(scheme);
  if (model === undefined) {
    const stored = storeTensors(architecture, listTensors(architecture), scheme);
    model = {
      weights: summarizeWeights(architecture, stored),
      layout: layOutWeights(architecture, stored),
      tensorBytes: new Map(stored.map(({ tensor, bytes }) => [tensor.name, bytes])),
    };
    byScheme.set(scheme, model);
  }
  return model;
}
