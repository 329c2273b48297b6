import type { EstimateRequest, EstimateWarning } from "../../estimate.types.js";
import type { MemoryLayout } from "../memory-layout.js";
import { servingWarnings } from "../serving/ranks.js";
import { describeDevices, sumOf } from "../serving/serving-memory.js";
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
  const devices = describeDevices(memory);
  return {
    weights: memory.weights,
    cacheBytes: sumOf(devices, (device) => device.kvCache),
    cacheBytesPerToken: memory.cacheBytesPerToken,
    cacheGroups: memory.cacheGroups,
    devices,
    host: { weights: 0, kvCache: 0, compute: 0 },
    pool: memory.pool,
    steps: () => explainTensorrtLlm(request, memory, devices),
    warnings: () => [...servingWarnings(request, memory.plan, memory.ranks, "tensorrt-llm"), FEW_LOGS],
  };
}
