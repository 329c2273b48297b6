import type { Architecture, Block } from "../architecture/architecture.js";
import { familyOf } from "./card-family.js";
import type { SpeedCard, SpeedConstants, StorageClass } from "./speed.types.js";
import type { Layout, Stage } from "./stages.js";
import {
  type CacheTypes,
  type CacheWork,
  type ClassWork,
  cacheWork,
  expertsTouched,
  type LayerWork,
  type ModelWork,
} from "./token-work.js";

/** Everything a stage's time is computed from. */
export interface TimeInput {
  architecture: Architecture;
  work: ModelWork;
  layout: Layout;
  /** The card of each device. */
  cards: readonly SpeedCard[];
  constants: SpeedConstants;
  cacheTypes: CacheTypes;
  hostGbPerSecond: number;
  /** Routed experts are run one after another. */
  loopsOverExperts: boolean;
}

/** Tokens that go through a stage together. */
export interface Pass {
  /** Tokens of all sequences. */
  rows: number;
  /** Depths that the tokens have behind them; the work is the mean over them. */
  depths: readonly number[];
  /** Sequences whose cache is read: as many as rows in decoding, 1 over a prompt. */
  sequences: number;
  /** Rows that the output matrix is applied to; below 1 where only some of the passes need it. */
  outputRows: number;
  /** Latent attention is computed on full keys and values. */
  expanded: boolean;
}

/** Seconds that a pass takes on a stage, by what it waits for. */
export interface StageTime {
  memory: number;
  compute: number;
  host: number;
  launch: number;
  reduce: number;
  /** Launches overlapped where the engine does so. */
  total: number;
  /** Bytes moved on all devices of the stage and the host. */
  bytes: number;
  /** Operations on all devices. */
  flops: number;
}

const GB = 1e9;
const TERA = 1e12;
const MICRO = 1e-6;
/** An operation for the product and one for the sum. */
const FLOPS_PER_PRODUCT = 2;
/** Values between operations are of 16 bits. */
const RESULT_BYTES = 2;
/** Residual that is summed or handed over: 16 bits a value. */
const RESIDUAL_BYTES = 2;
/** Sums over devices in a layer: after attention and after the feed-forward part. */
const REDUCES_PER_LAYER = 2;
/** A ring moves every byte twice: once to add up, once to hand out. */
const RING_PASSES = 2;
/** Share of host memory's bandwidth that matrix kernels of a CPU reach. */
const HOST_SHARE = 0.8;
/** From this many rows on llama.cpp copies weights in host memory to a device instead of computing on the CPU. */
const COPIED_FROM_ROWS = 32;
/** PCIe 3.0 x16, in one direction: where a card's own is not known. */
const DEFAULT_PCIE_GB_PER_SECOND = 15.75;

/** The time of a pass on a stage; null where the stage is on cards of unknown bandwidth. */
export function stageTime(input: TimeInput, stage: Stage, pass: Pass): StageTime | null {
  const cards = stage.device === null ? [] : input.cards.slice(stage.device, stage.device + stage.devices);
  let slowest: StageTime | null = null;
  for (const card of cards.length === 0 ? [null] : new Set(cards)) {
    const time = timeOnCard(input, stage, pass, card);
    if (time === null) return null;
    if (slowest === null || time.total > slowest.total) slowest = time;
  }
  return slowest;
}

/** Time of a stage whose devices are all of one card; on the host where there is none. */
function timeOnCard(input: TimeInput, stage: Stage, pass: Pass, card: SpeedCard | null): StageTime | null {
  const { constants } = input;
  if (card !== null && card.bandwidthGbPerSecond === null) return null;
  const sums: Sums = { memory: 0, compute: 0, host: 0, launchUs: 0, bytes: 0, flops: 0, cacheWorks: new Map() };
  const place = describePlace(input, stage, card);
  for (let layer = stage.firstLayer; layer < stage.firstLayer + stage.layers; layer += 1) {
    const work = input.work.layers[layer];
    if (work !== undefined) addLayer(sums, input, place, pass, work, layer);
  }
  if (stage.hasOutput) {
    const { outputRows } = pass;
    addWeights(sums, input, place, input.work.output.dense, 1 / place.devices, Math.max(1, outputRows), {
      touched: Math.min(1, outputRows),
      outOf: 1,
    });
  }
  const launch = (constants.stepUs + sums.launchUs) * MICRO;
  const reduce = reduceTime(input, stage, pass, card);
  const busy = sums.memory + sums.compute + sums.host + reduce;
  return {
    memory: sums.memory,
    compute: sums.compute,
    host: sums.host,
    launch,
    reduce,
    total: constants.launchOverlaps ? Math.max(busy, launch) : busy + launch,
    bytes: sums.bytes,
    flops: sums.flops,
  };
}

