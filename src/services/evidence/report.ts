import type { MeasurementRow, RuntimeRow } from "../../data/rows.js";
import { groupBy } from "../catalogue/relations.js";
import type { AttentionKind, Evidence } from "./evidence.js";
import { errorStatistics } from "./statistics.js";
import { ACCURACY_COMPONENTS, type AccuracyComponent, type Comparison } from "./types.js";

/** Errors of one group of figures; `attention` is null for all kinds together. */
export interface AccuracyGroupModel {
  runtime: RuntimeRow;
  attention: AttentionKind | null;
  component: AccuracyComponent;
  count: number;
  bias: number;
  medianError: number;
  p95Error: number;
  worstError: number;
  worst: MeasurementRow;
}

export interface AccuracyReportModel {
  measurements: number;
  compared: number;
  groups: AccuracyGroupModel[];
  byRuntime: AccuracyGroupModel[];
  notCompared: { reason: string; count: number }[];
}

type Figure = { evidence: Evidence; comparison: Comparison };

/** Statistics over evidence, by runtime, kind of attention and component. */
export function reportAccuracy(
  evidence: readonly Evidence[],
  components: readonly AccuracyComponent[] = ACCURACY_COMPONENTS,
): AccuracyReportModel {
  const figures = evidence.flatMap((one): Figure[] =>
    one.comparisons
      .filter(({ component }) => components.includes(component))
      .map((comparison) => ({ evidence: one, comparison })),
  );
  return {
    measurements: evidence.length,
    compared: new Set(figures.map((figure) => figure.evidence)).size,
    groups: describeGroups(figures, ({ attention }) => attention),
    byRuntime: describeGroups(figures, () => null),
    notCompared: countReasons(evidence),
  };
}

function describeGroups(
  figures: readonly Figure[],
  attentionOf: (evidence: Evidence) => AttentionKind | null,
): AccuracyGroupModel[] {
  return [...groupBy(figures, (figure) => keyOf(figure, attentionOf))]
    .sort(([left], [right]) => (left < right ? -1 : 1))
    .map(([, group]) => describeGroup(group, attentionOf));
}

function keyOf({ evidence, comparison }: Figure, attentionOf: (evidence: Evidence) => AttentionKind | null): string {
  const component = ACCURACY_COMPONENTS.indexOf(comparison.component);
  return `${evidence.runtime.slug} ${attentionOf(evidence) ?? ""} ${component}`;
}

function describeGroup(
  group: readonly Figure[],
  attentionOf: (evidence: Evidence) => AttentionKind | null,
): AccuracyGroupModel {
  const worst = group.reduce((most, figure) =>
    Math.abs(figure.comparison.error) > Math.abs(most.comparison.error) ? figure : most,
  );
  const { count, bias, median, p95 } = errorStatistics(group.map(({ comparison }) => comparison.error));
  return {
    runtime: worst.evidence.runtime,
    attention: attentionOf(worst.evidence),
    component: worst.comparison.component,
    count,
    bias,
    medianError: median,
    p95Error: p95,
    worstError: worst.comparison.error,
    worst: worst.evidence.measurement,
  };
}

function countReasons(evidence: readonly Evidence[]): { reason: string; count: number }[] {
  const counts = new Map<string, number>();
  for (const { reason } of evidence) {
    if (reason !== null) counts.set(reason, (counts.get(reason) ?? 0) + 1);
  }
  return [...counts].map(([reason, count]) => ({ reason, count })).sort((left, right) => right.count - left.count);
}

/**
 * The error of a measurement's total; of the largest part compared where no total was measured. Of speed, decoding comes
 * first.
 */
export function mainError({ comparisons }: Evidence): number | null {
  const total = comparisons.find(({ component }) => component === "TOTAL" || component === "DECODE_SPEED");
  const sizes = comparisons.filter(({ component }) => component !== "KV_TOKENS");
  const largest = sizes.toSorted((left, right) => right.measured - left.measured)[0];
  return (total ?? largest ?? comparisons[0])?.error ?? null;
}
