import type { Architecture } from "../../architecture/architecture.js";
import type { CalculationStep, DeviceMemory, EstimateRequest } from "../../estimate.types.js";
import { countText, sizeText } from "../../size-text.js";
import { CACHE_TITLES, capacityText, MAX_LISTED_DEVICES, parametersStep, perCell, weightsStep } from "../../steps.js";
import type { ServingMemory } from "./serving-memory.js";

const SOURCES = {
  checkpoint: "safetensors checkpoints: scales beside the weights, as the format's own documentation has them",
  split: "vLLM, model_executor/layers/linear.py and vocab_parallel_embedding.py; SGLang and TensorRT-LLM split alike",
  allocator: "pytorch, c10/cuda/CUDACachingAllocator.cpp",
  cache: "vLLM, v1/kv_cache_interface.py; SGLang, model_executor/pool_configurator.py: bytes of a token and layer",
} as const;

/** Parameters, weights, and how they are spread. */
export function commonSteps(architecture: Architecture, memory: ServingMemory): CalculationStep[] {
  const { plan, stages, weights } = memory;
  const layers = stages.map((stage) => stage.layers).join(" + ");
  const experts = plan.expertParallel ? "; experts whole, dealt to the devices" : "";
  return [
    parametersStep(weights),
    { ...weightsStep(weights), source: SOURCES.checkpoint },
    {
      title: "Split over devices",
      formula: `${plan.tensorParallel} tensor parallel x ${plan.pipelineParallel} pipeline stages (${layers} layers); heads, widths and vocabulary divided by ${plan.tensorParallel}${experts}; norms, routers and low-rank projections whole on each; KV heads at least one; prediction blocks not loaded`,
      result: stages
        .slice(0, MAX_LISTED_DEVICES)
        .map((stage, index) => `stage ${index}: ${sizeText(stage.bytes)} a device`)
        .join("; "),
      source: `${SOURCES.split}; sizes as counted by ${SOURCES.allocator}`,
    },
    ...keyValueHeadStep(architecture, plan.tensorParallel),
  ];
}

function keyValueHeadStep(architecture: Architecture, devices: number): CalculationStep[] {
  const block = architecture.layers.map((name) => architecture.blocks[name]).find((entry) => entry?.attention);
  const attention = block?.attention;
  if (attention === undefined || devices === 1) {
    return [];
  }
  if (attention.kind !== "grouped") {
    return [
      {
        title: "Cache over tensor-parallel devices",
        formula: "one latent serves all heads",
        result: `each of ${devices} devices keeps the whole cache`,
        source: SOURCES.cache,
      },
    ];
  }
  const heads = Math.max(1, Math.floor(attention.kvHeads / devices));
  return [
    {
      title: "Cache over tensor-parallel devices",
      formula: `max(1, ${attention.kvHeads} KV heads / ${devices} devices)`,
      result: `${heads} KV head${heads === 1 ? "" : "s"} on each device`,
      source: SOURCES.cache,
    },
  ];
}

/** One step per kind of cache, all devices together, and their sum. */
export function cacheGroupSteps(memory: ServingMemory, request: EstimateRequest): CalculationStep[] {
  const steps = memory.cacheGroups.map(
    (group): CalculationStep => ({
      title: CACHE_TITLES[group.kind],
      formula: `${group.layers} layers x ${countText(group.cells)} ${group.kind === "RECURRENT" ? "states" : "entries"} x ${countText(perCell(group))} bytes over all devices`,
      result: `${countText(group.bytes)} bytes = ${sizeText(group.bytes)}`,
      source: SOURCES.cache,
    }),
  );
  const bytes = memory.cacheGroups.reduce((sum, group) => sum + group.bytes, 0);
  return [
    ...steps,
    {
      title: "KV cache in all",
      formula: `${countText(request.sequences)} sequences of ${countText(request.contextTokens)} tokens, in whole blocks, copies counted as often as they are stored`,
      result: `${countText(bytes)} bytes = ${sizeText(bytes)}`,
      source: null,
    },
  ];
}

/** What each device comes to. */
export function deviceSteps(devices: readonly DeviceMemory[]): CalculationStep[] {
  return devices.slice(0, MAX_LISTED_DEVICES).map((device) => ({
    title: `Device ${device.index} (${device.device.name})`,
    formula: [
      `weights ${sizeText(device.weights)}`,
      `cache ${sizeText(device.kvCache)}`,
      `activations and graphs ${sizeText(device.compute)}`,
      `context and communication ${sizeText(device.overhead)}`,
    ].join(" + "),
    result: `${sizeText(device.total)}${capacityText(device)}${limitText(device)}`,
    source: null,
  }));
}

function limitText({ limitBytes }: DeviceMemory): string {
  return limitBytes === undefined || limitBytes === null
    ? ""
    : `; at most ${sizeText(limitBytes)} with the budget kept`;
}
