import { GIB } from "../../byte-units.js";
import type { CachePool, Device, EstimateRequest, KvCacheLayerGroup } from "../../estimate.types.js";
import { BF16_CACHE, requestedTypes } from "../../kv-cache/cache-type.js";
import type { ParallelPlan } from "../../placement/parallel-plans.js";
import { sumOf } from "../../sum-of.js";
import { checkCounts, checkShares, checkWorkload } from "../request-checks.js";
import { type ActivationPeak, activationPeak, countGraphSizes, type StepSize } from "../serving/activation-peak.js";
import { listDeviceEntries } from "../serving/device-entries.js";
import { assignRanks } from "../serving/ranks.js";
import {
  partsOfRanks,
  type RankParts,
  type ServingMemory,
  type ServingPlan,
  stageOf,
} from "../serving/serving-memory.js";
import { createSharding, type ExpertPadding, type Stage, shardableModel } from "../serving/sharded-weights.js";
import { NO_DEMAND, stageDemands } from "../serving/stage-demands.js";
import { type BlockGroup, type BlockPlan, planBlocks } from "./cache-blocks.js";
import type { BatchDefaults, VllmConstants, VllmSettings } from "./vllm.types.js";

/** vLLM's own figures beside those that all engines have. */
export interface VllmMemory extends ServingMemory {
  utilization: number;
  batch: BatchDefaults;
  graphSizes: number;
  peak: ActivationPeak;
  blocks: BlockPlan;
  blocksPerSequence: number;
  /** Blocks of the pool on the device that has fewest; null where a capacity is not known. */
  poolBlocks: number | null;
}

/** What vLLM looks at of its devices beside their capacity. */
interface VllmDevices {
  /** Larger default batches go to them. */
  areLarge: boolean;
  expertPadding: ExpertPadding;
}

/** A model under one of vLLM's splits. */
interface VllmPlan extends ServingPlan {
  utilization: number;
  batch: BatchDefaults;
  graphSizes: number;
  step: StepSize;
  blocks: BlockPlan;
  blocksPerSequence: number;
}

/**
 * Memory of a model on vLLM (V1 engine): the pool is the budget, `gpuMemoryUtilization` x capacity, less weights,
 * activation peak, what grows outside PyTorch, and, in newer versions, the CUDA graphs.
 *
 * Source: vLLM, v1/worker/gpu_worker.py (determine_available_memory); 81 of 89 start-up logs that print every term close
 * within 0.06 GiB.
 *
 * @throws EstimateError for settings that vLLM refuses.
 */
export function estimateVllm(request: EstimateRequest, settings: VllmSettings, constants: VllmConstants): VllmMemory {
  const { architecture } = request;
  const ranks = assignRanks(request, planOf(settings), "vllm");
  const planned = planVllm(request, settings, constants, vllmDevices(ranks.used, settings, constants));
  const { plan, sharding, utilization, batch, graphSizes, step, blocks, blocksPerSequence } = planned;
  const model = shardableModel(architecture, request.scheme);
  const stages = sharding.weigh(model);
  const parts = partsOfRanks(planned, stages, ranks.used);
  const poolBlocks = countPoolBlocks(blocks, stages, parts, plan);
  return {
    plan,
    ranks,
    stages,
    get weights() {
      return model.weights;
    },
    parts,
    cacheGroups: groupsOf(request, blocks, stages, plan.tensorParallel),
    cacheBytesPerToken: growthPerToken(blocks, stages, plan.tensorParallel),
    pool: poolBlocks === null ? null : describePool(request, constants, blocks, blocksPerSequence, poolBlocks, parts),
    mostSequences: batch.maxNumSequences,
    utilization,
    batch,
    graphSizes,
    peak: activationPeak(architecture, plan, step, constants.activation, true),
    blocks,
    blocksPerSequence,
    poolBlocks,
  };
}

/** What the split does not depend on but by these answers: devices with equal ones are planned alike. */
export function vllmDevices(devices: readonly Device[], settings: VllmSettings, constants: VllmConstants): VllmDevices {
  return {
    areLarge: devices.every((device) => isLargeDevice(device, constants)),
    expertPadding: expertKernelOf(settings, devices, constants),
  };
}

/**
 * Everything about a legal split that depends neither on the format nor on how much its devices hold.
 *
 * @throws EstimateError for settings out of range.
 */
