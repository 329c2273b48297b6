import type { EqualSets } from "../estimate.js";
import type { Device, MemoryEstimate } from "../estimate.types.js";

/** The smallest set of one card that holds a model, or why none does. */
export type SmallestSet =
  | { count: number; estimate: MemoryEstimate }
  | { count: null; reason: "NO_CAPACITY" | "TOO_LARGE"; estimate: MemoryEstimate | null };

/**
 * The smallest number of one card whose fullest card fits, everything else as asked.
 *
 * @param sets - the request over sets of equal devices (`createEqualSets`).
 * @param maxCount - sets larger than this are not tried.
 * @throws EstimateError as `estimate` does.
 */
export function smallestSet(sets: EqualSets, device: Device, maxCount: number): SmallestSet {
  const { capacityBytes } = device;
  if (capacityBytes === null || capacityBytes <= 0) {
    return { count: null, reason: "NO_CAPACITY", estimate: null };
  }
  let last: MemoryEstimate | null = null;
  for (let count = 1; count <= maxCount; count += 1) {
    last = sets(device, count);
    if (last?.fits) {
      return { count, estimate: last };
    }
  }
  return { count: null, reason: "TOO_LARGE", estimate: last };
}
