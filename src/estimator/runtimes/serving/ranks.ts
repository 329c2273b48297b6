import type { Device, EstimateRequest, EstimateWarning } from "../../estimate.types.js";
import { EstimateError } from "../../estimate-error.js";
import { explainIllegal, type ParallelPlan, type ServingEngine } from "../../placement/parallel-plans.js";
import { loadWarnings } from "../loadable-formats.js";
import { UNLIMITED_DEVICE } from "../memory-layout.js";

/** Devices of a plan in rank order, stage by stage, and those given beyond them. */
export interface Ranks {
  used: Device[];
  unused: Device[];
}

/**
 * The devices that a plan runs on.
 *
 * @throws EstimateError for a split that the engine refuses, and for fewer devices than it takes.
 */
export function assignRanks(request: EstimateRequest, plan: ParallelPlan, engine: ServingEngine): Ranks {
  const illegal = explainIllegal(request.architecture, request.scheme, plan, engine);
  if (illegal !== null) {
    const areCounts = [plan.tensorParallel, plan.pipelineParallel].every(
      (size) => Number.isSafeInteger(size) && size >= 1,
    );
    throw new EstimateError(illegal.message, illegal.path, areCounts ? "SPLIT_NOT_SUPPORTED" : "INVALID_SETTING");
  }
  const ranks = plan.tensorParallel * plan.pipelineParallel;
  const devices = request.devices;
  if (devices === undefined) {
    return { used: new Array<Device>(ranks).fill(UNLIMITED_DEVICE), unused: [] };
  }
  if (devices.length < ranks) {
    throw new EstimateError(
      `${plan.tensorParallel} x ${plan.pipelineParallel} parallel needs ${ranks} devices; ${devices.length} ${devices.length === 1 ? "is" : "are"} given.`,
      ["runtime", plan.tensorParallel > 1 ? "tensorParallel" : "pipelineParallel"],
    );
  }
  return { used: devices.slice(0, ranks), unused: devices.slice(ranks) };
}

/** What every serving engine has to say of a request. */
export function servingWarnings(
  request: EstimateRequest,
  plan: ParallelPlan,
  ranks: Ranks,
  engine: ServingEngine,
): EstimateWarning[] {
  const warnings = loadWarnings(request.scheme, engine);
  if (ranks.unused.length > 0) {
    warnings.push({
      code: "DEVICES_UNUSED",
      message: `${ranks.unused.length} of ${ranks.used.length + ranks.unused.length} devices stay empty: the model is spread over ${plan.tensorParallel} x ${plan.pipelineParallel}.`,
    });
  }
  const hasExperts = Object.values(request.architecture.blocks).some(({ experts }) => experts !== undefined);
  if (plan.expertParallel && !hasExperts) {
    warnings.push({
      code: "SETTING_IGNORED",
      message: "The model has no experts, so expert parallelism changes nothing.",
    });
  }
  return warnings;
}
