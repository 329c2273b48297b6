import type { GpuRow } from "../../data/rows.js";
import { GIB } from "../../estimator/byte-units.js";
import type { DeviceMemory, EstimateWarning, MemoryEstimate } from "../../estimator/estimate.types.js";
import { offloadOf } from "../../estimator/fit/offload.js";
import { freeBytes } from "../../estimator/runtimes/request-checks.js";
import type { HardwareSet } from "./hardware-selection.js";
import type { DeviceEstimateModel, HardwareFitModel, ParallelPlanModel } from "./types.js";

/** A set that holds an estimate, in the words of the API; what takes work is done when it is read. */
export function describeFit(
  set: HardwareSet,
  memory: MemoryEstimate,
  moreWarnings: () => readonly EstimateWarning[],
): HardwareFitModel {
  return new FoundSet(set, memory, moreWarnings);
}

/** Searches find hundreds of them: a class has its accessors once for all. */
class FoundSet implements HardwareFitModel {
  readonly gpu: HardwareSet["gpu"];
  readonly system: HardwareSet["system"];
  readonly nodes: number;
  readonly count: number;
  readonly usdPerHour: number | null;
  readonly usdToBuy: number | null;
  readonly tdpWatts: number | null;
  readonly #moreWarnings: () => readonly EstimateWarning[];

  constructor(
    { gpu, system, nodes, count, usdPerHour, usdToBuy, tdpWatts }: HardwareSet,
    readonly memory: MemoryEstimate,
    moreWarnings: () => readonly EstimateWarning[],
  ) {
    this.#moreWarnings = moreWarnings;
    this.gpu = gpu;
    this.system = system;
    this.nodes = nodes;
    this.count = count;
    this.usdPerHour = usdPerHour;
    this.usdToBuy = usdToBuy;
    this.tdpWatts = tdpWatts;
  }

  get plan() {
    return describePlan(this.memory);
  }

  get devices() {
    return this.memory.devices.map((device) => describeDeviceMemory(device, this.gpu));
  }

  get host() {
    return this.memory.host;
  }

  get offload() {
    return offloadOf(this.memory.request);
  }

  get headroom() {
    return headroomOf(this.memory);
  }

  get maxContext() {
    return this.memory.maxContextTokens ?? 0;
  }

  get maxSequences() {
    return this.memory.maxSequences ?? 0;
  }

  get warnings() {
    return [...this.memory.warnings, ...this.#moreWarnings()];
  }
}

/** Bytes free on the fullest device, the driver's part among them; below zero where it is too small. */
export function headroomOf({ devices }: Pick<MemoryEstimate, "devices">): number {
  return devices.reduce(
    (least, { device, total }) => Math.min(least, (device.capacityBytes ?? total) - total),
    Number.POSITIVE_INFINITY,
  );
}

/** How an estimate's devices share the model, with the settings that make the runtime do so. */
export function describePlan({ plan, devices, request }: MemoryEstimate): ParallelPlanModel {
  const layersPerDevice = devices.map((device) => device.layers);
  if (plan !== null) {
    return {
      kind: "TENSOR_PIPELINE",
      tensor: plan.tensorParallel,
      pipeline: plan.pipelineParallel,
      expertParallel: plan.expertParallel,
      layersPerDevice,
      gpuLayers: null,
      cpuMoeLayers: 0,
      tensorSplit: null,
    };
  }
  const settings = request.runtime.kind === "llama-cpp" ? request.runtime.settings : null;
  return {
    kind: "LAYER_SPLIT",
    tensor: 1,
    pipeline: devices.length,
    expertParallel: false,
    layersPerDevice,
    gpuLayers: settings?.gpuLayers ?? null,
    cpuMoeLayers: settings?.cpuMoeLayers ?? 0,
    tensorSplit: settings === null ? null : (settings.tensorSplit ?? defaultSplit(devices)),
  };
}

/**
 * Shares that llama.cpp gives unequal devices when it is told none: the free memory of each. In GiB, a power of two, so
 * that its sums in single precision come out the same when these shares are passed to it.
 */
function defaultSplit(devices: readonly DeviceMemory[]): readonly number[] | null {
  const free = devices.map(({ device }) => freeBytes(device));
  const isEqual = free.every((bytes) => bytes === null || bytes === free[0]);
  return isEqual ? null : free.map((bytes) => (bytes ?? 0) / GIB);
}

/** One device's memory with the catalogue's card. */
export function describeDeviceMemory(memory: DeviceMemory, gpu: GpuRow | null): DeviceEstimateModel {
  const { capacityBytes } = memory.device;
  return {
    index: memory.index,
    gpu,
    weights: memory.weights,
    kvCache: memory.kvCache,
    compute: memory.compute,
    overhead: memory.overhead,
    extras: memory.extras ?? 0,
    total: memory.total,
    capacity: capacityBytes,
    free: capacityBytes === null ? null : capacityBytes - memory.total,
    layers: memory.layers,
  };
}
