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
  const { gpu } = set;
  return {
    ...set,
    memory,
    get plan() {
      return describePlan(memory);
    },
    get devices() {
      return memory.devices.map((device) => describeDeviceMemory(device, gpu));
    },
    get host() {
      return memory.host;
    },
    get offload() {
      return offloadOf(memory.request);
    },
    get headroom() {
      return headroomOf(memory);
    },
    get maxContext() {
      return memory.maxContextTokens ?? 0;
    },
    get maxSequences() {
      return memory.maxSequences ?? 0;
    },
    get warnings() {
      return [...memory.warnings, ...moreWarnings()];
    },
  };
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
