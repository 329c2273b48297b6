import type { Catalogue } from "../../data/catalogue.js";
import type { GpuRow, SystemRow } from "../../data/rows.js";
import type { HostMemory, RuntimeRequest } from "../../estimator/estimate.types.js";
import type { DeviceLinks } from "../../estimator/placement/device-links.js";
import { systemsOfGpu } from "../catalogue/relations.js";
import { describeHostMemory, MAX_DEVICES } from "./devices.js";
import type { HardwareSet } from "./hardware-selection.js";

/** Most cards of one kind in one machine that are searched: what the largest boxes hold. */
export const MAX_CARDS_OF_A_KIND = 16;
/** Most machines of a kind that are put together. */
const MAX_NODES = 16;

/** Cards of one kind in one machine, by form: a chip that shares its machine's memory is there once. */
const CARDS_IN_ONE_MACHINE: Readonly<Record<GpuRow["form"], number>> = {
  PCIE: MAX_CARDS_OF_A_KIND,
  SXM: MAX_CARDS_OF_A_KIND,
  OAM: MAX_CARDS_OF_A_KIND,
  POD: MAX_CARDS_OF_A_KIND,
  INTEGRATED: 1,
  LAPTOP: 1,
};

/**
 * Cards of a kind that a fast link joins where the card has one: the modules of a server board, two cards under a
 * bridge. Boards and pods that join more are systems of the catalogue.
 */
const CARDS_ON_ONE_LINK: Readonly<Record<GpuRow["form"], number>> = {
  PCIE: 2,
  SXM: 8,
  OAM: 8,
  POD: 4,
  INTEGRATED: 1,
  LAPTOP: 1,
};

/** Engines that run one model on several machines at once. */
export const ACROSS_MACHINES: ReadonlySet<RuntimeRequest["kind"]> = new Set(["vllm", "sglang", "tensorrt-llm"]);

/** A card, or a system of the catalogue, that sets are made of. */
export interface Candidate {
  gpu: GpuRow;
  system: SystemRow | null;
}

/** Cards and systems in use; a system whose cards are archived is none. */
export function listCandidates(catalogue: Catalogue): Candidate[] {
  const cards = catalogue.gpus.rows.filter((gpu) => gpu.archivedAt === null);
  const systems = catalogue.systems.rows.filter((system) => system.archivedAt === null);
  return [
    ...cards.map((gpu) => ({ gpu, system: null })),
    ...systems.flatMap((system) => {
      const gpu = catalogue.gpus.byId.get(system.gpuId);
      return gpu && gpu.archivedAt === null ? [{ gpu, system }] : [];
    }),
  ];
}

/**
 * Sets of a candidate that a runtime can use, the smallest first: cards in one machine, or whole machines. They are
 * described one by one, since a search mostly ends among the first.
 */
export function* listSets({ gpu, system }: Candidate, runtime: RuntimeRequest["kind"]): Generator<HardwareSet> {
  if (system === null) {
    for (let count = 1; count <= CARDS_IN_ONE_MACHINE[gpu.form]; count += 1) yield cardSet(gpu, count);
    return;
  }
  const limits = [MAX_NODES, Math.floor(MAX_DEVICES / system.gpuCount), system.maxNodes ?? MAX_NODES];
  const most = ACROSS_MACHINES.has(runtime) ? Math.min(...limits) : 1;
  for (let nodes = 1; nodes <= Math.max(1, most); nodes += 1) yield systemSet(gpu, system, nodes);
}

function cardSet(gpu: GpuRow, count: number): HardwareSet {
  const price = gpu.streetUsd ?? gpu.msrpUsd;
  return {
    gpu,
    system: null,
    nodes: 1,
    count,
    usdPerHour: times(gpu.usdPerHour, count),
    usdToBuy: times(price, count),
    tdpWatts: times(gpu.tdpWatts, count),
  };
}

function systemSet(gpu: GpuRow, system: SystemRow, nodes: number): HardwareSet {
  const count = nodes * system.gpuCount;
  return {
    gpu,
    system,
    nodes,
    count,
    usdPerHour: times(system.usdPerHour, nodes),
    usdToBuy: null,
    tdpWatts: times(gpu.tdpWatts, count),
  };
}

/** Prices are sums of decimals: digits below this are rounding. */
const PRICE_DIGITS = 6;

function times(value: number | null, count: number): number | null {
  return value === null ? null : Number((value * count).toFixed(PRICE_DIGITS));
}

/** How the cards of a set are linked: as its system says; a set of cards as the widest system of them, or by its form. */
export function linksOf(
  { gpu, system, count }: Pick<HardwareSet, "gpu" | "system" | "count">,
  catalogue: Catalogue,
): DeviceLinks {
  if (system !== null) {
    return { perNode: system.gpuCount, fastDomain: system.scaleUpDomainGpus };
  }
  const byForm = gpu.interconnect === null ? 1 : CARDS_ON_ONE_LINK[gpu.form];
  const known = systemsOfGpu(catalogue.systems, gpu.id).map(({ scaleUpDomainGpus }) => scaleUpDomainGpus);
  return { perNode: count, fastDomain: Math.max(byForm, ...known) };
}

/** Host memory of a set; undefined where it is not known. */
export function hostMemoryOf({ gpu, system, nodes, count }: HardwareSet): HostMemory | undefined {
  const cards = new Array<GpuRow>(count).fill(gpu);
  return describeHostMemory(cards, system?.hostMemoryGib == null ? null : system.hostMemoryGib * nodes);
}

/** A set in words: "6 x NVIDIA H100 SXM 80GB", "2 x AWS p5.48xlarge (16 x NVIDIA H100 SXM 80GB)". */
export function labelOf({ gpu, system, nodes, count }: HardwareSet): string {
  const cards = `${count} x ${gpu.name}`;
  return system === null ? cards : `${nodes === 1 ? "" : `${nodes} x `}${system.name} (${cards})`;
}
