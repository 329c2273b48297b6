import { estimate } from "../estimate.js";
import type { EstimateRequest, MemoryEstimate, RuntimeRequest } from "../estimate.types.js";
import { EstimateError } from "../estimate-error.js";
import { type DeviceLinks, preferFastLinks } from "../placement/device-links.js";
import { legalPlans } from "../placement/parallel-plans.js";

/**
 * The estimate of a request over all of its devices, equal or not, split as its runtime runs best: serving engines are
 * given the first of their legal splits that fits, the one that is least short where none does; other runtimes split by
 * themselves. Its `request` has the split.
 *
 * @param links - how the devices are linked; all alike if absent.
 * @throws EstimateError as `estimate` does, and where an engine takes no split over so many devices.
 */
export function estimateBestPlan(request: EstimateRequest, links?: DeviceLinks): MemoryEstimate {
  const { architecture, scheme, runtime, devices = [] } = request;
  if (runtime.kind !== "vllm" && runtime.kind !== "sglang" && runtime.kind !== "tensorrt-llm") {
    return estimate(request);
  }
  const wholeAttention = runtime.kind === "sglang" && runtime.settings.dataParallelAttention;
  const legal = legalPlans(architecture, scheme, devices.length, runtime.kind, { wholeAttention });
  let best: MemoryEstimate | null = null;
  for (const plan of links === undefined ? legal : preferFastLinks(legal, links)) {
    const underPlan = { ...runtime, settings: { ...runtime.settings, ...plan } } as RuntimeRequest;
    const memory = estimate({ ...request, runtime: underPlan });
    if (memory.fits !== false) {
      return memory;
    }
    best = best === null || (memory.spareBytes ?? 0) > (best.spareBytes ?? 0) ? memory : best;
  }
  if (best === null) {
    throw new EstimateError(
      `It is split over ${devices.length} devices in no way that the engine takes.`,
      ["devices"],
      "SPLIT_NOT_SUPPORTED",
    );
  }
  return best;
}
