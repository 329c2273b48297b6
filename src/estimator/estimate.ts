import type { Consumer, ExtraConsumers } from "./consumers/consumers.types.js";
import { layOutConsumers } from "./consumers/lay-out-consumers.js";
import type {
  CalculationStep,
  Device,
  DeviceMemory,
  EstimateRequest,
  EstimateWarning,
  MemoryEstimate,
  RuntimeRequest,
} from "./estimate.types.js";
import { EstimateError } from "./estimate-error.js";
import { largestFittingContext } from "./fit/largest-context.js";
import { layOutExllama } from "./runtimes/exllama/lay-out-exllama.js";
import { layOutLlamaCpp } from "./runtimes/llama-cpp/lay-out-llama-cpp.js";
import { type MemoryLayout, UNLIMITED_DEVICE } from "./runtimes/memory-layout.js";
import { layOutMlx } from "./runtimes/mlx/lay-out-mlx.js";
import { layOutRuleOfThumb } from "./runtimes/rule-of-thumb.js";
import { layOutSglang } from "./runtimes/sglang/lay-out-sglang.js";
import { layOutTensorrtLlm } from "./runtimes/tensorrt-llm/lay-out-tensorrt-llm.js";
import { layOutTransformers } from "./runtimes/transformers/lay-out-transformers.js";
import { layOutVllm } from "./runtimes/vllm/lay-out-vllm.js";

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

/** Runtimes whose budgets or placement follow the devices' capacity: each kind of device is laid out for itself. */
const BUDGETED: ReadonlySet<RuntimeRequest["kind"]> = new Set([
  "vllm",
  "sglang",
  "tensorrt-llm",
  "transformers",
  "exllama",
]);

/**
 * Estimates of one request over sets of equal devices. Where a runtime keeps to no budget, equal devices share alike
 * whatever their capacity, so each count is laid out once for all kinds of device.
 */
export function createEqualSets(request: EstimateRequest): EqualSets {
  if (BUDGETED.has(request.runtime.kind)) {
    return (device, count) => estimate({ ...request, devices: new Array<Device>(count).fill(device) });
  }
  const layouts = new Map<number, WholeLayout>();
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

function describe(request: EstimateRequest, memory: WholeLayout): MemoryEstimate {
  const fits = fitsDevices(request, memory.devices);
  let maxContextTokens: number | null | undefined;
  let steps: CalculationStep[] | undefined;
  return {
    weights: memory.weights,
    kvCache: { bytes: memory.cacheBytes, bytesPerToken: memory.cacheBytesPerToken, groups: memory.cacheGroups },
    devices: memory.devices,
    host: {
      ...memory.host,
      total:
        memory.host.weights +
        memory.host.kvCache +
        memory.host.compute +
        sum(memory.consumers, (consumer) => consumer.hostBytes),
    },
    compute: sum(memory.devices, (device) => device.compute),
    overhead: sum(memory.devices, (device) => device.overhead),
    total: sum(memory.devices, (device) => device.total),
    pool: memory.pool,
    consumers: memory.consumers,
    fits,
    // Both take work of their own and are not always asked for.
    get maxContextTokens() {
      maxContextTokens ??= fits === null ? null : largestFittingContext((tokens) => spareBytes(request, tokens));
      return maxContextTokens;
    },
    get steps() {
      steps ??= [...memory.steps(), ...memory.consumers.map(({ step }) => step)];
      return steps;
    },
    warnings: [...listWarnings(request), ...memory.warnings()],
  };
}

/** A model as its runtime lays it out, and what else takes memory there. */
interface WholeLayout extends MemoryLayout {
  consumers: Consumer[];
}

function layOut(request: EstimateRequest): WholeLayout {
  const layout = layOutModel(request);
  return request.extras === undefined ? { ...layout, consumers: [] } : addConsumers(request, request.extras, layout);
}

function addConsumers(request: EstimateRequest, extras: ExtraConsumers, layout: MemoryLayout): WholeLayout {
  const layersByDevice = layout.devices.map((device) => device.layers);
  const consumers = blameExtras(() => layOutConsumers(request, extras, { layersByDevice, layOut: layOutModel }));
  const devices = layout.devices.map((memory) => {
    const bytes = sum(consumers, ({ bytesByDevice }) => bytesByDevice[memory.index] ?? 0);
    return { ...memory, extras: bytes, total: memory.total + bytes };
  });
  return { ...layout, devices, consumers };
}

/** Problems of a consumer are told under `extras`. */
function blameExtras<T>(layOutThem: () => T): T {
  try {
    return layOutThem();
  } catch (error) {
    if (error instanceof EstimateError) {
      throw new EstimateError(error.message, ["extras", ...error.path], error.code);
    }
    throw error;
  }
}

/** Every runtime by the kind of its request. */
function layOutModel(request: EstimateRequest): MemoryLayout {
  const { runtime } = request;
  switch (runtime.kind) {
    case "llama-cpp":
      return layOutLlamaCpp(request, runtime.settings);
    case "vllm":
      return layOutVllm(request, runtime.settings, runtime.constants);
    case "sglang":
      return layOutSglang(request, runtime.settings, runtime.constants);
    case "tensorrt-llm":
      return layOutTensorrtLlm(request, runtime.settings, runtime.constants);
    case "transformers":
      return layOutTransformers(request, runtime.settings, runtime.constants);
    case "mlx":
      return layOutMlx(request, runtime.settings, runtime.constants);
    case "exllama":
      return layOutExllama(request, runtime.settings, runtime.constants);
    case "rule-of-thumb":
      return layOutRuleOfThumb(request, runtime.overhead);
  }
}

/** Null unless every device has a capacity; then true when the fullest one has room. */
function fitsDevices(request: EstimateRequest, devices: readonly DeviceMemory[]): boolean | null {
  if (request.devices === undefined || devices.length === 0) {
    return null;
  }
  let fits = true;
  for (const memory of devices) {
    const limit = limitOf(memory);
    if (limit === null) {
      return null;
    }
    fits &&= memory.total <= limit;
  }
  return fits;
}

/** Most that the total on a device may be; null where its capacity is not known. */
function limitOf({ device, limitBytes }: DeviceMemory): number | null {
  if (limitBytes !== undefined) {
    return limitBytes;
  }
  return device.capacityBytes === null ? null : device.capacityBytes - (device.reserveBytes ?? 0);
}

/** Bytes left on the device that is nearest to full, at another context; negative when it is too small. */
function spareBytes(request: EstimateRequest, contextTokens: number): number {
  const { devices } = layOut({ ...request, contextTokens });
  return devices.reduce(
    (least, memory) => Math.min(least, (limitOf(memory) ?? Number.POSITIVE_INFINITY) - memory.total),
    Number.POSITIVE_INFINITY,
  );
}

/** What is worth a warning whatever the runtime. */
function listWarnings(request: EstimateRequest): EstimateWarning[] {
  const { architecture, contextTokens } = request;
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
  return warnings;
}

function sum<T>(items: readonly T[], bytesOf: (item: T) => number): number {
  return items.reduce((total, item) => total + bytesOf(item), 0);
}
