import type { Catalogue } from "../../data/catalogue.js";
import type { GpuRow } from "../../data/rows.js";
import { createEqualSets, type EqualSets, type SetOptions } from "../../estimator/estimate.js";
import type { Device, EstimateRequest, MemoryEstimate, RuntimeRequest } from "../../estimator/estimate.types.js";
import { canOffload, createOffloadSets, type OffloadKind } from "../../estimator/fit/offload.js";
import { onceFor } from "../../estimator/once-for.js";
import { UNLIMITED_DEVICE } from "../../estimator/runtimes/memory-layout.js";
import { describeDevice, runsOn } from "./devices.js";
import { describeFit, headroomOf } from "./hardware-fits.js";
import { describeMiss, explainNothing, type Obstacle, rankMisses } from "./hardware-misses.js";
import { ALL_HARDWARE, type HardwareFindings, type HardwareSelection, type HardwareSet } from "./hardware-selection.js";
import { ACROSS_MACHINES, type Candidate, hostMemoryOf, linksOf, listCandidates, listSets } from "./hardware-sets.js";
import { kernelWarnings, missingKernel } from "./kernels.js";
import { requireRuntime } from "./runtimes.js";
import type { EstimateModel, HardwareFitModel } from "./types.js";

/** Searches of one catalogue version's hardware. */
export interface HardwareSearch {
  find(estimate: EstimateModel, selection?: HardwareSelection): HardwareFindings;
  smallestSet(estimate: EstimateModel, gpu: GpuRow): HardwareFitModel | null;
}

/** Devices that an engine uses in one process at most; as many as there are where absent. */
const MOST_DEVICES: Partial<Record<RuntimeRequest["kind"], number>> = {
  // ggml-cuda, GGML_CUDA_MAX_DEVICES.
  "llama-cpp": 16,
};

/** Plans of an estimate as its settings ask for them. */
type PlanKind = OffloadKind | "AS_ASKED";

/** What a search of one candidate came to. */
interface Outcome {
  kind: PlanKind;
  fit: HardwareFitModel | null;
  /** What kept the last set from being a fit. */
  obstacle: Obstacle;
  /** The largest set that is too small, what is nearly large enough; else one that the engine takes no split over. */
  tooSmall: HardwareSet | null;
}

/** Builds the search over the cards and systems that are in use. */
export function createHardwareSearch(catalogue: Catalogue): HardwareSearch {
  const candidates = listCandidates(catalogue);
  const searchOf = onceFor((estimate: EstimateModel) => createSetSearch(estimate, catalogue));

  return {
    find(estimate, selection = ALL_HARDWARE) {
      const search = searchOf(estimate);
      const admitted = candidates.filter(({ gpu, system }) => selection.rows.every((test) => test(gpu, system)));
      const kinds: readonly PlanKind[] = selection.offload ?? ["AS_ASKED"];
      const outcomes = admitted.flatMap((candidate) =>
        kinds.map((kind) => search.smallest(candidate, kind, selection)),
      );
      return describeFindings(search, outcomes, selection, admitted.length);
    },
    smallestSet: (estimate, gpu) => searchOf(estimate).smallest({ gpu, system: null }, "AS_ASKED", ALL_HARDWARE).fit,
  };
}

function describeFindings(
  search: SetSearch,
  outcomes: readonly Outcome[],
  selection: HardwareSelection,
  admitted: number,
): HardwareFindings {
  const fits = outcomes.flatMap(({ fit }) => fit ?? []);
  const ranked = once(() =>
    rankMisses(
      outcomes.flatMap(({ tooSmall, kind }) => {
        if (tooSmall === null) return [];
        const describe = () =>
          describeMiss(tooSmall, search.laidOut(tooSmall, kind), selection.minHeadroom, search.request);
        return [{ atLeast: search.leastShortage(tooSmall, kind), describe }];
      }),
    ),
  );
  const nearest: HardwareFindings["nearest"] = (first) => ranked()(first);
  return {
    fits,
    nearest,
    get reason() {
      if (fits.length > 0) return null;
      const obstacles = outcomes.map(({ obstacle }) => obstacle);
      return explainNothing(obstacles, admitted, () => nearest(1)[0], selection.notes);
    },
  };
}