export function planVllm(
  request: Omit<EstimateRequest, "scheme">,
  settings: VllmSettings,
  constants: VllmConstants,
  { areLarge, expertPadding }: VllmDevices,
): VllmPlan {
  checkWorkload(request);
  checkShares({ gpuMemoryUtilization: settings.gpuMemoryUtilization });
  checkCounts({ maxNumBatchedTokens: settings.maxNumBatchedTokens, maxNumSeqs: settings.maxNumSeqs });
  const { architecture, contextTokens, sequences } = request;
  const plan = planOf(settings);
  const utilization = settings.gpuMemoryUtilization ?? constants.gpuMemoryUtilization;
  const batch = batchOf(settings, constants, areLarge, contextTokens);
  const sharding = createSharding(architecture, plan, {
    vocabularyPadding: constants.vocabularyPadding,
    spareLayers: "before-last",
    microscalingPadding: expertPadding,
    wholeEncoders: constants.wholeEncoders,
    wholePlainEncoders: constants.wholePlainEncoders,
    buffers: {
      rotaryValueBytes: constants.rotaryTables.valueBytes,
      sectionedStretch: constants.rotaryTables.sectionedStretch,
      injectedTokens: batch.maxNumBatchedTokens,
    },
  });
  const blocks = planBlocks(
    listDeviceEntries(architecture, {
      attentionDevices: plan.tensorParallel,
      ...requestedTypes(request, BF16_CACHE),
      recurrentStateBytes: architecture.recurrentStateBytes ?? constants.recurrentStateBytes,
      indexKeysInEveryLayer: false,
    }),
    {
      blockTokens: constants.blockSizeTokens,
      windowGroups: constants.slidingWindowGroups,
      recurrentBlocks: constants.recurrentBlocksPerSequence,
      groupStretch: constants.groupStretch,
      batchTokens: batch.maxNumBatchedTokens,
    },
  );
  const blocksPerSequence = sumOf(blocks.groups, (group) => group.blocksFor(contextTokens));
  const graphSizes = settings.enforceEager
    ? 0
    : countGraphSizes(Math.min(2 * batch.maxNumSequences, constants.cudaGraphs.largestBatch));
  const step = { tokens: batch.maxNumBatchedTokens, sequences: batch.maxNumSequences };
  const demands = stageDemands(architecture, sharding.stages, plan, step, graphSizes, constants);
  const caches = sharding.stages.map((stage) => sequences * blocksPerSequence * stageBlockBytes(blocks, stage));
  const several = plan.tensorParallel * plan.pipelineParallel > 1;
  const context = GIB * (several ? constants.contextGib.severalGpus : constants.contextGib.oneGpu);
  const nonTorch = GIB * nonTorchGib(constants, plan.tensorParallel, several, areLarge);
  const on: ServingPlan["on"] =
    (stages) =>
    (stage, { capacityBytes: capacity }) => {
      const weights = stages[stage]?.bytes ?? 0;
      const { activation, graphs } = demands[stage] ?? NO_DEMAND;
      const charged = constants.cudaGraphs.insideBudget ? graphs : 0;
      const outside = context + graphs - charged;
      const budget = capacity === null ? null : utilization * capacity;
      return {
        weights,
        activation,
        graphs,
        kvCache: caches[stage] ?? 0,
        context,
        nonTorch,
        limitBytes: capacity === null || budget === null ? null : Math.min(capacity, budget + outside),
        available: budget === null ? null : budget - weights - activation - nonTorch - charged,
      };
    };
  return { plan, sharding, on, utilization, batch, graphSizes, step, blocks, blocksPerSequence };
}

function planOf({ tensorParallel, pipelineParallel, expertParallel }: VllmSettings): ParallelPlan {
  return { tensorParallel, pipelineParallel, expertParallel };
}

/** Larger default batches go to cards by their memory (vLLM, engine/arg_utils.py); unknown ones count as large. */
function isLargeDevice(device: Device, { largeDevice }: VllmConstants): boolean {
  const isLarge = device.capacityBytes === null || device.capacityBytes >= largeDevice.fromGib * GIB;
  return isLarge && !largeDevice.exceptNamed.some((part) => device.name.toLowerCase().includes(part));
}

/** The kernel for experts in microscaling formats (vLLM, layers/fused_moe/oracle/mxfp4.py). */
function expertKernelOf(
  { expertKernel }: VllmSettings,
  devices: readonly Device[],
  { expertKernels, defaultExpertKernel }: VllmConstants,
): ExpertPadding {
  const [{ computeCapability } = {}] = devices;
  const suits =
    computeCapability === undefined
      ? undefined
      : expertKernels.findLast(({ fromCapability }) => fromCapability <= computeCapability)?.name;
  const name = expertKernel ?? suits ?? defaultExpertKernel;
  const { width, inputWidth } = expertKernels.find((kernel) => kernel.name === name) ?? NO_PADDING;
  return { width, inputWidth };
}

const NO_PADDING: ExpertPadding = { width: 1, inputWidth: 1 };

