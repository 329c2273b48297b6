import type { Catalogue } from "../../data/catalogue.js";
import type { GpuRow, SystemRow } from "../../data/rows.js";
import { estimate as estimateMemory } from "../../estimator/estimate.js";
import type { Device, EstimateRequest, MemoryEstimate } from "../../estimator/estimate.types.js";
import { smallestSet as findSmallestSet, type SmallestSet } from "../../estimator/fit/smallest-set.js";
import { describeDevice } from "./devices.js";
import { describeDeviceMemory } from "./estimation.js";
import type { EstimateModel, HardwareFitModel } from "./types.js";

/** Most cards of one kind in one machine that are searched: what the largest boxes hold. */
export const MAX_CARDS_OF_A_KIND = 16;

/** Cards of one kind in one machine, by form: a chip that shares its machine's memory is there once. */
const CARDS_IN_ONE_MACHINE: Readonly<Record<GpuRow["form"], number>> = {
  PCIE: MAX_CARDS_OF_A_KIND,
  SXM: MAX_CARDS_OF_A_KIND,
  OAM: MAX_CARDS_OF_A_KIND,
  POD: MAX_CARDS_OF_A_KIND,
  INTEGRATED: 1,
  LAPTOP: 1,
};

/** Searches of one catalogue version's hardware. */
export interface HardwareSearch {
  findAll(estimate: EstimateModel): readonly HardwareFitModel[];
  smallestSet(estimate: EstimateModel, gpu: GpuRow): HardwareFitModel | null;
}

/** Builds the search over the cards and systems that are in use. */
export function createHardwareSearch(catalogue: Catalogue): HardwareSearch {
  const gpus = catalogue.gpus.rows.filter((gpu) => gpu.archivedAt === null);
  const systems = catalogue.systems.rows.filter((system) => system.archivedAt === null);

  /** Answers for one estimate, by what of a card matters to it: many cards are alike. */
  function searchFor({ request, runtime: slug }: EstimateModel) {
    const runtime = catalogue.runtimes.bySlug.get(slug);
    if (!runtime) throw new Error(`the catalogue has no runtime "${slug}"`);
    const smallest = new Map<string, SmallestSet>();
    const whole = new Map<string, MemoryEstimate>();
    return {
      describe: (gpu: GpuRow) => describeDevice(gpu, runtime),
      smallestOf: (gpu: GpuRow) => {
        const device = describeDevice(gpu, runtime);
        const most = CARDS_IN_ONE_MACHINE[gpu.form];
        return remember(smallest, `${likeness(device)} up to ${most}`, () => findSmallestSet(request, device, most));
      },
      wholeOf: (device: Device, count: number) =>
        remember(whole, `${likeness(device)} x ${count}`, () =>
          estimateMemory({ ...request, devices: new Array<Device>(count).fill(device) }),
        ),
    };
  }

  function fitOfSet(request: EstimateRequest, set: SmallestSet, gpu: GpuRow): HardwareFitModel | null {
    return set.count === null ? null : describeFit(request, set.estimate, gpu, null);
  }

  return {
    findAll(estimate) {
      const { describe, smallestOf, wholeOf } = searchFor(estimate);
      const sets = gpus.flatMap((gpu) => fitOfSet(estimate.request, smallestOf(gpu), gpu) ?? []);
      const boxes = systems.flatMap((system) => {
        const gpu = catalogue.gpus.byId.get(system.gpuId);
        if (!gpu || gpu.archivedAt !== null) return [];
        const memory = wholeOf(describe(gpu), system.gpuCount);
        return memory.fits ? [describeFit(estimate.request, memory, gpu, system)] : [];
      });
      return [...sets, ...boxes];
    },
    smallestSet(estimate, gpu) {
      const { smallestOf } = searchFor(estimate);
      return fitOfSet(estimate.request, smallestOf(gpu), gpu);
    },
  };
}

function remember<Value>(known: Map<string, Value>, key: string, compute: () => Value): Value {
  let value = known.get(key);
  if (value === undefined) {
    value = compute();
    known.set(key, value);
  }
  return value;
}

/** Two devices with the same key hold the same. */
function likeness({ capacityBytes, reserveBytes }: Device): string {
  return `${capacityBytes} - ${reserveBytes ?? 0}`;
}

function describeFit(
  request: EstimateRequest,
  memory: MemoryEstimate,
  gpu: GpuRow,
  system: SystemRow | null,
): HardwareFitModel {
  const devices = memory.devices.map((device) => describeDeviceMemory(device, gpu));
  const count = devices.length;
  const price = gpu.streetUsd ?? gpu.msrpUsd;
  return {
    gpu,
    count,
    system,
    nodes: 1,
    plan: {
      kind: "LAYER_SPLIT",
      tensor: 1,
      pipeline: count,
      layersPerDevice: devices.map((device) => device.layers),
    },
    devices,
    headroom: devices.reduce((least, device) => Math.min(least, device.free ?? 0), Number.POSITIVE_INFINITY),
    get maxContext() {
      return memory.maxContextTokens ?? request.contextTokens;
    },
    usdPerHour: system ? system.usdPerHour : gpu.usdPerHour === null ? null : gpu.usdPerHour * count,
    usdToBuy: system || price === null ? null : price * count,
  };
}
