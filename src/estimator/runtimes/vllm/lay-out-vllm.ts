import type { EstimateRequest, EstimateWarning } from "../../estimate.types.js";
import type { MemoryLayout } from "../memory-layout.js";
import { servingWarnings } from "../serving/ranks.js";
import { describeDevices, sumOf } from "../serving/serving-memory.js";
import { estimateVllm, type VllmMemory } from "./estimate-vllm.js";
import { explainVllm } from "./explain.js";
import type { VllmConstants, VllmSettings } from "./vllm.types.js";

/**
 * A model laid out by vLLM over `tensorParallel` x `pipelineParallel` devices.
 *
 * @throws EstimateError for settings that the engine refuses.
 */
export function layOutVllm(request: EstimateRequest, settings: VllmSettings, constants: VllmConstants): MemoryLayout {
  const memory = estimateVllm(request, settings, constants);
  const devices = describeDevices(memory);
  return {
    weights: memory.weights,
    cacheBytes: sumOf(devices, (device) => device.kvCache),
    cacheBytesPerToken: memory.cacheBytesPerToken,
    cacheGroups: memory.cacheGroups,
    devices,
    host: { weights: 0, kvCache: 0, compute: 0 },
    pool: memory.pool,
    steps: () => explainVllm(request, memory, constants, devices),
    warnings: () => [...servingWarnings(request, memory.plan, memory.ranks, "vllm"), ...uncertainties(request, memory)],
  };
}

function uncertainties({ architecture }: EstimateRequest, { blocks }: VllmMemory): EstimateWarning[] {
  const warnings: EstimateWarning[] = [];
  if (!blocks.isCertain) {
    warnings.push({
      code: "RULE_UNCERTAIN",
      message:
        "The model mixes caches whose pages do not divide each other; how vLLM pads them is known from few logs (within a tenth).",
    });
  }
  if (architecture.encoders !== undefined) {
    warnings.push({
      code: "RULE_UNCERTAIN",
      message:
        "The vision or audio tower is counted whole on every device of the first stage, and a flat share for the largest input; both may be less.",
    });
  }
  return warnings;
}
