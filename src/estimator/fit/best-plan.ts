import { estimate } from "../estimate.js";
import type { EstimateRequest, MemoryEstimate } from "../estimate.types.js";
import { EstimateError } from "../estimate-error.js";
import type { DeviceLinks } from "../placement/device-links.js";
import type { ParallelPlan } from "../placement/parallel-plans.js";
import { isServing, legalSplits, underBestSplit, underPlan } from "../runtimes/serving/serving-splits.js";

/**
 * The estimate of a request over all of its devices, equal or not, split as its runtime runs best: serving engines are
 * given the first of their legal splits that fits, the one that is least short where none does; other runtimes split by
 * themselves. Its `request` has the split.
 *
 * @param links - how the devices are linked; all alike if absent.
 * @throws EstimateError as `estimate` does, and where an engine takes no split over so many devices.
 */
export function estimateBestPlan(request: EstimateRequest, links?: DeviceLinks): MemoryEstimate {
  const { runtime, devices = [] } = request;
  if (!isServing(runtime)) {
    return estimate(request);
  }
  const legal = legalSplits(request, runtime, devices.length);
  const memoryUnder = (plan: ParallelPlan) => estimate(underPlan(request, runtime, plan));
  return underBestSplit(legal, links, memoryUnder, ({ fits }) => fits !== false) ?? refuseSplits(devices.length);
}

/** @throws EstimateError that the engine takes no split over so many devices. */
export function refuseSplits(count: number): never {
  throw new EstimateError(
    `It is split over ${count} devices in no way that the engine takes.`,
    ["devices"],
    "SPLIT_NOT_SUPPORTED",
  );
}
