import type { EstimateRequest } from "../estimate.types.js";
import type { DeviceLinks } from "../placement/device-links.js";
import type { ParallelPlan } from "../placement/parallel-plans.js";
import type { QuantScheme } from "../quantization/scheme.js";
import type { EqualFit } from "../runtimes/serving/serving-memory.js";
import { createSplitFits, isServing, legalSplits, underBestSplit } from "../runtimes/serving/serving-splits.js";
import { refuseSplits } from "./best-plan.js";
import type { FormatFit, FormatFits } from "./format-fits.js";

/**
 * How a model stands to equal devices in many formats on a serving engine, with the figures of `estimateBestPlan` and
 * nothing described: the first of the legal splits that fits, the one that is least short where none does. Null for
 * other runtimes, devices that differ, and where something stands beside the model or shares the devices' memory.
 *
 * @param request - with devices of known capacity; the scheme is given later.
 * @param links - how the devices are linked; all alike if absent.
 */
export function createServingFits(request: Omit<EstimateRequest, "scheme">, links?: DeviceLinks): FormatFits | null {
  const { runtime, devices = [], extras, hostMemory } = request;
  const [device] = devices;
  const areEqual = device !== undefined && devices.every((other) => other === device);
  if (!isServing(runtime) || !areEqual || extras !== undefined || hostMemory?.sharedWithDevices) {
    return null;
  }
  const { capacityBytes } = device;
  const hostBytes = hostMemory?.capacityBytes ?? Number.POSITIVE_INFINITY;
  const describe = ({ spareBytes, totalBytes, fullestBytes }: EqualFit): FormatFit => ({
    totalBytes,
    spareBytes: Math.min(spareBytes ?? Number.NEGATIVE_INFINITY, hostBytes),
    headroomBytes: (capacityBytes ?? fullestBytes) - fullestBytes,
  });
  const splitFits = createSplitFits(request, runtime);
  const fits = ({ spareBytes }: FormatFit) => spareBytes >= 0;
  const compute = (scheme: QuantScheme): FormatFit => {
    const fitUnder = splitFits(scheme);
    const legal = legalSplits({ architecture: request.architecture, scheme }, runtime, devices.length);
    const outcomeUnder = (plan: ParallelPlan) => describe(fitUnder(plan, device));
    return underBestSplit(legal, links, outcomeUnder, fits) ?? refuseSplits(devices.length);
  };
  const known = new Map<QuantScheme, FormatFit>();
  const measure = (scheme: QuantScheme): FormatFit => {
    let fit = known.get(scheme);
    if (fit === undefined) {
      fit = compute(scheme);
      known.set(scheme, fit);
    }
    return fit;
  };
  return { fitOf: measure, measure, placed: () => null };
}
