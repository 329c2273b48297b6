import type { EstimateRequest, MemoryEstimate } from "../../estimator/estimate.types.js";
import { explainIllegal } from "../../estimator/placement/parallel-plans.js";
import { countText, sizeText } from "../../estimator/size-text.js";
import { describePlan, headroomOf } from "./hardware-fits.js";
import type { HardwareMissModel, HardwareSet } from "./hardware-selection.js";
import { labelOf } from "./hardware-sets.js";

/** What keeps a card or system from being a fit. */
export type Obstacle =
  /** `within` is the field of the filter that keeps larger sets out. */
  | { kind: "TOO_SMALL"; within?: string }
  | {
      kind:
        | "NO_SPLIT"
        | "NO_CAPACITY"
        | "HOST_MEMORY"
        | "ENGINE"
        | "TOO_MANY_DEVICES"
        | "NOT_NEEDED"
        | "NOTHING_TO_MOVE";
    }
  | { kind: "FILTER"; field: string }
  /** The engine has no kernels for `what` on the card; `note` says what it takes. */
  | { kind: "KERNEL"; what: string; note: string };

const OBSTACLES: Readonly<Record<Exclude<Obstacle["kind"], "FILTER" | "KERNEL">, string>> = {
  TOO_SMALL: "too small",
  NO_SPLIT: "refused by the engine, which takes no split over so many devices",
  NO_CAPACITY: "of unknown usable memory",
  HOST_MEMORY: "short of host memory",
  ENGINE: "not hardware that the engine runs on",
  TOO_MANY_DEVICES: "of more devices than the engine uses",
  NOT_NEEDED: "large enough without offload",
  NOTHING_TO_MOVE:
    "without offload (llama.cpp alone moves layers to host memory, and experts of models that have some)",
};

/**
 * Why a search found nothing, with the nearest set if one is too small.
 *
 * @param obstacles what kept each card or system that the filter lets through from being a fit
 */
export function explainNothing(
  obstacles: readonly Obstacle[],
  admitted: number,
  nearest: () => HardwareMissModel | undefined,
  notes: readonly string[],
): string {
  if (admitted === 0) return ["The filter leaves no card and no system of the catalogue.", ...notes].join(" ");
  const counts = new Map<string, number>();
  for (const obstacle of obstacles) {
    const words = wordsOf(obstacle);
    counts.set(words, (counts.get(words) ?? 0) + 1);
  }
  const parts = [...counts].sort((a, b) => b[1] - a[1]).map(([words, count]) => `${count} ${words}`);
  const tried = admitted === 1 ? "the one card or system" : `the ${admitted} cards and systems`;
  const found = nearest();
  return [
    `Nothing is found among ${tried} that the filter leaves${parts.length === 0 ? "" : `: ${parts.join(", ")}`}.`,
    ...(found === undefined ? [] : [`Nearest: ${found.message}`]),
    ...notes,
  ].join(" ");
}

function wordsOf(obstacle: Obstacle): string {
  if (obstacle.kind === "KERNEL") return `without kernels for ${obstacle.what} (${obstacle.note})`;
  if (obstacle.kind === "FILTER") return `left out by \`${obstacle.field}\``;
  const words = OBSTACLES[obstacle.kind];
  return obstacle.kind === "TOO_SMALL" && obstacle.within !== undefined
    ? `${words} within \`${obstacle.within}\``
    : words;
}

/** A set that is too small; it is laid out only when it may be among the nearest. */
interface Candidate {
  /** What it lacks is this much or more, bytes. */
  atLeast: number;
  describe: () => HardwareMissModel;
}

/** Picks the least short of the sets that are too small, those with fewest cards first among equals; refused ones last. */
export function rankMisses(candidates: readonly Candidate[]): (first: number) => readonly HardwareMissModel[] {
  const waiting = candidates.toSorted((a, b) => a.atLeast - b.atLeast);
  const ranked: HardwareMissModel[] = [];
  let described = 0;
  return (first) => {
    for (; described < waiting.length; described += 1) {
      const next = waiting[described];
      const last = ranked[first - 1];
      if (next === undefined || first === 0 || (last !== undefined && shortageOf(last) < next.atLeast)) break;
      const miss = next.describe();
      const place = ranked.findIndex((other) => compareMisses(miss, other) < 0);
      ranked.splice(place === -1 ? ranked.length : place, 0, miss);
    }
    return ranked.slice(0, first);
  };
}

const shortageOf = ({ shortBy }: HardwareMissModel): number => shortBy ?? Number.POSITIVE_INFINITY;

function compareMisses(a: HardwareMissModel, b: HardwareMissModel): number {
  const [left, right] = [shortageOf(a), shortageOf(b)];
  return left === right ? a.count - b.count : left - right;
}

/** A set that is too small, and by how much; `memory` is null where the engine takes no split. */
export function describeMiss(
  set: HardwareSet,
  memory: MemoryEstimate | null,
  minHeadroom: number,
  request: EstimateRequest,
): HardwareMissModel {
  if (memory === null) {
    const refusal = explainRefusal(request, set.count);
    return { ...set, plan: null, shortBy: null, maxContext: 0, message: `${labelOf(set)}: ${refusal}` };
  }
  const shortBy = Math.max(-(memory.spareBytes ?? 0), minHeadroom - headroomOf(memory));
  return {
    ...set,
    get plan() {
      return describePlan(memory);
    },
    shortBy,
    get maxContext() {
      return memory.maxContextTokens ?? 0;
    },
    get message() {
      const context = memory.maxContextTokens ?? 0;
      const advice =
        context === 0 ? "no context is short enough to fit." : `a context of up to ${countText(context)} tokens fits.`;
      const headroom = minHeadroom > 0 ? " with the headroom asked for" : "";
      return `${labelOf(set)} is ${sizeText(Math.ceil(shortBy))} short on its fullest device${headroom}; ${advice}`;
    },
  };
}

/** The engine's reason against sharing every layer among so many devices. */
function explainRefusal({ architecture, scheme, runtime }: EstimateRequest, count: number): string {
  if (runtime.kind !== "vllm" && runtime.kind !== "sglang" && runtime.kind !== "tensorrt-llm") {
    return "this runtime does not use it.";
  }
  const plan = { tensorParallel: count, pipelineParallel: 1, expertParallel: false };
  return explainIllegal(architecture, scheme, plan, runtime.kind)?.message ?? "no split stays within its links.";
}
