import type { Catalogue } from "../../data/catalogue.js";
import type { GpuRow, SystemRow } from "../../data/rows.js";
import { createEqualSets, type EqualSets } from "../../estimator/estimate.js";
import type { Device, EstimateRequest, MemoryEstimate } from "../../estimator/estimate.types.js";
import { smallestSet as findSmallestSet } from "../../estimator/fit/smallest-set.js";
import { describeDevice } from "./devices.js";
import { describeDeviceMemory } from "./estimation.js";
import type { EstimateModel, HardwareFitModel, ParallelPlanModel } from "./types.js";

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
  const setsOf = new WeakMap<EstimateModel, EqualSets>();

  function equalSets(estimate: EstimateModel): EqualSets {
    let sets = setsOf.get(estimate);
    if (sets === undefined) {
      sets = createEqualSets(estimate.request);
      setsOf.set(estimate, sets);
    }
    return sets;
  }

  function describe(estimate: EstimateModel, gpu: GpuRow): Device {
    const runtime = catalogue.runtimes.bySlug.get(estimate.runtime);
    if (!runtime) throw new Error(`the catalogue has no runtime "${estimate.runtime}"`);
    return describeDevice(gpu, runtime);
  }

  function smallestSet(estimate: EstimateModel, gpu: GpuRow): HardwareFitModel | null {
    const set = findSmallestSet(equalSets(estimate), describe(estimate, gpu), CARDS_IN_ONE_MACHINE[gpu.form]);
    return set.count === null ? null : describeFit(estimate.request, set.estimate, gpu, null);
  }

  function wholeSystem(estimate: EstimateModel, system: SystemRow): HardwareFitModel | null {
    const gpu = catalogue.gpus.byId.get(system.gpuId);
    if (!gpu || gpu.archivedAt !== null) return null;
    const memory = equalSets(estimate)(describe(estimate, gpu), system.gpuCount);
    return memory?.fits ? describeFit(estimate.request, memory, gpu, system) : null;
  }

  return {
    findAll: (estimate) => [
      ...gpus.flatMap((gpu) => smallestSet(estimate, gpu) ?? []),
      ...systems.flatMap((system) => wholeSystem(estimate, system) ?? []),
    ],
    smallestSet,
  };
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
    plan: describePlan(memory),
    devices,
    headroom: devices.reduce((least, device) => Math.min(least, device.free ?? 0), Number.POSITIVE_INFINITY),
    get maxContext() {
      return memory.maxContextTokens ?? request.contextTokens;
    },
    usdPerHour: system ? system.usdPerHour : gpu.usdPerHour === null ? null : gpu.usdPerHour * count,
    usdToBuy: system || price === null ? null : price * count,
  };
}

function describePlan({ plan, devices }: MemoryEstimate): ParallelPlanModel {
  const layersPerDevice = devices.map((device) => device.layers);
  return plan === null
    ? { kind: "LAYER_SPLIT", tensor: 1, pipeline: devices.length, expertParallel: false, layersPerDevice }
    : {
        kind: "TENSOR_PIPELINE",
        tensor: plan.tensorParallel,
        pipeline: plan.pipelineParallel,
        expertParallel: plan.expertParallel,
        layersPerDevice,
      };
}
