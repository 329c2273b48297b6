import { encodeGlobalId } from "../services/catalogue/global-ids.js";
import { listRows } from "../services/catalogue/list.js";
import { measurementList } from "../services/catalogue/lists/measurements.js";
import { systemList } from "../services/catalogue/lists/systems.js";
import { measurementsOfGpu, systemsOfGpu } from "../services/catalogue/relations.js";
import { isGpuPriceStale } from "../services/catalogue/stale-prices.js";
import { bytesOfGib, bytesOfMib } from "./byte-size.js";
import type { GpuResolvers } from "./types.generated.js";

export const Gpu: GpuResolvers = {
  id: (gpu) => encodeGlobalId("Gpu", gpu.id),
  class: (gpu) => gpu.gpuClass,
  memory: (gpu) => bytesOfGib(gpu.memoryNominalGib),
  visibleMemory: (gpu) => bytesOfMib(gpu.memoryVisibleMib),
  visibleMemoryBasis: (gpu) => gpu.memoryVisibleBasis,
  usableMemory: (gpu) => bytesOfMib(gpu.memoryUsableMib),
  usableMemoryBasis: (gpu) => gpu.memoryUsableBasis,
  bandwidth: (gpu) => gpu.bandwidthGbPerSecond,
  interconnectBandwidth: (gpu) => gpu.interconnectGbPerSecond,
  systems: (gpu, args, { catalogue }) => listRows(systemList, systemsOfGpu(catalogue.systems, gpu.id), args, catalogue),
  measurements: (gpu, args, { catalogue }) =>
    listRows(measurementList, measurementsOfGpu(catalogue.measurements, gpu.id), args, catalogue),
  priceIsStale: (gpu, _, { now }) => isGpuPriceStale(gpu, now),
  history: (gpu, page, { backend }) => backend.audit.listOfRow(gpu.id, page),
};
