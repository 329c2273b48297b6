import type { CalculationStep } from "../estimate.types.js";
import { countText, sizeText } from "../size-text.js";
import { familyOf } from "./card-family.js";
import type { DecodeStep } from "./estimate-speed.js";
import type { SpeedSettings } from "./speed.types.js";
import type { StageTime, TimeInput } from "./stage-time.js";

/** What an estimate of speed came to. */
interface SpeedResult {
  step: DecodeStep;
  /** Null where a card's peak is not known. */
  promptSeconds: number | null;
  sequences: number;
  settings: SpeedSettings;
}

const MILLI = 1000;
const GIGA = 1e9;
const SOURCES = {
  roofline: "Williams, Waterman and Patterson: Roofline (2009): the slower of reading and computing",
  experts: "mean of distinct draws: count x (1 - (1 - used / count)^tokens)",
} as const;

/** How the figures were computed, in order, with the numbers put in. */
export function explainSpeed(input: TimeInput, result: SpeedResult): CalculationStep[] {
  return [bytesStep(input, result), flopsStep(result), decodeStep(result), ...prefillStep(result), basisStep(input)];
}

function bytesStep({ hostGbPerSecond, layout }: TimeInput, { step, sequences, settings }: SpeedResult) {
  const host = layout.stages.some(({ device }) => device === null) || layout.hostExpertLayers > 0 || layout.hostCache;
  return {
    title: "Bytes of a decoding step",
    formula: `weights that ${countText(sequences)} tokens pass through, each read once, touched experts counted once; cache read at ${countText(settings.depthTokens)} tokens, states read and written${host ? `; host memory at ${hostGbPerSecond} GB/s` : ""}`,
    result: `${countText(step.bytes)} bytes = ${sizeText(step.bytes)} over all devices`,
    source: SOURCES.experts,
  };
}

function flopsStep({ step }: SpeedResult): CalculationStep {
  return {
    title: "Operations of a decoding step",
    formula: "2 x active weights + 2 x products of attention, for every token",
    result: `${(step.flops / GIGA).toFixed(2)} GFLOP`,
    source: null,
  };
}

function decodeStep({ step, sequences }: SpeedResult): CalculationStep {
  const parts: [string, (time: StageTime) => number][] = [
    ["reading", (time) => time.memory],
    ["computing", (time) => time.compute],
    ["host memory", (time) => time.host],
    ["launches", (time) => time.launch],
    ["sums over devices", (time) => time.reduce],
  ];
  const texts = parts.flatMap(([name, read]) => {
    const seconds = step.stages.reduce((sum, time) => sum + read(time), 0);
    return seconds === 0 ? [] : [`${name} ${milliseconds(seconds)}`];
  });
  if (step.handover > 0) texts.push(`hand-overs ${milliseconds(step.handover)}`);
  return {
    title: "Time of a decoding step",
    formula: `${texts.join(" + ")} over ${step.stages.length} ${step.stages.length === 1 ? "stage" : "stages"}, one after another`,
    result: `${milliseconds(step.seconds)}: ${(1 / step.seconds).toFixed(1)} tokens/s a sequence, ${(sequences / step.seconds).toFixed(1)} in all`,
    source: SOURCES.roofline,
  };
}

function prefillStep({ promptSeconds, settings: { promptTokens } }: SpeedResult): CalculationStep[] {
  if (promptSeconds === null) return [];
  return [
    {
      title: "Reading the prompt",
      formula: `${countText(promptTokens)} tokens in the engine's chunks: products at the card's peak, results and scores at its bandwidth`,
      result: `${promptSeconds.toFixed(3)} s: ${(promptTokens / promptSeconds).toFixed(0)} tokens/s`,
      source: SOURCES.roofline,
    },
  ];
}

function basisStep({ constants, cards }: TimeInput): CalculationStep {
  const families = new Set(cards.map((card) => familyOf(card, constants.families)?.name ?? "any card"));
  return {
    title: "Shares of the data sheet that are reached",
    formula: [...families].join(", "),
    result: constants.basis,
    source: "the catalogue's measurements of speed, Query.accuracy",
  };
}

function milliseconds(seconds: number): string {
  return `${(seconds * MILLI).toFixed(3)} ms`;
}
