import type {
  CachePool,
  CalculationStep,
  Device,
  DeviceMemory,
  EstimateRequest,
  EstimateWarning,
  KvCacheLayerGroup,
  WeightsBreakdown,
} from "../../estimate.types.js";
import type { ParallelPlan, ServingEngine } from "../../placement/parallel-plans.js";
import { sumOf } from "../../sum-of.js";
import type { MemoryLayout } from "../memory-layout.js";
import { type Ranks, servingWarnings } from "./ranks.js";
import type { Sharding, StageWeights } from "./sharded-weights.js";

/** What one device of a stage takes, bytes, and where it comes from. */
export interface RankParts {
  weights: number;
  kvCache: number;
  activation: number;
  graphs: number;
  /** Driver's context, communicators: taken before the engine starts counting. */
  context: number;
  /** What else grows outside of the pools while the engine runs. */
  nonTorch: number;
  /** Most that the total may be; null where the capacity is not known. */
  limitBytes: number | null;
  /** Bytes left for the cache; null where the capacity is not known. */
  available: number | null;
}

/** What a device of one pipeline stage takes and may take. */
export type PartsOf = (stage: number, device: Device) => RankParts;

/** A model under one split of an engine, on devices of one kind, before its format and their capacity are known. */
export interface ServingPlan {
  plan: ParallelPlan;
  sharding: Sharding;
  /**
   * @param weights - of each stage, bytes on one device.
   * @param smallest - capacity of the smallest device of all, bytes; null where one is not known.
   */
  on: (weights: readonly StageWeights[], smallest: number | null) => PartsOf;
}

/** What every device of a split takes, rank by rank. */
export function partsOfRanks(
  { plan, on }: ServingPlan,
  stages: readonly StageWeights[],
  devices: readonly Device[],
): RankParts[] {
  const partsOf = on(stages, smallestCapacity(devices));
  return devices.map((device, rank) => partsOf(stageOf(rank, plan), device));
}

/** Capacity of the smallest device; null where one is not known. */
export function smallestCapacity(devices: readonly Device[]): number | null {
  return devices.reduce<number | null>(
    (least, { capacityBytes }) => (capacityBytes === null || least === null ? null : Math.min(least, capacityBytes)),
    Number.POSITIVE_INFINITY,
  );
}

/** How a model under a split stands to equal devices, all of which the split takes. Sizes are bytes. */
export interface EqualFit {
  /** Left on the device nearest to full; null where the capacity is not known. */
  spareBytes: number | null;
  totalBytes: number;
  /** Taken of the device that most is taken of. */
  fullestBytes: number;
}

export function fitOnEqual({ plan, on }: ServingPlan, stages: readonly StageWeights[], device: Device): EqualFit {
  const partsOf = on(stages, device.capacityBytes);
  let spareBytes: number | null = Number.POSITIVE_INFINITY;
  let totalBytes = 0;
  let fullestBytes = 0;
  for (let stage = 0; stage < stages.length; stage += 1) {
    const parts = partsOf(stage, device);
    const { total } = sumParts(parts);
    for (let rank = 0; rank < plan.tensorParallel; rank += 1) totalBytes += total;
    fullestBytes = Math.max(fullestBytes, total);
    spareBytes =
      spareBytes === null || parts.limitBytes === null ? null : Math.min(spareBytes, parts.limitBytes - total);
  }
  return { spareBytes, totalBytes, fullestBytes };
}

/** The parts of a device as they are told. */
function sumParts(parts: RankParts): Pick<DeviceMemory, "weights" | "kvCache" | "compute" | "overhead" | "total"> {
  const { weights, kvCache } = parts;
  const compute = parts.activation + parts.graphs;
  const overhead = parts.context + parts.nonTorch;
  return { weights, kvCache, compute, overhead, total: weights + kvCache + compute + overhead };
}

/** One serving engine's answer, device by device, before it is put into the common shape. */
export interface ServingMemory {
  plan: ParallelPlan;
  ranks: Ranks;
  stages: StageWeights[];
  weights: WeightsBreakdown;
  parts: RankParts[];
  cacheGroups: KvCacheLayerGroup[];
  cacheBytesPerToken: number;
  pool: CachePool | null;
  /** Sequences of one step at most; no limit but memory if absent. */
  mostSequences?: number;
}

/**
 * An engine's answer in the common shape.
 *
 * @param explain The calculation, given every device's memory.
 * @param warnings What the engine has to say beside what all of them do.
 */
export function describeServing(
  request: EstimateRequest,
  memory: ServingMemory,
  engine: ServingEngine,
  explain: (devices: readonly DeviceMemory[]) => CalculationStep[],
  warnings: () => EstimateWarning[],
): MemoryLayout {
  const devices = describeDevices(memory);
  return {
    weights: memory.weights,
    cacheBytes: sumOf(devices, (device) => device.kvCache),
    cacheBytesPerToken: memory.cacheBytesPerToken,
    cacheGroups: memory.cacheGroups,
    devices,
    host: { weights: 0, kvCache: 0, compute: 0 },
    pool: memory.pool,
    ...(memory.mostSequences !== undefined && { mostSequences: memory.mostSequences }),
    steps: () => explain(devices),
    warnings: () => [...servingWarnings(request, memory.plan, memory.ranks, engine), ...warnings()],
  };
}

/** Memory of every device in the order given: those of the plan, then the unused ones. */
function describeDevices(memory: ServingMemory): DeviceMemory[] {
  const { plan, ranks, stages, parts } = memory;
  const used = ranks.used.map((device, index): DeviceMemory => {
    const part = parts[index] as RankParts;
    const stage = stages[stageOf(index, plan)];
    return { index, device, ...sumParts(part), layers: stage?.layers ?? 0, limitBytes: part.limitBytes };
  });
  const unused = ranks.unused.map((device, offset) => emptyDevice(device, ranks.used.length + offset));
  return [...used, ...unused];
}

function emptyDevice(device: Device, index: number): DeviceMemory {
  return { index, device, weights: 0, kvCache: 0, compute: 0, overhead: 0, total: 0, layers: 0 };
}

/** The rank with the least room for its cache; the first where no capacity is known. */
export function tightestRank(parts: readonly RankParts[]): number {
  const roomOf = (part: RankParts | undefined): number => part?.available ?? Number.POSITIVE_INFINITY;
  return parts.reduce((least, part, rank) => (roomOf(part) < roomOf(parts[least]) ? rank : least), 0);
}

/** Ranks are dealt stage by stage: neighbours share the layers of one stage. */
export function stageOf(rank: number, plan: ParallelPlan): number {
  return Math.floor(rank / plan.tensorParallel);
}
