import type { Catalogue } from "../../data/catalogue.js";
import type { GpuRow, RuntimeRow, SystemRow } from "../../data/rows.js";
import { BadUserInputError } from "../../errors.js";
import { GIB, MIB } from "../../estimator/byte-units.js";
import { cudaReserveBytes } from "../../estimator/consumers/driver-memory.js";
import type { Device, HostMemory, RuntimeRequest } from "../../estimator/estimate.types.js";
import { requireBySlug } from "../catalogue/suggestions.js";
import type { ArgumentPath, HardwareInput } from "./types.js";

/**
 * Most devices one estimate lays a model out on. llama.cpp itself takes 16 (GGML_CUDA_MAX_DEVICES), a rack of
 * NVL72 has 72; the bound keeps one request's work small.
 */
export const MAX_DEVICES = 128;

/** Devices of an estimate, each with the catalogue's card. */
export interface Hardware {
  devices: Device[];
  gpus: GpuRow[];
  /** The system they are the cards of; null for cards that were named one by one. */
  system: SystemRow | null;
  /** Undefined where it is not known. */
  hostMemory?: HostMemory | undefined;
}

/** The constants of a runtime's row that tell what the driver holds, by the card's vendor. */
interface ReserveConstants {
  deviceReserveByVendor?: Readonly<Record<string, "CUDA_CONTEXT">>;
  deviceReserveMibByVendor?: Readonly<Record<string, number>>;
}

/**
 * A card as the estimator sees it.
 *
 * Capacity is what a process can allocate; where that is not known, what the driver's tool shows, and null
 * where neither is: the nominal size is no capacity.
 */
export function describeDevice(gpu: GpuRow, runtime: RuntimeRow): Device {
  const capacityMib = gpu.memoryUsableMib ?? gpu.memoryVisibleMib;
  return {
    name: gpu.slug,
    capacityBytes: capacityMib === null ? null : Math.floor(capacityMib * MIB),
    reserveBytes: reserveBytes(runtime, gpu),
    ...(gpu.computeCapability !== null && { computeCapability: Number(gpu.computeCapability) }),
  };
}

/**
 * Makers whose hardware an engine runs on, by itself or with its maker's plugin (the engines' own lists of supported
 * hardware); any where absent.
 */
const MAKERS: Partial<Record<RuntimeRequest["kind"], { only: readonly string[] } | { not: readonly string[] }>> = {
  vllm: { not: ["Apple"] },
  sglang: { not: ["Apple"] },
  "tensorrt-llm": { only: ["NVIDIA"] },
  mlx: { only: ["Apple"] },
  exllama: { only: ["NVIDIA", "AMD"] },
};

/** Whether an engine runs on a card at all. */
export function runsOn(runtime: RuntimeRequest["kind"], { vendor }: GpuRow): boolean {
  const makers = MAKERS[runtime];
  if (makers === undefined) return true;
  return "only" in makers ? makers.only.includes(vendor) : !makers.not.includes(vendor);
}

/**
 * What the driver holds for one process of this runtime on a card, bytes; 0 where the row has no figure. Where the row's
 * `deviceReserveByVendor` says CUDA_CONTEXT, it follows the card's multiprocessors; `deviceReserveMibByVendor` has the
 * figure of cards whose number is not known.
 */
function reserveBytes(runtime: RuntimeRow, gpu: GpuRow): number {
  const { deviceReserveByVendor, deviceReserveMibByVendor } = runtime.constants as ReserveConstants;
  if (deviceReserveByVendor?.[gpu.vendor] === "CUDA_CONTEXT" && gpu.multiprocessors !== null) {
    return cudaReserveBytes(gpu.multiprocessors);
  }
  return (deviceReserveMibByVendor?.[gpu.vendor] ?? 0) * MIB;
}

/** What the host has for itself: of chips that share one memory with their CPU the whole, of which they take theirs. */
export function describeHostMemory(gpus: readonly GpuRow[], hostMemoryGib: number | null): HostMemory | undefined {
  if (gpus.length > 0 && gpus.every(({ gpuClass }) => gpuClass === "UNIFIED" || gpuClass === "EDGE")) {
    const nominalGib = gpus.reduce((sum, gpu) => sum + gpu.memoryNominalGib, 0);
    return { capacityBytes: nominalGib * GIB, sharedWithDevices: true };
  }
  return hostMemoryGib === null ? undefined : { capacityBytes: hostMemoryGib * GIB, sharedWithDevices: false };
}

/**
 * Finds the cards of a HardwareInput in the catalogue.
 *
 * @throws BadUserInputError for unknown or archived cards and systems, counts below 1, and too many devices
 */
export function resolveHardware(
  input: HardwareInput,
  path: ArgumentPath,
  catalogue: Catalogue,
  runtime: RuntimeRow,
): Hardware {
  if (typeof input.system === "string") {
    const system = requireBySlug(catalogue.systems, input.system, [...path, "system"], "system");
    const gpu = catalogue.gpus.byId.get(system.gpuId);
    if (!gpu) throw new Error(`system ${system.slug} has no GPU in its snapshot`);
    if (gpu.archivedAt) {
      throw new BadUserInputError(
        `The cards of ${system.name}, ${gpu.name}, are archived; name a system whose cards are in use.`,
        [...path, "system"],
      );
    }
    const cards = repeat(gpu, system.gpuCount, describeDevice(gpu, runtime));
    return { ...cards, system, hostMemory: describeHostMemory(cards.gpus, system.hostMemoryGib) };
  }
  const sets = input.gpus ?? [];
  if (sets.length === 0) {
    throw new BadUserInputError("Name at least one card, or leave `hardware` out for one device without limit.", [
      ...path,
      "gpus",
    ]);
  }
  const hardware: Hardware = { devices: [], gpus: [], system: null };
  for (const [index, { gpu: slug, count }] of sets.entries()) {
    const setPath = [...path, "gpus", String(index)];
    const gpu = requireBySlug(catalogue.gpus, slug, [...setPath, "gpu"], "GPU");
    if (count < 1 || hardware.devices.length + count > MAX_DEVICES) {
      throw new BadUserInputError(
        `A set of cards has from 1 to ${MAX_DEVICES} of them in all; ${count} of ${gpu.name} were asked for.`,
        [...setPath, "count"],
      );
    }
    const set = repeat(gpu, count, describeDevice(gpu, runtime));
    hardware.devices.push(...set.devices);
    hardware.gpus.push(...set.gpus);
  }
  return { ...hardware, hostMemory: describeHostMemory(hardware.gpus, null) };
}

function repeat(gpu: GpuRow, count: number, device: Device): Omit<Hardware, "system"> {
  return { devices: new Array<Device>(count).fill(device), gpus: new Array<GpuRow>(count).fill(gpu) };
}
