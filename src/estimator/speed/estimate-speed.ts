import type { EstimateRequest } from "../estimate.types.js";
import { F16_CACHE, requestedTypes } from "../kv-cache/cache-type.js";
import { onceOnly } from "../once-for.js";
import { familyOf } from "./card-family.js";
import { explainSpeed } from "./explain-speed.js";
import type { SpeedCard, SpeedConstants, SpeedEstimate, SpeedLimit, SpeedSettings } from "./speed.types.js";
import { handoverTime, type Pass, peakTflops, type StageTime, stageTime, type TimeInput } from "./stage-time.js";
import { type Layout, layOutStages, type PlacedModel, promptChunks } from "./stages.js";
import { modelWork } from "./token-work.js";

/** Bandwidth of host memory unless told otherwise: two channels of DDR5-5600, 2 x 8 bytes x 5.6 GT/s, in GB/s. */
export const DEFAULT_HOST_GB_PER_SECOND = 89.6;

/** Depths of a prompt at which its attention is sampled: the middles of so many equal parts. */
const DEPTH_SAMPLES = 4;

/**
 * How fast a model runs where a memory estimate put it: each device takes the longer of reading and computing for
 * every part of a layer, beside launches, sums over devices and hand-overs; layers on several devices run one after
 * another.
 *
 * @returns null where no card is known, or the bandwidth of one is not.
 */
export function estimateSpeed(
  request: EstimateRequest,
  memory: PlacedModel,
  cards: readonly SpeedCard[],
  constants: SpeedConstants,
  settings: SpeedSettings,
): SpeedEstimate | null {
  if (cards.length === 0 || cards.length < memory.devices.length) return null;
  const layout = layOutStages(request, memory);
  if (layout.stages.length === 0) return null;
  const input: TimeInput = {
    architecture: request.architecture,
    work: modelWork(request.architecture, request.scheme),
    layout,
    cards,
    constants,
    cacheTypes: requestedTypes(request, F16_CACHE),
    hostGbPerSecond: settings.hostGbPerSecond,
    loopsOverExperts: request.runtime.kind === "transformers" && request.runtime.constants.experts === "LOOP",
  };
  const { sequences } = request;
  const step = decodeStep(input, sequences, settings.depthTokens);
  if (step === null) return null;
  const promptSeconds = onceOnly(() => prefillSeconds(request, input, settings.promptTokens));
  return {
    decode: 1 / step.seconds,
    throughput: sequences / step.seconds,
    // Who sorts by decoding alone does not pay for the prompt.
    get prefill() {
      const seconds = promptSeconds();
      return seconds === null ? null : settings.promptTokens / seconds;
    },
    get timeToFirstToken() {
      const seconds = promptSeconds();
      return seconds === null ? null : seconds + step.seconds;
    },
    limit: step.limit,
    bytesPerToken: Math.round(step.bytes / sequences),
    flopsPerToken: step.flops / sequences,
    family: slowestFamily(cards, constants),
    get steps() {
      return explainSpeed(input, { step, promptSeconds: promptSeconds(), sequences, settings });
    },
  };
}

/** One decoding step of all sequences. */
export interface DecodeStep {
  seconds: number;
  stages: readonly StageTime[];
  handover: number;
  limit: SpeedLimit;
  bytes: number;
  flops: number;
}

function decodeStep(input: TimeInput, sequences: number, depthTokens: number): DecodeStep | null {
  const { layout } = input;
  // Serving engines keep every pipeline stage busy with a group of the sequences.
  const groups = pipelineGroups(layout, sequences);
  const rows = sequences / groups;
  const pass: Pass = { rows, depths: [depthTokens], sequences: rows, outputRows: rows, expanded: false };
  const stages: StageTime[] = [];
  for (const stage of layout.stages) {
    const time = stageTime(input, stage, pass);
    if (time === null) return null;
    stages.push(time);
  }
  const handover = (layout.stages.length - 1) * handoverTime(input, rows);
  const sum = (read: (time: StageTime) => number): number => stages.reduce((total, time) => total + read(time), 0);
  return {
    seconds: sum((time) => time.total) + handover,
    stages,
    handover,
    limit: largestPart(input, stages, handover),
    bytes: sum((time) => time.bytes) * groups + input.work.tableRowBytes * sequences,
    flops: sum((time) => time.flops) * groups,
  };
}

/** Groups of sequences that are under way at once: one per stage in serving engines, all together in others. */
function pipelineGroups({ stages, overlapsSequences }: Layout, sequences: number): number {
  return overlapsSequences ? Math.min(stages.length, sequences) : 1;
}

function largestPart({ constants }: TimeInput, stages: readonly StageTime[], handover: number): SpeedLimit {
  const parts: Record<SpeedLimit, number> = {
    BANDWIDTH: 0,
    COMPUTE: 0,
    INTERCONNECT: handover,
    HOST_BANDWIDTH: 0,
    LAUNCH: 0,
  };
  for (const { memory, compute, host, reduce, launch } of stages) {
    const isHidden = constants.launchOverlaps && launch <= memory + compute + host + reduce;
    parts.BANDWIDTH += memory;
    parts.COMPUTE += compute;
    parts.HOST_BANDWIDTH += host;
    parts.INTERCONNECT += reduce;
    parts.LAUNCH += isHidden ? 0 : launch;
  }
  const limits = Object.keys(parts) as SpeedLimit[];
  return limits.reduce((most, limit) => (parts[limit] > parts[most] ? limit : most));
}

/** Seconds to read a prompt of one sequence; null where a card's peak is not known. */
function prefillSeconds(request: EstimateRequest, input: TimeInput, promptTokens: number): number | null {
  const { cards, constants, layout } = input;
  if (cards.some((card) => peakTflops(card, "half", false, constants) === null)) return null;
  const chunks = promptChunks(request.runtime, promptTokens);
  const count = Math.ceil(promptTokens / chunks.tokens);
  const rows = promptTokens / count;
  const depths = Array.from({ length: DEPTH_SAMPLES }, (_, part) => ((part + 0.5) / DEPTH_SAMPLES) * promptTokens);
  let sum = 0;
  let longest = 0;
  for (const stage of layout.stages) {
    const time = stageTime(input, stage, { rows, depths, sequences: 1, outputRows: 1 / count, expanded: true });
    if (time === null) return null;
    sum += time.total;
    longest = Math.max(longest, time.total);
  }
  // A run of chunks fills the stages once, and then waits for the longest of them.
  const handover = handoverTime(input, rows);
  const hops = layout.stages.length - 1;
  const runs = Math.ceil(count / chunks.inFlight);
  const following = count - runs;
  return runs * (sum + hops * handover) + following * (longest + (hops > 0 ? handover : 0));
}

function slowestFamily(cards: readonly SpeedCard[], { families }: SpeedConstants): string | null {
  const slowest = cards.reduce((least, card) =>
    (card.bandwidthGbPerSecond ?? 0) < (least.bandwidthGbPerSecond ?? 0) ? card : least,
  );
  return familyOf(slowest, families)?.name ?? null;
}
