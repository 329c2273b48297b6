import { GIB } from "../../byte-units.js";
import type { CachePool, EstimateRequest } from "../../estimate.types.js";
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
import type { TensorrtLlmConstants, TensorrtLlmSettings } from "./tensorrt-llm.types.js";

/** TensorRT-LLM's own figures beside those that all engines have. */
export interface TensorrtLlmMemory extends ServingMemory {
  fraction: number;
  maxNumTokens: number;
  maxBatchSize: number;
  rates: TokenRates;
  /** Free on the tightest device once the model is loaded; null where a capacity is not known. */
  freeBytes: number | null;
}

/** A model under one of TensorRT-LLM's splits. */
interface TensorrtLlmPlan extends ServingPlan {
  fraction: number;
  maxNumTokens: number;
  maxBatchSize: number;
  entries: DeviceEntry[];
  kept: KeptTokens;
  stageRates: TokenRates[];
}

/**
 * Memory of a model on TensorRT-LLM (PyTorch backend): the cache takes `freeGpuMemoryFraction` of what weights,
 * activations and the driver leave.
 *
 * Source: TensorRT-LLM documentation, memory usage; _torch/pyexecutor/_util.py (KvCacheCreator).
 *
 * @throws EstimateError for settings that the engine refuses.
 */
export function estimateTensorrtLlm(
  request: EstimateRequest,
  settings: TensorrtLlmSettings,
  constants: TensorrtLlmConstants,
): TensorrtLlmMemory {
  const ranks = assignRanks(request, planOf(settings), "tensorrt-llm");
  const planned = planTensorrtLlm(request, settings, constants);
  const { plan, sharding, fraction, maxNumTokens, maxBatchSize, entries, kept, stageRates } = planned;
  const model = shardableModel(request.architecture, request.scheme);
  const stages = sharding.weigh(model);
  const parts = partsOfRanks(planned, stages, ranks.used);
  const tightest = tightestRank(parts);
  const rates = stageRates[stageOf(tightest, plan)] ?? NO_RATES;
  const available = parts[tightest]?.available ?? null;
  return {
    plan,
    ranks,
    stages,
    get weights() {
      return model.weights;
    },
    parts,
    cacheGroups: tokenCacheGroups(request, entries, kept, plan.tensorParallel),
    cacheBytesPerToken: plan.tensorParallel * sumOf(stageRates, (rate) => rate.full),
    pool: available === null ? null : describePool(request, constants, rates, kept, available),
    mostSequences: maxBatchSize,
    fraction,
    maxNumTokens,
    maxBatchSize,
    rates,
    freeBytes: available === null ? null : Math.max(0, available / fraction),
  };
}

/**
 * Everything about a legal split that depends neither on the format nor on how much its devices hold.
 *
 * @throws EstimateError for settings out of range.
 */
export function planTensorrtLlm(
  request: Omit<EstimateRequest, "scheme">,
  settings: TensorrtLlmSettings,
  constants: TensorrtLlmConstants,
): TensorrtLlmPlan {
  checkWorkload(request);
  checkShares({ freeGpuMemoryFraction: settings.freeGpuMemoryFraction });
  checkCounts({ maxNumTokens: settings.maxNumTokens, maxBatchSize: settings.maxBatchSize });
  const { architecture } = request;
  const plan = planOf(settings);
  const sharding = createSharding(architecture, plan, {
    vocabularyPadding: constants.vocabularyPadding * plan.tensorParallel,
    spareLayers: "first",
  });
  const fraction = settings.freeGpuMemoryFraction ?? constants.freeGpuMemoryFraction;
  const maxNumTokens = settings.maxNumTokens ?? constants.maxNumTokens;
  const maxBatchSize = settings.maxBatchSize ?? constants.maxBatchSize;
  const entries = listDeviceEntries(architecture, {
    attentionDevices: plan.tensorParallel,
    ...requestedTypes(request, BF16_CACHE),
    recurrentStateBytes: constants.recurrentStateBytes,
    indexKeysInEveryLayer: true,
  });
  const kept = keptTokens(request, constants, maxNumTokens);
  const stageRates = sharding.stages.map((stage) => ratesOf(entries, stage));
  const step = { tokens: maxNumTokens, sequences: Math.min(maxBatchSize, maxNumTokens) };
  const graphSizes = countGraphSizes(Math.min(maxBatchSize, constants.cudaGraphs.largestBatch));
  const context = constants.contextGib * GIB;
  const nonTorch = plan.tensorParallel * plan.pipelineParallel > 1 ? constants.communicationGib * GIB : 0;
  const demands = stageDemands(architecture, sharding.stages, plan, step, graphSizes, constants);
  const on: ServingPlan["on"] =
    (stages) =>
    (stage, { capacityBytes: capacity }) => {
      const weights = stages[stage]?.bytes ?? 0;
      const demand = demands[stage] ?? NO_DEMAND;
      const { activation, graphs } = demand;
      const free = capacity === null ? null : capacity - context - nonTorch - weights - activation - graphs;
      return {
        weights,
        ...demand,
        kvCache: cacheBytesOf(stageRates[stage] ?? NO_RATES, kept),
        context,
        nonTorch,
        limitBytes: capacity === null || free === null ? null : capacity - (1 - fraction) * Math.max(0, free),
        available: free === null ? null : fraction * free,
      };
    };
  return { plan, sharding, on, fraction, maxNumTokens, maxBatchSize, entries, kept, stageRates };
}

function planOf({ tensorParallel, pipelineParallel, expertParallel }: TensorrtLlmSettings): ParallelPlan {
  return { tensorParallel, pipelineParallel, expertParallel };
}

function keptTokens(
  { architecture, contextTokens, sequences }: Omit<EstimateRequest, "scheme">,
  constants: TensorrtLlmConstants,
  maxNumTokens: number,
): KeptTokens {
  const inBlocks = (tokens: number): number =>
    Math.ceil(tokens / constants.blockSizeTokens) * constants.blockSizeTokens;
  const window = Math.max(
    0,
    ...Object.values(architecture.blocks).map(({ attention }) =>
      attention !== undefined && "window" in attention ? (attention.window?.size ?? 0) : 0,
    ),
  );
  const full = inBlocks(contextTokens);
  const windowed = constants.slidingWindowPools ? Math.min(full, inBlocks(window + maxNumTokens)) : full;
  return { full, windowed, sequences };
}

function describePool(
  { contextTokens }: EstimateRequest,
  { blockSizeTokens }: TensorrtLlmConstants,
  rates: TokenRates,
  kept: KeptTokens,
  available: number,
): CachePool | null {
  if (rates.full === 0 && rates.windowed === 0 && rates.state === 0) {
    return null;
  }
  const bytes = Math.max(0, Math.floor(available));
  const perSequence = cacheBytesOf(rates, { ...kept, sequences: 1 });
  const maxConcurrency = bytes / perSequence;
  // Where only the context grows the cache, blocks are counted; windows and states are counted by whole sequences.
  const isPlain = rates.windowed === 0 && rates.state === 0 && rates.full > 0;
  const tokens = isPlain
    ? Math.floor(bytes / rates.full / blockSizeTokens) * blockSizeTokens
    : Math.floor(maxConcurrency * contextTokens);
  return { bytesPerDevice: bytes, tokens, blockTokens: blockSizeTokens, maxConcurrency };
}
