import type { Architecture } from "../../architecture/architecture.js";
import type { ParallelPlan } from "../../placement/parallel-plans.js";
import {
  type ActivationConstants,
  activationPeak,
  type GraphConstants,
  graphBytes,
  type StepSize,
} from "./activation-peak.js";
import type { Stage } from "./sharded-weights.js";

/** What every device of a pipeline stage takes beside weights whatever the request keeps, bytes. */
export interface StageDemand {
  activation: number;
  graphs: number;
}

/** Of a stage that does not exist. */
export const NO_DEMAND: StageDemand = { activation: 0, graphs: 0 };

/** Activation peak and CUDA graphs by stage: all devices of a stage take the same. */
export function stageDemands(
  architecture: Architecture,
  stages: readonly Stage[],
  plan: ParallelPlan,
  step: StepSize,
  graphSizes: number,
  constants: { activation: ActivationConstants; cudaGraphs: GraphConstants },
): StageDemand[] {
  return stages.map((stage, index) => ({
    activation: activationPeak(architecture, plan, step, constants.activation, index === stages.length - 1).bytes,
    graphs: graphBytes(architecture, stage.layers, graphSizes, constants.cudaGraphs),
  }));
}
