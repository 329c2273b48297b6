import type { Architecture } from "./architecture/architecture.js";
import type { WeightsBreakdown } from "./estimate.types.js";
import { onceOnly, oncePerPair } from "./once-for.js";
import { layOutWeights, type WeightLayout } from "./placement/place-weights.js";
import type { QuantScheme } from "./quantization/scheme.js";
import { storeTensors } from "./quantization/store-tensors.js";
import { summarizeWeights } from "./quantization/summarize-weights.js";
import { listTensors } from "./tensors/list-tensors.js";

/** What does not change from one estimate of a model in a format to the next. */
export interface PreparedModel {
  weights: WeightsBreakdown;
  layout: WeightLayout;
  /** Bytes of a tensor by its GGUF name; 0 where there is none. */
  bytesOf: (name: string) => number;
}

/**
 * Lists a model's tensors and stores them in a format, once per pair of objects: callers that keep the
 * architecture and the scheme get the second answer at no cost.
 */
export const prepareModel: (architecture: Architecture, scheme: QuantScheme) => PreparedModel = oncePerPair(prepare);

function prepare(architecture: Architecture, scheme: QuantScheme): PreparedModel {
  const stored = storeTensors(architecture, listTensors(architecture), scheme);
  const bytesByName = onceOnly(() => new Map(stored.map(({ tensor, bytes }) => [tensor.name, bytes])));
  return {
    weights: summarizeWeights(architecture, stored),
    layout: layOutWeights(architecture, stored),
    bytesOf: (name) => bytesByName().get(name) ?? 0,
  };
}
