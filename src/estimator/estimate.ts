import type {
  CalculationStep,
  Device,
  DeviceMemory,
  EstimateRequest,
  EstimateWarning,
  KvCacheLayerGroup,
  LlamaCppSettings,
  MemoryEstimate,
} from "./estimate.types.js";
import { explainLlamaCpp, explainRuleOfThumb } from "./estimate-steps.js";
import { largestFittingContext } from "./fit/largest-context.js";
import { CELL_PADDING } from "./kv-cache/cell-counts.js";
import type { PreparedModel } from "./prepared-model.js";
import { estimateLlamaCpp } from "./runtimes/llama-cpp/estimate-llama-cpp.js";
import { estimateRuleOfThumb } from "./runtimes/rule-of-thumb.js";

/** Where a model goes when nothing is said of the hardware. */
export const UNLIMITED_DEVICE: Device = { name: "unlimited", capacityBytes: null };

/**
 * How much memory a model takes on a runtime, device by device, with everything it was computed from.
 *
 * @throws EstimateError for settings out of range or that the runtime refuses; its `path` names the setting.
 */
export function estimate(request: EstimateRequest): MemoryEstimate {
  return describe(request, layOut(request));
}

/** Memory of one request over so many of one device. */
export type EqualSets = (device: Device, count: number) => MemoryEstimate;

/**
 * Estimates of one request over sets of equal devices. Equal devices share alike whatever their capacity, so each
 * count is laid out once for all kinds of device.
 */
export function createEqualSets(request: EstimateRequest): EqualSets {
  const layouts = new Map<number, MemoryLayout>();
  return (device, count) => {
    let layout = layouts.get(count);
    if (layout === undefined) {
      layout = layOut({ ...request, devices: new Array<Device>(count).fill(UNLIMITED_DEVICE) });
      layouts.set(count, layout);
    }
    const devices = layout.devices.map((memory) => ({ ...memory, device }));
    return describe({ ...request, devices: new Array<Device>(count).fill(device) }, { ...layout, devices });
  };
}

function describe(request: EstimateRequest, memory: MemoryLayout): MemoryEstimate {
  const fits = fitsDevices(request, memory.devices);
  let maxContextTokens: number | null | undefined;
  let steps: CalculationStep[] | undefined;
  return {
    weights: memory.model.weights,
    kvCache: { bytes: memory.cacheBytes, bytesPerToken: memory.cacheBytesPerToken, groups: memory.cacheGroups },
    devices: memory.devices,
    host: { ...memory.host, total: memory.host.weights + memory.host.kvCache + memory.host.compute },
    compute: sum(memory.devices, (device) => device.compute),
    overhead: sum(memory.devices, (device) => device.overhead),
    total: sum(memory.devices, (device) => device.total),
    fits,
    // Both take work of their own and are not always asked for.
    get maxContextTokens() {
      maxContextTokens ??= fits === null ? null : largestFittingContext((tokens) => spareBytes(request, tokens));
      return maxContextTokens;
    },
    get steps() {
      steps ??= memory.steps();
      return steps;
    },
    warnings: listWarnings(request),
  };
}

interface MemoryLayout {
  model: PreparedModel;
  cacheBytes: number;
  cacheBytesPerToken: number;
  cacheGroups: KvCacheLayerGroup[];
  devices: DeviceMemory[];
  host: { weights: number; kvCache: number; compute: number };
  steps: () => CalculationStep[];
}

function layOut(request: EstimateRequest): MemoryLayout {
  const { runtime } = request;
  switch (runtime.kind) {
    case "llama-cpp":
      return layOutLlamaCpp(request, runtime.settings);
    case "rule-of-thumb":
      return layOutRuleOfThumb(request, runtime.overhead);
  }
}

function layOutLlamaCpp(request: EstimateRequest, settings: LlamaCppSettings): MemoryLayout {
  const devices = request.devices ?? [UNLIMITED_DEVICE];
  const memory = estimateLlamaCpp(request, settings, devices);
  const deviceMemory = memory.devices.map((parts, index) => ({
    ...parts,
    index,
    device: devices[index] as Device,
    overhead: 0,
    total: parts.weights + parts.kvCache + parts.compute,
  }));
  return { ...memory, devices: deviceMemory, steps: () => explainLlamaCpp(request, memory, deviceMemory) };
}

