import type { EstimateRequest, EstimateWarning } from "../../estimate.types.js";
import type { MemoryLayout } from "../memory-layout.js";
import { describeServing } from "../serving/serving-memory.js";
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
  return describeServing(
    request,
    memory,
    "vllm",
    (devices) => explainVllm(request, memory, constants, devices),
    () => uncertainties(request, memory),
  );
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
        "The largest image or sound is counted with a flat share; it may take less, and much more where long videos are let in.",
    });
  }
  return warnings;
}
