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
import type { StageWeights } from "./sharded-weights.js";

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
    const part = parts[index];
    const stage = stages[stageOf(index, plan)];
    const weights = part?.weights ?? 0;
    const kvCache = part?.kvCache ?? 0;
    const compute = (part?.activation ?? 0) + (part?.graphs ?? 0);
    const overhead = (part?.context ?? 0) + (part?.nonTorch ?? 0);
    return {
      index,
      device,
      weights,
      kvCache,
      compute,
      overhead,
      total: weights + kvCache + compute + overhead,
      layers: stage?.layers ?? 0,
      limitBytes: part?.limitBytes ?? null,
    };
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