interface Sums {
  memory: number;
  compute: number;
  host: number;
  launchUs: number;
  bytes: number;
  flops: number;
  /** Cache work of the blocks met so far. */
  cacheWorks: Map<Block, CacheWork>;
}

/** Where a layer is computed, with what its constants come to there. */
interface Place {
  card: SpeedCard | null;
  devices: number;
  /** Bytes a second at the data sheet's bandwidth. */
  bandwidth: number;
  factors: { bandwidth: number; compute: number; launch: number; cache: number };
}

function describePlace(input: TimeInput, stage: Stage, card: SpeedCard | null): Place {
  const none = { bandwidth: 1, compute: 1, launch: 1, cache: 1 };
  return {
    card,
    devices: stage.devices,
    bandwidth: (card?.bandwidthGbPerSecond ?? input.hostGbPerSecond) * GB,
    factors: (card === null ? null : familyOf(card, input.constants.families)) ?? none,
  };
}

function addLayer(sums: Sums, input: TimeInput, place: Place, pass: Pass, work: LayerWork, layer: number): void {
  const { constants, layout } = input;
  const { devices } = place;
  const experts = work.block?.experts;
  addWeights(sums, input, place, work.dense, layout.wholeAttention ? 1 : 1 / devices, pass.rows);
  // A loop visits every expert, touched or not.
  const loops = input.loopsOverExperts ? (experts?.count ?? 0) : 0;
  const launchUs = work.operations * constants.operationUs + loops * constants.expertUs;
  sums.launchUs += launchUs * constants.storage[work.mostly].launch * place.factors.launch;
  if (experts !== undefined) {
    const touched = expertsTouched(experts, pass.rows);
    const share = layout.expertParallel ? busiestShare(touched, devices) : 1 / devices;
    const rowsOfEach = (pass.rows * experts.used) / touched;
    const inHost = layer < layout.hostExpertLayers;
    const target = inHost ? hostPlace(input, place) : place;
    addWeights(sums, input, target, work.experts, share, rowsOfEach, { touched, outOf: experts.count });
  }
  if (place.card !== null) {
    const results = work.results * pass.rows * RESULT_BYTES * constants.activationPasses;
    sums.memory += results / devices / (place.bandwidth * place.factors.bandwidth);
  }
  if (work.block !== null) addCache(sums, input, place, pass, work.block);
}

function hostPlace(input: TimeInput, { card }: Place): Place {
  // What is copied to the device goes over its PCIe link.
  const copy = pcieGbPerSecond(card);
  return {
    card: null,
    devices: 1,
    bandwidth: Math.min(input.hostGbPerSecond, copy) * GB,
    factors: { bandwidth: 1, compute: 1, launch: 1, cache: 1 },
  };
}

const WHOLE = { touched: 1, outOf: 1 };

/** Weights read once for all rows, and their products: a kernel waits for whichever takes longer. */
function addWeights(
  sums: Sums,
  input: TimeInput,
  place: Place,
  weights: readonly ClassWork[],
  share: number,
  rows: number,
  { touched, outOf }: { touched: number; outOf: number } = WHOLE,
): void {
  const { constants } = input;
  for (const work of weights) {
    const { storage } = work;
    const { bandwidth, compute, tileRows } = constants.storage[storage];
    const bytes = (work.bytes * touched) / outOf;
    const products = work.products * touched;
    const flops = FLOPS_PER_PRODUCT * products * rows;
    sums.bytes += bytes;
    sums.flops += flops;
    if (place.card === null) {
      // Enough rows are worth copying the weights to a device; few are computed where they are.
      const gb = rows >= COPIED_FROM_ROWS ? place.bandwidth : input.hostGbPerSecond * GB * HOST_SHARE;
      sums.host += (bytes * share) / gb;
      continue;
    }
    const reading = (bytes * share) / (place.bandwidth * bandwidth * place.factors.bandwidth);
    const peak = peakTflops(place.card, storage, work.isFp4, constants);
    const computing =
      peak === null
        ? 0
        : (flops * share * Math.max(rows, tileRows)) / rows / (peak * TERA * compute * place.factors.compute);
    if (computing > reading) sums.compute += computing;
    else sums.memory += reading;
  }
}

