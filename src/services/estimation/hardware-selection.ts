import type { GpuRow, SystemRow } from "../../data/rows.js";
import type { OffloadKind } from "../../estimator/fit/offload.js";
import type { HardwareFitModel, ParallelPlanModel } from "./types.js";

/** A set of equal cards in one machine, or whole systems, before anything is laid out on it. */
export interface HardwareSet {
  readonly gpu: GpuRow;
  /** Null for a set of cards. */
  readonly system: SystemRow | null;
  /** Machines. */
  readonly nodes: number;
  /** Cards in all. */
  readonly count: number;
  /** Of the whole; null where unknown. */
  readonly usdPerHour: number | null;
  readonly usdToBuy: number | null;
  /** Power limits of the cards together; null where unknown. */
  readonly tdpWatts: number | null;
}

/** A condition on what is found, under the name of the filter's field that asks for it. */
interface Condition<Value> {
  field: string;
  test: (value: Value) => boolean;
}

/** Whole numbers, both bounds included. */
interface CountBounds {
  least: number;
  most: number;
}

/** What a search of hardware looks at. Conditions on rows come before any set is made, those on sets before layouts. */
export interface HardwareSelection {
  rows: readonly ((gpu: GpuRow, system: SystemRow | null) => boolean)[];
  counts: CountBounds;
  nodes: CountBounds;
  /** Kinds of plans; as the settings of the estimate say if null. */
  offload: readonly OffloadKind[] | null;
  sets: readonly Condition<HardwareSet>[];
  /** Free on the fullest device, bytes. */
  minHeadroom: number;
  fits: readonly Condition<HardwareFitModel>[];
  /** Sentences on what the filter names in vain. */
  notes: readonly string[];
}

/** All hardware, without condition. */
export const ALL_HARDWARE: HardwareSelection = {
  rows: [],
  counts: { least: 1, most: Number.POSITIVE_INFINITY },
  nodes: { least: 1, most: Number.POSITIVE_INFINITY },
  offload: null,
  sets: [],
  minHeadroom: 0,
  fits: [],
  notes: [],
};

/** What a search came to. What takes work beside the fits is done when it is asked for. */
export interface HardwareFindings {
  /** In no particular order. */
  readonly fits: readonly HardwareFitModel[];
  /** Sets of the selection that are just too small, the least short first, those the engine refuses last. */
  nearest(first: number): readonly HardwareMissModel[];
  /** Why nothing was found, in a sentence or two; null when something was. */
  readonly reason: string | null;
}

/** A set that is too small. Sizes are bytes. */
export interface HardwareMissModel extends HardwareSet {
  /** Null where the engine refuses every split over so many devices. */
  readonly plan: ParallelPlanModel | null;
  /** What the fullest device lacks, the headroom asked for included; null where the engine refuses. */
  readonly shortBy: number | null;
  /** Tokens a sequence could have on it; 0 when not even the shortest context fits. */
  readonly maxContext: number;
  readonly message: string;
}
