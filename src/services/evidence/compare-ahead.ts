import { setTimeout as delay, setImmediate as nextTurn } from "node:timers/promises";
import type { MeasurementRow } from "../../data/rows.js";
import type { EvidenceService } from "./evidence.js";

/** Milliseconds that are left to those who wait for the start's first answers. */
const FIRST_ANSWERS_MS = 2_000;

/**
 * Compares measurements one by one, letting requests in between, so that whoever first asks for an interval or a report
 * does not wait for all of them. Ends early when told to.
 */
export async function compareAhead(
  evidence: EvidenceService,
  measurements: readonly MeasurementRow[],
  signal: AbortSignal,
): Promise<void> {
  await delay(FIRST_ANSWERS_MS, undefined, { ref: false });
  for (const measurement of measurements) {
    if (signal.aborted) return;
    evidence.of(measurement);
    await nextTurn();
  }
}
