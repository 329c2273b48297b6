import type { Device, EstimateRequest, EstimateWarning } from "../../estimate.types.js";
import { EstimateError } from "../../estimate-error.js";
import { explainIllegal, type ParallelPlan, type ServingEngine } from "../../placement/parallel-plans.js";
import { UNLIMITED_DEVICE } from "../memory-layout.js";
import { isCheckpointScheme } from "./sharded-weights.js";

const ENGINE_NAMES: Readonly<Record<ServingEngine, string>> = {
  vllm: "vLLM",
  sglang: "SGLang",
  "tensorrt-llm": "TensorRT-LLM",
};

export const engineName = (engine: ServingEngine): string => ENGINE_NAMES[engine];

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

/** @throws EstimateError for a share outside 0 to 1 and for counts that are no whole number of at least 1. */
export function checkServingSettings(
  shares: Record<string, number | undefined>,
  counts: Record<string, number | undefined>,
): void {
  for (const [name, value] of Object.entries(shares)) {
    if (value !== undefined && !(value > 0 && value <= 1)) {
      throw new EstimateError(`${name} must be above 0 and at most 1, not ${value}.`, ["runtime", name]);
    }
  }
  for (const [name, value] of Object.entries(counts)) {
    if (value !== undefined && (!Number.isSafeInteger(value) || value < 1)) {
      throw new EstimateError(`${name} must be a whole number of at least 1, not ${value}.`, ["runtime", name]);
    }
  }
}

/** What every serving engine has to say of a request. */
export function servingWarnings(
  request: EstimateRequest,
  plan: ParallelPlan,
  ranks: Ranks,
  engine: ServingEngine,
): EstimateWarning[] {
  const warnings: EstimateWarning[] = [];
  const name = engineName(engine);
  if (!isCheckpointScheme(request.scheme)) {
    warnings.push({
      code: "QUANT_FORMAT_NOT_LOADABLE",
      message: `${name} loads checkpoints (BF16, FP8, AWQ, GPTQ, NVFP4 ...), not quantized GGUF files.`,
    });
  }
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