/** The dense peak that a storage class is computed at, TFLOPS; null where it is not known. */
export function peakTflops(
  card: SpeedCard,
  storage: StorageClass,
  isFp4: boolean,
  { nativePeaks }: SpeedConstants,
): number | null {
  const half = card.fp16Tflops ?? card.fp32Tflops;
  if (storage === "fp8" && nativePeaks.includes("fp8")) return card.fp8Tflops ?? half;
  if (isFp4 && nativePeaks.includes("fp4")) return card.fp4Tflops ?? half;
  return half;
}

/**
 * Share of the touched experts that the busiest of several devices holds, when they are dealt by lot: the mean and
 * the usual excess of a maximum over it, mean x sqrt(2 ln n / mean).
 */
function busiestShare(touched: number, devices: number): number {
  if (devices === 1) return 1;
  const mean = touched / devices;
  return Math.min(1, (mean + Math.sqrt(2 * mean * Math.log(devices))) / touched);
}

function addCache(sums: Sums, input: TimeInput, place: Place, pass: Pass, block: Block): void {
  const { constants, layout } = input;
  const { bytes, products, scores } = meanOf(block, input, pass, sums.cacheWorks);
  const share = cacheShare(block, place.devices, layout);
  const moved = bytes * pass.sequences;
  const flops = FLOPS_PER_PRODUCT * products * pass.rows;
  sums.bytes += moved;
  sums.flops += flops;
  if (layout.hostCache || place.card === null) {
    sums.host += (moved * share) / (input.hostGbPerSecond * GB * HOST_SHARE);
    return;
  }
  const reading = (moved * share) / (place.bandwidth * constants.cacheBandwidth * place.factors.cache);
  const stored = (scores * pass.rows * constants.scoreBytes * share) / (place.bandwidth * place.factors.bandwidth);
  const peak = peakTflops(place.card, "half", false, constants);
  const computing =
    peak === null ? 0 : flops / place.devices / (peak * TERA * constants.attentionCompute * place.factors.compute);
  if (computing > reading + stored) sums.compute += computing;
  else sums.memory += reading + stored;
}

function meanOf(block: Block, input: TimeInput, pass: Pass, known: Map<Block, CacheWork>): CacheWork {
  let work = known.get(block);
  if (work === undefined) {
    work = meanWork(input, pass, block);
    known.set(block, work);
  }
  return work;
}

function meanWork(input: TimeInput, pass: Pass, block: Block): CacheWork {
  const { architecture, cacheTypes } = input;
  const mean = { bytes: 0, products: 0, scores: 0 };
  for (const depth of pass.depths) {
    const work = cacheWork(block, architecture.hiddenSize, depth, cacheTypes, pass.expanded);
    mean.bytes += work.bytes / pass.depths.length;
    mean.products += work.products / pass.depths.length;
    mean.scores += work.scores / pass.depths.length;
  }
  return mean;
}

/** Share of a layer's cache that one of several devices reads: heads are divided, a latent is whole on each. */
function cacheShare(block: Block, devices: number, { wholeAttention }: Layout): number {
  if (wholeAttention || devices === 1) return 1 / devices;
  const { attention } = block;
  if (attention === undefined) return 1 / devices;
  return attention.kind === "grouped" ? Math.max(1 / devices, 1 / attention.kvHeads) : 1;
}

/** Sums over the devices of a stage: latency, and the residual of every row around a ring. */
function reduceTime(input: TimeInput, stage: Stage, pass: Pass, card: SpeedCard | null): number {
  if (stage.devices === 1 || card === null) return 0;
  const { reduceUs } = input.constants;
  const isLinked = card.linkGbPerSecond !== null && stage.devices <= card.linkedCards;
  const bytes = pass.rows * input.architecture.hiddenSize * RESIDUAL_BYTES;
  const moved = (RING_PASSES * bytes * (stage.devices - 1)) / stage.devices;
  // The data sheet counts both directions.
  const once =
    (isLinked ? reduceUs.linked : reduceUs.pcie) * MICRO +
    moved / ((isLinked ? (card.linkGbPerSecond ?? 0) / 2 : pcieGbPerSecond(card)) * GB);
  return once * REDUCES_PER_LAYER * stage.layers;
}

function pcieGbPerSecond(card: SpeedCard | null | undefined): number {
  return card?.pcieGbPerSecond ?? DEFAULT_PCIE_GB_PER_SECOND;
}

/** Handing the residual of a pass to the next stage, seconds. */
export function handoverTime(input: TimeInput, rows: number): number {
  const [card] = input.cards;
  const bytes = rows * input.architecture.hiddenSize * RESIDUAL_BYTES;
  return input.constants.handoverUs * MICRO + bytes / (pcieGbPerSecond(card) * GB);
}
