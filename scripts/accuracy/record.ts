import type { AccuracyGroupModel, AccuracyReportModel } from "../../src/services/evidence/report.js";

/** What is kept of one group of errors; shares rounded to `DECIMALS`. */
export interface RecordedGroup {
  runtime: string;
  attention: string | null;
  component: string;
  count: number;
  median: number;
  p95: number;
  worst: number;
}

/** Decimals of a recorded error: a hundredth of a percent. */
const DECIMALS = 4;

/** Errors that differ by no more than this are the same: rounding, and no more. */
const TOLERANCE = 0.0002;

/** The figures of a report that must not get worse, in the report's order. */
export function recordGroups({ byRuntime, groups }: AccuracyReportModel): RecordedGroup[] {
  return [...byRuntime, ...groups].map(recordGroup);
}

function recordGroup(group: AccuracyGroupModel): RecordedGroup {
  return {
    runtime: group.runtime.slug,
    attention: group.attention,
    component: group.component,
    count: group.count,
    median: round(group.medianError),
    p95: round(group.p95Error),
    worst: round(Math.abs(group.worstError)),
  };
}

function round(error: number): number {
  return Number(error.toFixed(DECIMALS));
}

/** A line for each figure that got worse, and for each group that lost measurements. */
export function findWorse(recorded: readonly RecordedGroup[], current: readonly RecordedGroup[]): string[] {
  const now = new Map(current.map((group) => [nameOf(group), group]));
  return recorded.flatMap((before) => {
    const name = nameOf(before);
    const after = now.get(name);
    if (after === undefined || after.count < before.count) {
      return [`${name}: ${before.count} figures were compared, now ${after?.count ?? 0}.`];
    }
    return (["median", "p95", "worst"] as const)
      .filter((key) => after[key] > before[key] + TOLERANCE)
      .map((key) => `${name}: ${key} error ${percent(before[key])} before, now ${percent(after[key])}.`);
  });
}

function nameOf({ runtime, attention, component }: RecordedGroup): string {
  return [runtime, attention ?? "all kinds", component].join(" / ");
}

function percent(error: number): string {
  return `${(100 * error).toFixed(2)}%`;
}
