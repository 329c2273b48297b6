import type { Architecture } from "./architecture/architecture.js";
import type { WeightsBreakdown } from "./estimate.types.js";
import { onceOnly, oncePerPair } from "./once-for.js";
import { layOutWeights, type WeightLayout } from "./placement/place-weights.js";
import type { QuantScheme, StoredGroup } from "./quantization/scheme.js";
import { storeGroups } from "./quantization/store-tensors.js";
import { summarizeWeights } from "./quantization/summarize-weights.js";
import { groupTensors } from "./tensors/list-tensors.js";
import { membersOf } from "./tensors/tensor.js";

/** What does not change from one estimate of a model in a format to the next. */
export interface PreparedModel {
  layout: WeightLayout;
  /** Summed up when it is first asked for. */
  readonly weights: WeightsBreakdown;
  /** Bytes of a tensor by its GGUF name; 0 where there is none. */
  bytesOf: (name: string) => number;
}

/**
 * Lists a model's tensors and stores them in a format, once per pair of objects: callers that keep the
 * architecture and the scheme get the second answer at no cost.
 */
export const prepareModel: (architecture: Architecture, scheme: QuantScheme) => PreparedModel = oncePerPair(prepare);

/** Catalogues have tens of thousands of such pairs: what is not always asked for is not kept, but stored anew when it is. */
function prepare(architecture: Architecture, scheme: QuantScheme): PreparedModel {
  const store = () => storeGroups(architecture, groupTensors(architecture), scheme);
  const weights = onceOnly(() => summarizeWeights(architecture, store()));
  const bytesByName = onceOnly(() => new Map(store().flatMap(nameBytes)));
  return {
    layout: layOutWeights(architecture, store()),
    get weights() {
      return weights();
    },
    bytesOf: (name) => bytesByName().get(name) ?? 0,
  };
}

function nameBytes({ bytes, ...group }: StoredGroup): [string, number][] {
  return membersOf(group).map(({ name }) => [name, bytes]);
}