/** The search of one estimate over sets. Layouts are kept, so that cards of a kind are laid out once. */
interface SetSearch {
  request: EstimateRequest;
  smallest(candidate: Candidate, kind: PlanKind, selection: HardwareSelection): Outcome;
  /** Memory of a set also where it is too small; null where the engine takes no split over so many devices. */
  laidOut(set: HardwareSet, kind: PlanKind): MemoryEstimate | null;
  /** What the fullest device of a set that is too small lacks at least, bytes, without laying it out. */
  leastShortage(set: HardwareSet, kind: PlanKind): number;
}

function createSetSearch(estimate: EstimateModel, catalogue: Catalogue): SetSearch {
  const request = withoutSplit(estimate.request);
  const runtime = request.runtime.kind;
  const row = requireRuntime(estimate.runtime, catalogue);
  const setsByKind = new Map<PlanKind, EqualSets>();
  const deviceOf = onceFor((gpu: GpuRow): Device => describeDevice(gpu, row));
  const kernelOf = onceFor((gpu: GpuRow) => missingKernel(gpu, request, row));
  const laidOut = new Map<string, MemoryEstimate | null>();
  let weights: number | undefined;

  /** Weights on devices where nothing is stored twice; none where the search does not go by them. */
  function leastWeights(): number {
    weights ??= ACROSS_MACHINES.has(runtime) ? (setsOf("AS_ASKED")(UNLIMITED_DEVICE, 1)?.devices[0]?.weights ?? 0) : 0;
    return weights;
  }

  /** Of a set that is not laid out: what each device lacks for its share of the weights and nothing else. */
  function leastShortageOf({ gpu, count }: HardwareSet): number {
    return Math.max(0, leastWeights() / count - (deviceOf(gpu).capacityBytes ?? 0));
  }

  /** Whether a set that is not laid out is large enough for the weights: then it is the engine that takes no split. */
  function isRefused(set: HardwareSet): boolean {
    return ACROSS_MACHINES.has(runtime) && leastShortageOf(set) === 0;
  }

  function setsOf(kind: PlanKind): EqualSets {
    let sets = setsByKind.get(kind);
    if (sets === undefined) {
      sets = kind === "AS_ASKED" ? createEqualSets(request) : createOffloadSets(request, kind);
      setsByKind.set(kind, sets);
    }
    return sets;
  }

  /** Serving engines go by the links between cards and keep nothing in host memory; others the other way round. */
  function optionsOf(set: HardwareSet): SetOptions {
    if (ACROSS_MACHINES.has(runtime)) return { links: linksOf(set, catalogue) };
    const hostMemory = hostMemoryOf(set);
    return hostMemory === undefined ? {} : { hostMemory };
  }

  /** Systems that differ in nothing the engine goes by are laid out once. */
  function layOut(set: HardwareSet, kind: PlanKind): MemoryEstimate | null {
    const options = optionsOf(set);
    const { links, hostMemory } = options;
    const key = [kind, set.gpu.id, set.count, links?.perNode, links?.fastDomain, hostMemory?.capacityBytes].join("/");
    let memory = laidOut.get(key);
    if (memory === undefined) {
      memory = setsOf(kind)(deviceOf(set.gpu), set.count, options);
      laidOut.set(key, memory);
    }
    return memory;
  }

  function obstacleOf(set: HardwareSet, kind: PlanKind, selection: HardwareSelection): Obstacle | null {
    const { counts, nodes } = selection;
    if (set.count < counts.least || set.count > counts.most) return { kind: "FILTER", field: "count" };
    if (set.nodes < nodes.least || set.nodes > nodes.most) return { kind: "FILTER", field: "nodes" };
    const refused = selection.sets.find(({ test }) => !test(set));
    if (refused !== undefined) return { kind: "FILTER", field: refused.field };
    if (set.count > (MOST_DEVICES[runtime] ?? Number.POSITIVE_INFINITY)) return { kind: "TOO_MANY_DEVICES" };
    const moves = kind === "EXPERTS" || kind === "LAYERS";
    return moves && layOut(set, "NONE")?.fits === true ? { kind: "NOT_NEEDED" } : null;
  }

  function judge(
    set: HardwareSet,
    memory: MemoryEstimate | null,
    selection: HardwareSelection,
  ): Obstacle | HardwareFitModel {
    const { minHeadroom } = selection;
    if (memory === null) return { kind: isRefused(set) ? "NO_SPLIT" : "TOO_SMALL" };
    if ((memory.spareBytes ?? -1) < 0) return { kind: "TOO_SMALL" };
    if (minHeadroom > 0 && headroomOf(memory) < minHeadroom) return { kind: "TOO_SMALL" };
    if ((memory.spareHostBytes ?? 0) < 0) return { kind: "HOST_MEMORY" };
    const fit = describeFit(set, memory, () => kernelWarnings([set.gpu], memory.request, row));
    const refused = selection.fits.find(({ test }) => !test(fit));
    return refused === undefined ? fit : { kind: "FILTER", field: refused.field };
  }

  return {
    request,
    smallest(candidate, kind, selection) {
      const outcome: Outcome = { kind, fit: null, obstacle: { kind: "TOO_SMALL" }, tooSmall: null };
      if (!runsOn(runtime, candidate.gpu)) return { ...outcome, obstacle: { kind: "ENGINE" } };
      if (kind !== "AS_ASKED" && !canOffload(request, kind))
        return { ...outcome, obstacle: { kind: "NOTHING_TO_MOVE" } };
      const lacking = kernelOf(candidate.gpu);
      if (lacking !== null) return { ...outcome, obstacle: { kind: "KERNEL", what: lacking.what, note: lacking.note } };
      if (deviceOf(candidate.gpu).capacityBytes === null) return { ...outcome, obstacle: { kind: "NO_CAPACITY" } };
      const most = isOneCardEnough(candidate, kind, selection) ? 1 : Number.POSITIVE_INFINITY;
      for (const set of listSets(candidate, runtime)) {
        if (set.count > most) break;
        const obstacle = obstacleOf(set, kind, selection);
        if (obstacle !== null) {
          outcome.obstacle = outcome.tooSmall === null ? obstacle : smallWithin(outcome.obstacle, obstacle);
          continue;
        }
        const judged = judge(set, layOut(set, kind), selection);
        if ("memory" in judged) return { ...outcome, fit: judged };
        outcome.obstacle = judged;
        if (judged.kind === "TOO_SMALL" || outcome.tooSmall === null) outcome.tooSmall = missOf(judged, set);
      }
      return outcome;
    },
    laidOut(set, kind) {
      const options = { ...optionsOf(set), evenIfTooSmall: true };
      return layOut(set, kind) ?? setsOf(kind)(deviceOf(set.gpu), set.count, options);
    },
    leastShortage(set, kind) {
      const { spareBytes } = layOut(set, kind) ?? {};
      if (spareBytes != null) return Math.max(0, -spareBytes);
      return leastShortageOf(set);
    },
  };
}

