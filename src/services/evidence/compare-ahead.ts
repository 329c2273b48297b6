import { setImmediate as nextTurn } from "node:timers/promises";
import type { MeasurementRow } from "../../data/rows.js";
import type { EvidenceService } from "./evidence.js";

/**
 * Compares measurements one by one, letting requests in between, so that whoever first asks for an interval or a report
 * does not wait for all of them. Ends early when told to.
 */
export async function compareAhead(
  evidence: EvidenceService,
  measurements: readonly MeasurementRow[],
  signal: AbortSignal,
): Promise<void> {
  for (const measurement of measurements) {
    if (signal.aborted) return;
    evidence.of(measurement);
    await nextTurn();
  }
}
