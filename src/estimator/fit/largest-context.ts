import { CELL_PADDING } from "../kv-cache/cell-counts.js";
import { largestFitting } from "./largest-value.js";

/** Contexts are searched up to this many tokens: what a 32-bit token counter holds. */
const MAX_CONTEXT_TOKENS = 2 ** 31 - CELL_PADDING;

/**
 * The largest context, in whole cells of 256 tokens, that leaves no device short; 0 when none does.
 *
 * @param spareBytes - bytes left on the fullest device at a context; must not grow with it.
 */
export function largestFittingContext(spareBytes: (contextTokens: number) => number): number {
  const steps = largestFitting((step) => spareBytes(step * CELL_PADDING), MAX_CONTEXT_TOKENS / CELL_PADDING);
  return steps * CELL_PADDING;
}
