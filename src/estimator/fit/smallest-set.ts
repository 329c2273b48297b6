import { estimate } from "../estimate.js";
import type { Device, EstimateRequest, MemoryEstimate } from "../estimate.types.js";

/** The smallest set of one card that holds a model, or why none does. */
export type SmallestSet =
  | { count: number; estimate: MemoryEstimate }
  | { count: null; reason: "NO_CAPACITY" | "TOO_LARGE"; estimate: MemoryEstimate | null };

/**
 * The smallest number of one card whose fullest card fits, everything else as asked; counts are tried from
 * the least that could hold the total.
 *
 * @param maxCount - sets larger than this are not tried.
 * @throws EstimateError as `estimate` does.
 */
export function smallestSet(request: EstimateRequest, device: Device, maxCount: number): SmallestSet {
  const { capacityBytes } = device;
  if (capacityBytes === null || capacityBytes <= 0) {
    return { count: null, reason: "NO_CAPACITY", estimate: null };
  }
  let last: MemoryEstimate | null = null;
  let count = 1;
  while (count <= maxCount) {
    last = estimate({ ...request, devices: new Array<Device>(count).fill(device) });
    if (last.fits) {
      return { count, estimate: last };
    }
    // What the devices hold together never shrinks with more of them, so smaller sets need not be tried.
    const perDevice = capacityBytes - (device.reserveBytes ?? 0);
    const atLeast = perDevice > 0 ? Math.ceil(last.total / perDevice) : Number.POSITIVE_INFINITY;
    count = Math.max(count + 1, Math.min(atLeast, maxCount + 1));
  }
  return { count: null, reason: "TOO_LARGE", estimate: last };
}
