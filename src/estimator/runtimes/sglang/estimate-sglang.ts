import { GIB, MIB } from "../../byte-units.js";
import type { CachePool, EstimateRequest } from "../../estimate.types.js";
import { EstimateError } from "../../estimate-error.js";
import { BF16_CACHE, requestedTypes } from "../../kv-cache/cache-type.js";
import type { ParallelPlan } from "../../placement/parallel-plans.js";
import { sumOf } from "../../sum-of.js";
import { checkCounts, checkShares, checkWorkload } from "../request-checks.js";
import { countGraphSizes } from "../serving/activation-peak.js";
import { type DeviceEntry, listDeviceEntries } from "../serving/device-entries.js";
import { assignRanks } from "../serving/ranks.js";
import {
  partsOfRanks,
  type ServingMemory,
  type ServingPlan,
  smallestCapacity,
  stageOf,
  tightestRank,
} from "../serving/serving-memory.js";
import { createSharding, shardableModel } from "../serving/sharded-weights.js";
import { NO_DEMAND, stageDemands } from "../serving/stage-demands.js";
import {
  cacheBytesOf,
  type KeptTokens,
  NO_RATES,
  ratesOf,
  type TokenRates,
  tokenCacheGroups,
} from "../serving/token-cache.js";
import type { SglangConstants, SglangSettings } from "./sglang.types.js";

/** SGLang's own figures beside those that all engines have. */
export interface SglangMemory extends ServingMemory {
  /** Share of what is free at the start that weights and cache may take. */
  fraction: number;
  /** What the fraction was computed from, MiB; null where it was given. */
  reservedMib: number | null;
  chunkTokens: number;
  graphSequences: number;
  /** Bytes of a token on the device with the least room. */
  rates: TokenRates;
}

/** What SGLang looks at of its devices beside their exact capacity. */
interface SglangDevices {
  sizes: ChunkSizes;
  areLarge: boolean;
}

/** A model under one of SGLang's splits. */
interface SglangPlan extends ServingPlan {
  entries: DeviceEntry[];
  kept: KeptTokens;
  stageRates: TokenRates[];
  /** Devices that divide a chunk among themselves. */
  chunkShares: number;
}

/**
 * Memory of a model on SGLang: weights and pools take `memFractionStatic` of what is free at the start; the rest is
 * left to activations and CUDA graphs.
 *
 * Source: SGLang, srt/server_args.py (memory fraction), srt/model_executor/pool_configurator.py (pools).
 *
 * @throws EstimateError for settings that SGLang refuses.
 */
export function estimateSglang(
  request: EstimateRequest,
  settings: SglangSettings,
  constants: SglangConstants,
): SglangMemory {
  const ranks = assignRanks(request, planOf(settings), "sglang");
  const smallest = smallestCapacity(ranks.used);
  const devices = sglangDevices(smallest, settings, constants);
  const planned = planSglang(request, settings, constants, devices);
  const { plan, sharding, entries, kept, stageRates, chunkShares } = planned;
  const model = shardableModel(request.architecture, request.scheme);
  const stages = sharding.weigh(model);
  const { reservedMib, fraction } = staticShare(settings, constants, devices.sizes, smallest);
  const parts = partsOfRanks(planned, stages, ranks.used);
  const tightest = tightestRank(parts);
  const rates = stageRates[stageOf(tightest, plan)] ?? NO_RATES;
  const available = parts[tightest]?.available ?? null;
  const pool = available === null ? null : describePool(request, constants, rates, available);
  return {
    plan,
    ranks,
    stages,
    get weights() {
      return model.weights;
    },
    parts,
    cacheGroups: tokenCacheGroups(request, entries, kept, plan.tensorParallel),
    cacheBytesPerToken: plan.tensorParallel * sumOf(stageRates, (rate) => rate.full) * shareOfSequences(request, kept),
    // With data-parallel attention every device has a pool for sequences of its own.
    pool: pool === null ? null : { ...pool, maxConcurrency: pool.maxConcurrency * chunkShares },
    fraction,
    reservedMib,
    chunkTokens: devices.sizes.chunkTokens,
    graphSequences: devices.sizes.graphSequences,
    rates,
  };
}

/** What the split does not depend on but by these answers: devices with equal ones are planned alike. */
export function sglangDevices(
  smallest: number | null,
  settings: SglangSettings,
  constants: SglangConstants,
): SglangDevices {
  return {
    sizes: sizesOf(settings, constants, smallest),
    areLarge: smallest === null || smallest >= constants.largeDeviceFromGib * GIB,
  };
}

/**
 * Everything about a legal split that depends neither on the format nor on how much its devices hold.
 *
 * @throws EstimateError for settings out of range.
 */
