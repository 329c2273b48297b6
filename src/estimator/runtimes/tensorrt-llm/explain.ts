import type { CalculationStep, DeviceMemory, EstimateRequest } from "../../estimate.types.js";
import { countText, sizeText } from "../../size-text.js";
import { cacheGroupSteps, commonSteps, deviceSteps } from "../serving/explain-serving.js";
import type { TensorrtLlmMemory } from "./estimate-tensorrt-llm.js";

const SOURCES = {
  activation: "as for vLLM, with TensorRT-LLM's batch and token limits; few logs to compare with",
  pool: "TensorRT-LLM documentation, memory usage: free_gpu_memory_fraction of what is free after loading",
} as const;

/** The calculation of a TensorRT-LLM estimate, in order, with its figures. */
export function explainTensorrtLlm(
  request: EstimateRequest,
  memory: TensorrtLlmMemory,
  devices: readonly DeviceMemory[],
): CalculationStep[] {
  const steps = [...commonSteps(request.architecture, memory), ...cacheGroupSteps(memory, request)];
  const last = memory.parts.at(-1);
  steps.push({
    title: "Activations and CUDA graphs",
    formula: `up to ${countText(memory.maxNumTokens)} tokens and ${countText(memory.maxBatchSize)} sequences in a step: ${sizeText(last?.activation ?? 0)} + graphs ${sizeText(last?.graphs ?? 0)}`,
    result: sizeText((last?.activation ?? 0) + (last?.graphs ?? 0)),
    source: SOURCES.activation,
  });
  if (memory.pool !== null && memory.freeBytes !== null) {
    steps.push({
      title: "Tokens of the pool",
      formula: `${memory.fraction} x ${sizeText(memory.freeBytes)} free after loading = ${sizeText(memory.pool.bytesPerDevice)}, in blocks of ${memory.pool.blockTokens} tokens`,
      result: `${countText(memory.pool.tokens)} tokens, ${memory.pool.maxConcurrency.toFixed(2)} sequences of ${countText(request.contextTokens)}`,
      source: SOURCES.pool,
    });
  }
  return [...steps, ...deviceSteps(devices)];
}