/** The rule knows no devices: their memory is taken as one. */
function layOutRuleOfThumb(request: EstimateRequest, overhead: number): MemoryLayout {
  const memory = estimateRuleOfThumb(request, overhead);
  const devices = request.devices ?? [UNLIMITED_DEVICE];
  const share = devices.length === 0 ? 0 : 1 / devices.length;
  const layers = request.architecture.layers.length;
  const deviceMemory = devices.map((device, index): DeviceMemory => {
    const weights = memory.model.weights.bytes * share;
    const kvCache = memory.cacheBytes * share;
    const overheadBytes = memory.overheadBytes * share;
    return {
      index,
      device,
      weights,
      kvCache,
      compute: 0,
      overhead: overheadBytes,
      total: weights + kvCache + overheadBytes,
      layers: Math.floor(((index + 1) * layers) / devices.length) - Math.floor((index * layers) / devices.length),
    };
  });
  return {
    ...memory,
    devices: deviceMemory,
    host: { weights: 0, kvCache: 0, compute: 0 },
    steps: () => explainRuleOfThumb(request, memory, overhead),
  };
}

/** Null unless every device has a capacity; then true when the fullest one has room. */
function fitsDevices(request: EstimateRequest, devices: readonly DeviceMemory[]): boolean | null {
  if (request.devices === undefined || devices.length === 0) {
    return null;
  }
  let fits = true;
  for (const { device, total } of devices) {
    if (device.capacityBytes === null) {
      return null;
    }
    fits &&= total <= device.capacityBytes - (device.reserveBytes ?? 0);
  }
  return fits;
}

/** Bytes left on the device that is nearest to full, at another context; negative when it is too small. */
function spareBytes(request: EstimateRequest, contextTokens: number): number {
  const { devices } = layOut({ ...request, contextTokens });
  return devices.reduce(
    (least, { device, total }) =>
      Math.min(least, (device.capacityBytes ?? Number.POSITIVE_INFINITY) - (device.reserveBytes ?? 0) - total),
    Number.POSITIVE_INFINITY,
  );
}

function listWarnings(request: EstimateRequest): EstimateWarning[] {
  const { architecture, contextTokens, runtime } = request;
  const warnings: EstimateWarning[] = [];
  if (contextTokens > architecture.contextLength) {
    warnings.push({
      code: "CONTEXT_ABOVE_TRAINED",
      message: `The model was trained for ${architecture.contextLength} tokens; ${contextTokens} are asked for.`,
    });
  }
  if (request.devices?.some((device) => device.capacityBytes === null)) {
    warnings.push({
      code: "NO_DEVICE_CAPACITY",
      message: "The usable memory of a device is not known, so whether this fits cannot be said.",
    });
  }
  if (runtime.kind !== "llama-cpp") {
    return warnings;
  }
  if (request.scheme.kind !== "ggml") {
    warnings.push({
      code: "QUANT_FORMAT_NOT_LOADABLE",
      message: "llama.cpp loads GGUF files only: a model in this format has to be converted first.",
    });
  }
  const cells = runtime.settings.kvUnified ? contextTokens * request.sequences : contextTokens;
  if (cells % CELL_PADDING !== 0) {
    warnings.push({
      code: "CONTEXT_PADDED",
      message: `llama.cpp allocates cells in multiples of ${CELL_PADDING}: ${cells} are rounded up.`,
    });
  }
  if (runtime.settings.ubatchSize > contextTokens * request.sequences) {
    warnings.push({
      code: "MICROBATCH_ABOVE_CONTEXT",
      message: `The microbatch of ${runtime.settings.ubatchSize} is longer than the context and is cut to it.`,
    });
  }
  return warnings;
}

function sum<T>(items: readonly T[], bytesOf: (item: T) => number): number {
  return items.reduce((total, item) => total + bytesOf(item), 0);
}