function batchOf(
  settings: VllmSettings,
  constants: VllmConstants,
  isLarge: boolean,
  contextTokens: number,
): BatchDefaults {
  const defaults = isLarge ? constants.largeDevice : constants;
  const tokens = settings.maxNumBatchedTokens ?? defaults.maxNumBatchedTokens;
  const maxNumBatchedTokens =
    constants.chunkedPrefill || settings.maxNumBatchedTokens !== undefined ? tokens : Math.max(tokens, contextTokens);
  return {
    maxNumBatchedTokens,
    maxNumSequences: Math.min(settings.maxNumSeqs ?? defaults.maxNumSequences, maxNumBatchedTokens),
  };
}

function nonTorchGib(constants: VllmConstants, tensorParallel: number, several: boolean, isLarge: boolean): number {
  const gib = constants.forwardNonTorchGib;
  if (tensorParallel > 1) {
    return isLarge ? gib.tensorParallel : gib.tensorParallelSmall;
  }
  return several ? gib.pipelineOnly : gib.oneGpu;
}

const stageBlockBytes = (blocks: BlockPlan, stage: Stage): number =>
  blocks.blockBytes(stage.firstLayer, stage.firstLayer + stage.layers);

/** All devices have the same number of blocks: as many as fit the tightest (v1/core/kv_cache_utils.py). */
function countPoolBlocks(
  blocks: BlockPlan,
  stages: readonly Stage[],
  parts: readonly RankParts[],
  plan: ParallelPlan,
): number | null {
  let fewest = Number.POSITIVE_INFINITY;
  for (const [rank, { available }] of parts.entries()) {
    const stage = stages[stageOf(rank, plan)];
    if (available === null || stage === undefined) {
      return null;
    }
    const blockBytes = stageBlockBytes(blocks, stage);
    if (blockBytes > 0) {
      fewest = Math.min(fewest, Math.max(0, Math.floor(available / blockBytes)));
    }
  }
  return Number.isFinite(fewest) ? fewest : null;
}

function describePool(
  { contextTokens }: EstimateRequest,
  constants: VllmConstants,
  blocks: BlockPlan,
  blocksPerSequence: number,
  poolBlocks: number,
  parts: readonly RankParts[],
): CachePool {
  const maxConcurrency = poolBlocks / blocksPerSequence;
  const blockTokens = Math.min(...blocks.groups.map((group) => group.blockTokens));
  const countsBlocks = constants.printedTokens === "blocks" && Number.isFinite(blockTokens);
  return {
    bytesPerDevice: Math.max(0, Math.floor(Math.min(...parts.map(({ available }) => available ?? 0)))),
    tokens: countsBlocks
      ? Math.floor(poolBlocks / blocks.groups.length) * blockTokens
      : Math.floor(maxConcurrency * contextTokens),
    blockTokens: Number.isFinite(blockTokens) ? blockTokens : contextTokens,
    maxConcurrency,
  };
}

/** Bytes of one block over all devices. */
function blockBytesOfAll(blocks: BlockPlan, stages: readonly Stage[], tensorParallel: number): number {
  return tensorParallel * sumOf(stages, (stage) => stageBlockBytes(blocks, stage));
}

function groupsOf(
  { contextTokens, sequences }: EstimateRequest,
  blocks: BlockPlan,
  stages: readonly Stage[],
  tensorParallel: number,
): KvCacheLayerGroup[] {
  const blockBytes = blockBytesOfAll(blocks, stages, tensorParallel);
  const rows = new Map<string, KvCacheLayerGroup>();
  for (const group of blocks.groups) {
    const perSequence = group.blocksFor(contextTokens);
    const cells = sequences * perSequence * (Number.isFinite(group.blockTokens) ? group.blockTokens : 1);
    for (const part of group.parts) {
      const key = `${part.kind}:${cells}`;
      const row = rows.get(key) ?? { kind: part.kind, layers: 0, cells, bytes: 0 };
      row.layers += part.layers;
      row.bytes += sequences * perSequence * blockBytes * part.share;
      rows.set(key, row);
    }
  }
  return [...rows.values()];
}

function growthPerToken(blocks: BlockPlan, stages: readonly Stage[], tensorParallel: number): number {
  const blockBytes = blockBytesOfAll(blocks, stages, tensorParallel);
  return sumOf(blocks.groups, (group) =>
    group.followsContext ? (blockBytes / group.blockTokens) * blocksWeight(group) : 0,
  );
}

/** Blocks per block's worth of context: 1, but for kinds that take several at once. */
function blocksWeight(group: BlockGroup): number {
  const many = 1024;
  return group.blocksFor(many * group.blockTokens) / many;
}
