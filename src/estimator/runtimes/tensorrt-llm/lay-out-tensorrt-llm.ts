import type { EstimateRequest, EstimateWarning } from "../../estimate.types.js";
import type { MemoryLayout } from "../memory-layout.js";
import { describeServing } from "../serving/serving-memory.js";
import { estimateTensorrtLlm } from "./estimate-tensorrt-llm.js";
import { explainTensorrtLlm } from "./explain.js";
import type { TensorrtLlmConstants, TensorrtLlmSettings } from "./tensorrt-llm.types.js";

/** What this engine's figures rest on. */
const FEW_LOGS: EstimateWarning = {
  code: "RULE_UNCERTAIN",
  message: "Activations and communication buffers of TensorRT-LLM are known from few logs; they are taken large.",
};

/**
 * A model laid out by TensorRT-LLM over `tensorParallel` x `pipelineParallel` devices.
 *
 * @throws EstimateError for settings that the engine refuses.
 */
export function layOutTensorrtLlm(
  request: EstimateRequest,
  settings: TensorrtLlmSettings,
  constants: TensorrtLlmConstants,
): MemoryLayout {
  const memory = estimateTensorrtLlm(request, settings, constants);
  return describeServing(
    request,
    memory,
    "tensorrt-llm",
    (devices) => explainTensorrtLlm(request, memory, devices),
    () => [FEW_LOGS],
  );
}