/** A set that may be named among the nearest, by what kept it from being a fit. */
function missOf({ kind }: Obstacle, set: HardwareSet): HardwareSet | null {
  return kind === "TOO_SMALL" || kind === "NO_SPLIT" ? set : null;
}

/** Offload is for those who have one card; more of them are tried when the filter speaks of their number. */
function isOneCardEnough({ system }: Candidate, kind: PlanKind, { counts }: HardwareSelection): boolean {
  const moves = kind === "EXPERTS" || kind === "LAYERS";
  return moves && system === null && counts.least === 1 && counts.most === Number.POSITIVE_INFINITY;
}

/** Smaller sets are too small, and what keeps the larger ones out: the first condition to do so. */
function smallWithin(known: Obstacle, obstacle: Obstacle): Obstacle {
  if (known.kind === "NO_SPLIT" || (known.kind === "TOO_SMALL" && known.within !== undefined)) return known;
  return obstacle.kind === "FILTER" ? { kind: "TOO_SMALL", within: obstacle.field } : { kind: "TOO_SMALL" };
}

/** A split among the devices that were given says nothing of other sets: they are split as the runtime does by itself. */
function withoutSplit(request: EstimateRequest): EstimateRequest {
  const { runtime } = request;
  if (runtime.kind !== "llama-cpp" || runtime.settings.tensorSplit === undefined) return request;
  const { tensorSplit: _, ...settings } = runtime.settings;
  return { ...request, runtime: { ...runtime, settings } };
}

function once<Value>(compute: () => Value): () => Value {
  let known: { value: Value } | undefined;
  return () => {
    known ??= { value: compute() };
    return known.value;
  };
}
