import { estimate } from "../estimate.js";
import type { EstimateRequest, MemoryEstimate } from "../estimate.types.js";
import { EstimateError } from "../estimate-error.js";
import { type DeviceLinks, preferFastLinks } from "../placement/device-links.js";
import { legalPlans, type ParallelPlan } from "../placement/parallel-plans.js";
import { isServing, type ServingRequest, underPlan } from "../runtimes/serving/serving-splits.js";

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
  let best: MemoryEstimate | null = null;
  for (const plan of bestPlans(request, runtime, devices.length, links)) {
    const memory = estimate(underPlan(request, runtime, plan));
    if (memory.fits !== false) {
      return memory;
    }
    best = best === null || (memory.spareBytes ?? 0) > (best.spareBytes ?? 0) ? memory : best;
  }
  return best ?? refuseSplits(devices.length);
}

/** The splits that an engine takes over so many devices, the one that runs best first. */
export function bestPlans(
  { architecture, scheme }: Pick<EstimateRequest, "architecture" | "scheme">,
  runtime: ServingRequest,
  count: number,
  links?: DeviceLinks,
): ParallelPlan[] {
  const wholeAttention = runtime.kind === "sglang" && runtime.settings.dataParallelAttention;
  const legal = legalPlans(architecture, scheme, count, runtime.kind, { wholeAttention });
  return links === undefined ? legal : preferFastLinks(legal, links);
}

/** @throws EstimateError that the engine takes no split over so many devices. */
export function refuseSplits(count: number): never {
  throw new EstimateError(
    `It is split over ${count} devices in no way that the engine takes.`,
    ["devices"],
    "SPLIT_NOT_SUPPORTED",
  );
}
