import type { CalculationStep, DeviceMemory, EstimateRequest } from "../../estimate.types.js";
import { countText, sizeText } from "../../size-text.js";
import { cacheGroupSteps, commonSteps, deviceSteps } from "../serving/explain-serving.js";
import type { SglangMemory } from "./estimate-sglang.js";
import type { SglangConstants } from "./sglang.types.js";

const SOURCES = {
  fraction: "SGLang, srt/server_args.py: memory kept free by chunk size, graph batch and number of GPUs",
  pool: "SGLang, srt/model_executor/pool_configurator.py",
  activation: "as for vLLM, with SGLang's chunk and graph sizes: not measured on SGLang",
} as const;

/** The calculation of an SGLang estimate, in order, with its figures. */
export function explainSglang(
  request: EstimateRequest,
  memory: SglangMemory,
  constants: SglangConstants,
  devices: readonly DeviceMemory[],
): CalculationStep[] {
  const steps = [...commonSteps(request.architecture, memory), ...cacheGroupSteps(memory, request)];
  const [first] = memory.parts;
  steps.push({
    title: "Static memory fraction",
    formula:
      memory.reservedMib === null || constants.memFractionByTensorParallel.length > 0
        ? memory.reservedMib === null
          ? "as given"
          : "by the number of tensor-parallel devices"
        : `1 - reserve / memory, reserve = ${constants.reservedBaseMib} + ${constants.reservedMibPerChunkToken} x ${countText(memory.chunkTokens)} chunk tokens + ${constants.reservedMibPerGraphSequence} x ${countText(memory.graphSequences)} graph sequences + ${constants.reservedMibPerEightGpus} x GPUs / 8 = ${countText(memory.reservedMib)} MiB`,
    result: memory.fraction.toFixed(3),
    source: SOURCES.fraction,
  });
  steps.push({
    title: "Activations and CUDA graphs",
    formula: `activation peak ${sizeText(first?.activation ?? 0)} + graphs ${sizeText(first?.graphs ?? 0)}, in the part kept free`,
    result: sizeText((first?.activation ?? 0) + (first?.graphs ?? 0)),
    source: SOURCES.activation,
  });
  if (memory.pool !== null) {
    steps.push({
      title: "Tokens of the pool",
      formula: `${memory.fraction.toFixed(3)} x memory free at the start - weights = ${sizeText(memory.pool.bytesPerDevice)}; ${countText(memory.rates.full + memory.rates.windowed * constants.slidingWindowRatio)} bytes a token${memory.rates.state > 0 ? `, states of ${sizeText(memory.rates.state)} a sequence in a pool of their own` : ""}`,
      result: `${countText(memory.pool.tokens)} tokens, ${memory.pool.maxConcurrency.toFixed(2)} sequences of ${countText(request.contextTokens)}`,
      source: SOURCES.pool,
    });
  }
  return [...steps, ...deviceSteps(devices)];
}
