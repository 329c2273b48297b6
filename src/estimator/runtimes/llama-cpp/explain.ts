import type { CalculationStep, DeviceMemory, EstimateRequest, KvCacheLayerGroup } from "../../estimate.types.js";
import { HOST } from "../../placement/place-layers.js";
import { countText, sizeText } from "../../size-text.js";
import {
  CACHE_TITLES,
  capacityText,
  listDevices,
  MAX_LISTED_DEVICES,
  parametersStep,
  perCell,
  weightsStep,
} from "../../steps.js";
import type { LlamaCppMemory } from "./estimate-llama-cpp.js";

const SOURCES = {
  cells: "llama.cpp, src/llama-context.cpp and src/llama-kv-cache-iswa.cpp: cells in multiples of 256",
  cache: "llama.cpp, src/llama-kv-cache.cpp: one row of K and of V per cell and layer",
  state: "llama.cpp, src/llama-memory-recurrent.cpp: one F32 state per sequence and layer",
  placement: "llama.cpp, src/llama-model.cpp, load_tensors: layers over devices by cumulative share",
  compute: "ggml, src/ggml-alloc.c and src/ggml-backend.cpp: the graph of one microbatch, allocated node by node",
} as const;

/** The calculation of a llama.cpp estimate, in order, with its figures. */
export function explainLlamaCpp(
  request: EstimateRequest,
  memory: LlamaCppMemory,
  devices: readonly DeviceMemory[],
): CalculationStep[] {
  const { run, model } = memory;
  const steps = [
    parametersStep(model.weights),
    weightsStep(model.weights),
    {
      title: "Cells",
      formula: run.kvUnified
        ? `one buffer: ${countText(request.contextTokens)} tokens x ${run.sequences} sequences, padded to 256`
        : `${run.sequences} streams of ${countText(request.contextTokens)} tokens, each padded to 256`,
      result: `${countText(run.contextCells)} cells`,
      source: SOURCES.cells,
    },
    ...memory.cacheGroups.map((group) => cacheStep(group, request, memory)),
    {
      title: "KV cache in all",
      formula: memory.cacheGroups.map((group) => sizeText(group.bytes)).join(" + ") || "no cache",
      result: `${countText(memory.cacheBytes)} bytes = ${sizeText(memory.cacheBytes)}`,
      source: null,
    },
    placementStep(request, memory, devices),
    {
      title: "Compute buffers",
      formula: [
        `peak of the graph for ${countText(run.tokens)} tokens and ${countText(run.outputRows)} logit rows`,
        run.flashAttention ? "with flash attention" : "without flash attention",
        `mask ${countText(run.tokens)} x cells`,
      ].join(", "),
      result: [
        ...listDevices(devices, (device) => sizeText(device.compute)),
        `host ${sizeText(memory.host.compute)}`,
      ].join("; "),
      source: SOURCES.compute,
    },
  ];
  steps.push(...devices.slice(0, MAX_LISTED_DEVICES).map(deviceSumStep), {
    title: "Host memory",
    formula: `weights ${sizeText(memory.host.weights)} + cache ${sizeText(memory.host.kvCache)} + compute ${sizeText(memory.host.compute)}`,
    result: sizeText(memory.host.weights + memory.host.kvCache + memory.host.compute),
    source: null,
  });
  return steps;
}

function cacheStep(group: KvCacheLayerGroup, request: EstimateRequest, memory: LlamaCppMemory): CalculationStep {
  if (group.kind === "RECURRENT") {
    return {
      title: "Recurrent state",
      formula: `${group.layers} layers x ${request.sequences} sequences x ${countText(perCell(group))} bytes`,
      result: `${countText(group.bytes)} bytes = ${sizeText(group.bytes)}`,
      source: SOURCES.state,
    };
  }
  const { typeK, typeV } = memory.run;
  const types = typeK.slug === typeV.slug ? typeK.slug : `K ${typeK.slug}, V ${typeV.slug}`;
  return {
    title: CACHE_TITLES[group.kind],
    formula: `${group.layers} layers x ${countText(group.cells)} cells x ${countText(perCell(group))} bytes (${types})`,
    result: `${countText(group.bytes)} bytes = ${sizeText(group.bytes)}`,
    source: SOURCES.cache,
  };
}

function placementStep(
  request: EstimateRequest,
  memory: LlamaCppMemory,
  devices: readonly DeviceMemory[],
): CalculationStep {
  const { placement } = memory;
  const blocks = placement.layers.length;
  const onHost = placement.layers.filter((device) => device === HOST).length;
  const parts = listDevices(
    devices,
    (device) =>
      `${device.layers} layers${placement.output === device.index ? " and the output layer" : ""}, ${sizeText(device.weights)}`,
  );
  if (onHost > 0) {
    parts.push(`host ${onHost} layers`);
  }
  if (memory.run.cpuMoeLayers > 0) {
    parts.push(`routed experts of the first ${Math.min(memory.run.cpuMoeLayers, blocks)} layers in host memory`);
  }
  return {
    title: "Placement",
    formula: `${blocks} blocks and the output layer over ${devices.length} devices; input tables (${sizeText(memory.model.layout.input)}) in host memory${
      request.architecture.tiedEmbeddings ? ", the tied embedding a second time beside the output" : ""
    }`,
    result: parts.join("; ") || "all in host memory",
    source: SOURCES.placement,
  };
}

function deviceSumStep(device: DeviceMemory): CalculationStep {
  const parts = [
    `weights ${sizeText(device.weights)}`,
    `cache ${sizeText(device.kvCache)}`,
    `compute ${sizeText(device.compute)}`,
  ];
  return {
    title: `Device ${device.index} (${device.device.name})`,
    formula: parts.join(" + "),
    result: `${sizeText(device.total)}${capacityText(device)}`,
    source: null,
  };
}
