import { CELL_PADDING } from "../kv-cache/cell-counts.js";

/** Contexts are searched up to this many tokens: what a 32-bit token counter holds. */
const MAX_CONTEXT_TOKENS = 2 ** 31 - CELL_PADDING;
/** Guesses by straight line before halving takes over; memory is nearly linear in the context. */
const LINEAR_GUESSES = 6;

/**
 * The largest context, in whole cells of 256 tokens, that leaves no device short; 0 when none does.
 *
 * @param spareBytes - bytes left on the fullest device at a context; must not grow with it.
 */
export function largestFittingContext(spareBytes: (contextTokens: number) => number): number {
  const spareAt = (steps: number): number => spareBytes(steps * CELL_PADDING);
  const most = MAX_CONTEXT_TOKENS / CELL_PADDING;
  let low = 1;
  let lowSpare = spareAt(low);
  if (lowSpare < 0) {
    return 0;
  }
  let high = most;
  let highSpare = spareAt(high);
  if (highSpare >= 0) {
    return MAX_CONTEXT_TOKENS;
  }
  for (let guess = 0; high - low > 1; guess += 1) {
    let middle = Math.floor((low + high) / 2);
    if (guess < LINEAR_GUESSES) {
      const line = low + Math.floor(((high - low) * lowSpare) / (lowSpare - highSpare));
      // Beside the line's crossing, alternately on either side, so that both bounds close in.
      middle = clamp(guess % 2 === 0 ? line : line + 1, low + 1, high - 1);
    }
    const spare = spareAt(middle);
    if (spare >= 0) {
      low = middle;
      lowSpare = spare;
    } else {
      high = middle;
      highSpare = spare;
    }
  }
  return low * CELL_PADDING;
}

function clamp(value: number, least: number, most: number): number {
  return Math.min(Math.max(value, least), most);
}
