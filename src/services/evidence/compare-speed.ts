import type { Catalogue } from "../../data/catalogue.js";
import type { GpuRow } from "../../data/rows.js";
import { estimate as estimateMemory } from "../../estimator/estimate.js";
import type { EstimateRequest, MemoryEstimate } from "../../estimator/estimate.types.js";
import { DEFAULT_HOST_GB_PER_SECOND, estimateSpeed } from "../../estimator/speed/estimate-speed.js";
import { describeSpeedCard, speedConstants } from "../estimation/speed-cards.js";
import { readSpeed, type SpeedAt } from "./read-speed.js";
import type { Comparison, MeasuredRun, Unreadable } from "./types.js";

/** A measured run of speed beside its estimate. */
export interface ComparedSpeed {
  request: EstimateRequest;
  estimate: MemoryEstimate;
  comparisons: Comparison[];
}

/**
 * Compares the rates of a measurement with the estimate of the same run.
 *
 * @throws EstimateError or QuantizationError for a run that cannot be estimated
 */
export function compareSpeed(run: MeasuredRun, gpu: GpuRow | null, catalogue: Catalogue): ComparedSpeed | Unreadable {
  const constants = speedConstants(run.runtime);
  if (constants === null) return { reason: `The speed of ${run.runtime.name} is not estimated.` };
  const reading = readSpeed(run, gpu, catalogue);
  if ("reason" in reading) return reading;
  const { request } = reading;
  const estimate = estimateMemory(request);
  const cards = gpu === null ? [] : estimate.devices.map(() => describeSpeedCard(gpu));
  const speedAt: SpeedAt = (depthTokens, promptTokens) =>
    estimateSpeed(request, estimate, cards, constants, {
      depthTokens,
      promptTokens,
      hostGbPerSecond: DEFAULT_HOST_GB_PER_SECOND,
    });
  const comparisons = reading.figures.flatMap(({ component, measured, estimated }): Comparison[] => {
    const figure = estimated(speedAt);
    return figure === null ? [] : [{ component, measured, estimated: figure, error: figure / measured - 1 }];
  });
  return { request, estimate, comparisons };
}
