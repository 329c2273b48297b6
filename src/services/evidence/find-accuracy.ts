import type { Catalogue } from "../../data/catalogue.js";
import { findAll } from "../catalogue/conditions.js";
import { inTurns } from "../turns.js";
import type { AttentionKind, EvidenceService } from "./evidence.js";
import { type AccuracyReportModel, reportAccuracy } from "./report.js";
import type { AccuracyComponent } from "./types.js";

/** Which measurements a report is of; conditions are combined with AND. */
export interface AccuracyFilter {
  runtime?: readonly string[] | null | undefined;
  model?: readonly string[] | null | undefined;
  attention?: readonly AttentionKind[] | null | undefined;
  component?: readonly AccuracyComponent[] | null | undefined;
}

/**
 * The estimator's error over the measurements that match.
 * @throws BadUserInputError for an unknown slug, with the nearest ones; the signal's reason when nobody waits for it
 * any more
 */
export async function findAccuracy(
  evidence: EvidenceService,
  filter: AccuracyFilter,
  catalogue: Catalogue,
  signal?: AbortSignal,
): Promise<AccuracyReportModel> {
  const runtimes =
    filter.runtime && idsOf(findAll(catalogue.runtimes, filter.runtime, ["filter", "runtime"], "runtime"));
  const models = filter.model && idsOf(findAll(catalogue.models, filter.model, ["filter", "model"], "model"));
  // Compared one by one, and kept: the report finds them done.
  await inTurns(catalogue.measurements.rows, (measurement) => void evidence.of(measurement), signal);
  const matching = evidence.all((measurement) => {
    if (runtimes && !runtimes.has(measurement.runtimeId)) return false;
    return !models || (measurement.modelId !== null && models.has(measurement.modelId));
  });
  const { attention } = filter;
  const ofKind = attention
    ? matching.filter((one) => one.attention !== null && attention.includes(one.attention))
    : matching;
  return reportAccuracy(ofKind, filter.component ?? undefined);
}

function idsOf(rows: readonly { id: string }[]): ReadonlySet<string> {
  return new Set(rows.map(({ id }) => id));
}
