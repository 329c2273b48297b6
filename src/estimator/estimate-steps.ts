import type {
  CalculationStep,
  DeviceMemory,
  EstimateRequest,
  KvCacheLayerGroup,
  WeightsBreakdown,
} from "./estimate.types.js";
import { HOST } from "./placement/place-layers.js";
import type { LlamaCppMemory } from "./runtimes/llama-cpp/estimate-llama-cpp.js";
import type { RuleOfThumbMemory } from "./runtimes/rule-of-thumb.js";
import { countText, sizeText } from "./size-text.js";

const SOURCES = {
  tensors: "llama.cpp, gguf-py/gguf/constants.py and convert_hf_to_gguf.py: the tensors of each architecture",
  types: "llama.cpp, src/llama-quant.cpp: the type of each tensor by file type",
  cells: "llama.cpp, src/llama-context.cpp and src/llama-kv-cache-iswa.cpp: cells in multiples of 256",
  cache: "llama.cpp, src/llama-kv-cache.cpp: one row of K and of V per cell and layer",
  state: "llama.cpp, src/llama-memory-recurrent.cpp: one F32 state per sequence and layer",
  placement: "llama.cpp, src/llama-model.cpp, load_tensors: layers over devices by cumulative share",
  compute: "ggml, src/ggml-alloc.c and src/ggml-backend.cpp: the graph of one microbatch, allocated node by node",
} as const;

/** Devices written out one by one before the list is cut. */
const MAX_LISTED_DEVICES = 8;

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

/** The calculation of the rule of thumb. */
export function explainRuleOfThumb(
  request: EstimateRequest,
  memory: RuleOfThumbMemory,
  overhead: number,
): CalculationStep[] {
  const weights = memory.model.weights.bytes;
  return [
    parametersStep(memory.model.weights),
    weightsStep(memory.model.weights),
    {
      title: "KV cache",
      formula: `${countText(request.contextTokens)} tokens x ${request.sequences} sequences x ${memory.cacheBytesPerToken.toFixed(0)} bytes per token, windows and state apart`,
      result: `${countText(memory.cacheBytes)} bytes = ${sizeText(memory.cacheBytes)}`,
      source: SOURCES.cache,
    },
    {
      title: "Total",
      formula: `(1 + ${overhead}) x (${sizeText(weights)} + ${sizeText(memory.cacheBytes)})`,
      result: sizeText(weights + memory.cacheBytes + memory.overheadBytes),
      source: "A flat share on top, as most calculators do; for comparison only",
    },
  ];
}

function parametersStep(weights: WeightsBreakdown): CalculationStep {
  const roles = weights.byRole.filter((share) => share.parameters > 0);
  return {
    title: "Parameters",
    formula: roles.map((share) => `${share.role} ${countText(share.parameters)}`).join(" + "),
    result: `${countText(weights.parameters)} parameters, ${countText(weights.activeParameters)} active per token`,
    source: SOURCES.tensors,
  };
}

function weightsStep(weights: WeightsBreakdown): CalculationStep {
  return {
    title: "Weights",
    formula: weights.byTensorType
      .map((share) => `${share.tensors} ${share.type} tensors: ${countText(share.bytes)} bytes`)
      .join(" + "),
    result: `${countText(weights.bytes)} bytes = ${sizeText(weights.bytes)}, ${weights.bitsPerWeight.toFixed(2)} bits per weight`,
    source: SOURCES.types,
  };
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

const CACHE_TITLES = {
  FULL: "KV cache, full attention",
  SLIDING_WINDOW: "KV cache, sliding window",
  CHUNKED: "KV cache, chunked attention",
  LATENT: "KV cache, latent (MLA): no separate V",
  INDEXER: "Index keys of sparse attention",
  COMPRESSED: "Compressed cache",
  RECURRENT: "Recurrent state",
  SHARED: "Layers that read another layer's cache",
} as const;

function perCell(group: KvCacheLayerGroup): number {
  const entries = group.layers * group.cells;
  return entries === 0 ? 0 : group.bytes / entries;
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

function listDevices(devices: readonly DeviceMemory[], text: (device: DeviceMemory) => string): string[] {
  const listed = devices.slice(0, MAX_LISTED_DEVICES).map((device) => `device ${device.index}: ${text(device)}`);
  if (devices.length > MAX_LISTED_DEVICES) {
    listed.push(`and ${devices.length - MAX_LISTED_DEVICES} more`);
  }
  return listed;
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

function capacityText({ device }: DeviceMemory): string {
  if (device.capacityBytes === null) {
    return "";
  }
  const reserve = device.reserveBytes ?? 0;
  return ` of ${sizeText(device.capacityBytes)}${reserve > 0 ? `, of which the driver's context takes ${sizeText(reserve)}` : ""}`;
}