export function planSglang(
  request: Omit<EstimateRequest, "scheme">,
  settings: SglangSettings,
  constants: SglangConstants,
  { sizes, areLarge }: SglangDevices,
): SglangPlan {
  checkWorkload(request);
  checkShares({ memFractionStatic: settings.memFractionStatic });
  checkCounts({ chunkedPrefillSize: settings.chunkedPrefillSize, cudaGraphMaxBatch: settings.cudaGraphMaxBatch });
  const { architecture } = request;
  const plan = planOf(settings);
  const sharding = createSharding(architecture, plan, {
    vocabularyPadding: constants.vocabularyPadding,
    spareLayers: "before-last",
    wholeEncoders: constants.wholeEncoders,
    ...(constants.clonedSharedExperts !== undefined && { clonedSharedExperts: constants.clonedSharedExperts }),
    buffers: {
      rotaryValueBytes: constants.rotaryTables.valueBytes,
      sectionedStretch: constants.rotaryTables.sectionedStretch,
      injectedTokens: 0,
    },
  });
  const entries = listDeviceEntries(architecture, {
    attentionDevices: settings.dataParallelAttention ? 1 : plan.tensorParallel,
    ...requestedTypes(request, BF16_CACHE),
    recurrentStateBytes: constants.recurrentStateBytes,
    indexKeysInEveryLayer: constants.indexKeysInEveryLayer,
  });
  const kept = keptTokens(request, settings, constants);
  const stageRates = sharding.stages.map((stage) => ratesOf(entries, stage));
  // With data-parallel attention each device computes its share of a chunk.
  const chunkShares = settings.dataParallelAttention ? plan.tensorParallel : 1;
  const step = { tokens: Math.ceil(sizes.chunkTokens / chunkShares), sequences: sizes.graphSequences };
  const graphSizes = countGraphSizes(sizes.graphSequences);
  const several = plan.tensorParallel * plan.pipelineParallel > 1;
  const communication = several ? (areLarge ? constants.communicationGib.large : constants.communicationGib.small) : 0;
  const demands = stageDemands(architecture, sharding.stages, plan, step, graphSizes, constants);
  const context = constants.contextGib * GIB;
  const nonTorch = communication * GIB;
  const on: ServingPlan["on"] = (stages, smallest) => {
    const { fraction } = staticShare(settings, constants, sizes, smallest);
    return (stage, { capacityBytes: capacity }) => {
      const rates = stageRates[stage] ?? NO_RATES;
      const demand = demands[stage] ?? NO_DEMAND;
      const weights = stages[stage]?.bytes ?? 0;
      const atStart = capacity === null ? null : capacity - context - nonTorch;
      const available = atStart === null ? null : fraction * atStart - weights;
      const perSequence = cacheBytesOf(rates, { ...kept, sequences: 1 });
      return {
        weights,
        ...demand,
        kvCache: cacheBytesOf(rates, kept),
        context,
        nonTorch,
        limitBytes:
          capacity === null || available === null
            ? null
            : Math.min(
                capacity,
                weights +
                  demand.activation +
                  demand.graphs +
                  context +
                  nonTorch +
                  usableBytes(request, constants, rates, perSequence, available),
              ),
        available,
      };
    };
  };
  return { plan, sharding, on, entries, kept, stageRates, chunkShares };
}

function planOf(settings: SglangSettings): ParallelPlan {
  const { tensorParallel, pipelineParallel, expertParallel, dataParallelAttention } = settings;
  return { tensorParallel, pipelineParallel, expertParallel, wholeAttention: dataParallelAttention };
}

/** The share of what is free at the start that weights and pools take, and what it was computed from. */
function staticShare(
  settings: SglangSettings,
  constants: SglangConstants,
  sizes: ChunkSizes,
  smallest: number | null,
): Pick<SglangMemory, "fraction" | "reservedMib"> {
  const given = settings.memFractionStatic;
  if (given !== undefined) {
    return { fraction: given, reservedMib: null };
  }
  const reservedMib = reserveOf(settings, constants, sizes, smallest);
  return { fraction: fractionOf(settings, constants, reservedMib, smallest), reservedMib };
}

interface ChunkSizes {
  chunkTokens: number;
  graphSequences: number;
}

/** Chunk and graph sizes by the memory of the card; the largest class where it is not known. */
function sizesOf(settings: SglangSettings, constants: SglangConstants, capacity: number | null): ChunkSizes {
  const classes = constants.defaultsByMemory;
  const found =
    (capacity === null ? undefined : classes.find(({ belowGib }) => capacity < belowGib * GIB)) ?? classes.at(-1);
  if (found === undefined) {
    throw new EstimateError("The catalogue's row of SGLang has no sizes by memory.", ["runtime"]);
  }
  const sequences =
    settings.tensorParallel >= 4
      ? (found.cudaGraphMaxSequencesFromTp4 ?? found.cudaGraphMaxSequences)
      : found.cudaGraphMaxSequences;
  return {
    chunkTokens: settings.chunkedPrefillSize ?? found.chunkedPrefillTokens,
    graphSequences: settings.cudaGraphMaxBatch ?? sequences,
  };
}

