import type { Architecture, TensorRole } from "../architecture/architecture.js";
import { onceFor } from "../once-for.js";
import { groupPredictionTensors, groupTensors } from "./list-tensors.js";
import { countMembers, type TensorGroup } from "./tensor.js";

export interface ParameterCount {
  /** All parameters of the model, prediction blocks (MTP) and encoders not counted. */
  total: number;
  /** Parameters that one token passes through: all but the routed experts it is not sent to. */
  active: number;
  byRole: Partial<Record<TensorRole, number>>;
  /** Parameters of the prediction blocks (MTP), whether or not a GGUF file keeps them. */
  nextTokenPrediction: number;
  /** Parameters of the towers stored beside the text model. */
  encoders: number;
}

/**
 * Counts a model's parameters as publishers do: constants that a converter adds (rope factors) and integer
 * tables are not parameters, and prediction blocks and towers are counted apart. Counted once per architecture.
 */
export const countParameters: (architecture: Architecture) => ParameterCount = onceFor(count);

function count(architecture: Architecture): ParameterCount {
  const parameters = groupTensors(architecture).filter(
    (group) => isCounted(group) && (group.first.layer ?? -1) < architecture.layers.length,
  );
  const byRole: Partial<Record<TensorRole, number>> = {};
  for (const group of parameters) byRole[group.first.role] = (byRole[group.first.role] ?? 0) + elementsOf(group);
  const leftOut = architecture.tensors.filter((tensor) => tensor.isLeftOutOfGguf);
  for (const { role, shape } of leftOut) byRole[role] = (byRole[role] ?? 0) + countElements(shape);
  const total = Object.values(byRole).reduce((sum, count) => sum + count, 0);
  return {
    total,
    active: total - idleExpertParameters(architecture, parameters),
    byRole,
    nextTokenPrediction: sumElements(groupPredictionTensors(architecture).filter(isCounted)),
    encoders: (architecture.encoders ?? []).reduce((sum, encoder) => sum + encoder.parameters, 0),
  };
}

/** Parameters of the routed experts that a token is not sent to: `1 - used / count` of each layer's experts. */
function idleExpertParameters(architecture: Architecture, parameters: readonly TensorGroup[]): number {
  return parameters.reduce((sum, group) => {
    const { role, layer } = group.first;
    if (role !== "EXPERTS" || layer === null) return sum;
    const experts = architecture.blocks[architecture.layers[layer] ?? ""]?.experts;
    return experts ? sum + (elementsOf(group) / experts.count) * (experts.count - experts.used) : sum;
  }, 0);
}

function isCounted({ first }: TensorGroup): boolean {
  return first.isParameter && !first.isInteger;
}

const elementsOf = (group: TensorGroup): number => countMembers(group) * group.first.elements;

const countElements = (shape: readonly number[]): number => shape.reduce((product, width) => product * width, 1);

function sumElements(groups: readonly TensorGroup[]): number {
  return groups.reduce((sum, group) => sum + elementsOf(group), 0);
}