const LARGE_CARD_GIB = 60;
const MANY_SEQUENCES = 300;
const NODE_GPUS = 8;

/** MiB kept free of weights and pools (srt/server_args.py). */
function reserveOf(
  settings: SglangSettings,
  constants: SglangConstants,
  { chunkTokens, graphSequences }: ChunkSizes,
  capacity: number | null,
): number {
  const gpus = settings.tensorParallel * settings.pipelineParallel;
  let mib =
    constants.reservedBaseMib +
    constants.reservedMibPerChunkToken * Math.max(chunkTokens, constants.minimumChunkTokens) +
    constants.reservedMibPerGraphSequence * graphSequences +
    (constants.reservedMibPerEightGpus * gpus) / NODE_GPUS;
  if (settings.dataParallelAttention) {
    const perSequence =
      constants.dataParallelAttentionMibPerGraphSequence +
      (graphSequences > MANY_SEQUENCES ? constants.dataParallelAttentionExtraMibPerGraphSequenceAbove300 : 0);
    mib += perSequence * graphSequences * settings.tensorParallel;
  }
  return capacity !== null && capacity > LARGE_CARD_GIB * GIB
    ? Math.max(mib, constants.reservedMinimumMibAbove60Gib)
    : mib;
}

function fractionOf(
  settings: SglangSettings,
  constants: SglangConstants,
  reservedMib: number,
  capacity: number | null,
): number {
  const byDevices = constants.memFractionByTensorParallel.findLast(
    ({ fromTensorParallel }) => settings.tensorParallel >= fromTensorParallel,
  );
  if (byDevices !== undefined) {
    return byDevices.fraction;
  }
  if (capacity === null) {
    return constants.memFractionWithoutReading;
  }
  const scale = 10 ** constants.memFractionRounding;
  const mib = capacity / MIB;
  // Cards too small for the reserve have no share left; a sliver keeps what follows defined.
  return Math.max(1, Math.round(((mib - reservedMib) / mib) * scale)) / scale;
}

/** What one device keeps of the request: its share of the sequences where attention is data-parallel. */
function keptTokens(
  { contextTokens, sequences }: Pick<EstimateRequest, "contextTokens" | "sequences">,
  settings: SglangSettings,
  constants: SglangConstants,
): KeptTokens {
  const pages = Math.ceil(contextTokens / constants.pageTokens) * constants.pageTokens;
  return {
    full: pages,
    // Their pool is a fixed share of the other, whatever the window.
    windowed: Math.ceil(pages * constants.slidingWindowRatio),
    sequences: settings.dataParallelAttention ? Math.ceil(sequences / settings.tensorParallel) : sequences,
  };
}

/** A further token of one sequence is stored on one device only where attention is data-parallel. */
function shareOfSequences({ sequences }: EstimateRequest, kept: KeptTokens): number {
  return Math.min(1, kept.sequences / sequences);
}

/** Bytes of the pools that sequences of the asked context can use: the split between tokens and states is fixed. */
function usableBytes(
  request: Pick<EstimateRequest, "contextTokens">,
  constants: SglangConstants,
  rates: TokenRates,
  perSequence: number,
  available: number,
): number {
  const pool = describePool(request, constants, rates, available);
  return pool === null ? available : Math.min(available, perSequence * pool.maxConcurrency);
}

function describePool(
  { contextTokens }: Pick<EstimateRequest, "contextTokens">,
  constants: SglangConstants,
  rates: TokenRates,
  available: number,
): CachePool | null {
  if (rates.full === 0 && rates.windowed === 0 && rates.state === 0) {
    return null;
  }
  const bytes = Math.max(0, Math.floor(available));
  const { recurrentShareOfCache: share, pageTokens, slidingWindowRatio } = constants;
  const forStates = rates.state > 0 ? (bytes * share) / (1 + share) : 0;
  const slots = rates.state > 0 ? Math.floor(forStates / rates.state) : Number.POSITIVE_INFINITY;
  const left = bytes - (rates.state > 0 ? slots * rates.state : 0);
  const perToken = rates.full + rates.windowed * slidingWindowRatio;
  const tokens = perToken === 0 ? 0 : Math.floor(left / perToken / pageTokens) * pageTokens;
  return {
    bytesPerDevice: bytes,
    tokens,
    blockTokens: pageTokens,
    maxConcurrency: Math.min(slots, perToken === 0 ? slots : tokens / contextTokens),
  };
}
