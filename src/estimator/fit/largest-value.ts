/** Guesses by straight line before halving takes over; memory is nearly linear in what is searched. */
const LINEAR_GUESSES = 6;

/**
 * The largest whole number from 1 to `most` that leaves no device short; 0 when none does. What a value leaves is asked
 * of the estimator, so the answer is exact: it fits, and one more does not.
 *
 * @param spareBytes - bytes left on the fullest device at a value; must not grow with it.
 * @param least - a value to search from, where it is known that one as large fits.
 */
export function largestFitting(spareBytes: (value: number) => number, most: number, least = 1): number {
  let low = least;
  let lowSpare = spareBytes(low);
  if (lowSpare < 0) {
    return 0;
  }
  let high = most;
  let highSpare = spareBytes(high);
  if (highSpare >= 0) {
    return most;
  }
  for (let guess = 0; high - low > 1; guess += 1) {
    let middle = Math.floor((low + high) / 2);
    if (guess < LINEAR_GUESSES) {
      const line = low + Math.floor(((high - low) * lowSpare) / (lowSpare - highSpare));
      // Beside the line's crossing, alternately on either side, so that both bounds close in.
      middle = clamp(guess % 2 === 0 ? line : line + 1, low + 1, high - 1);
    }
    const spare = spareBytes(middle);
    if (spare >= 0) {
      low = middle;
      lowSpare = spare;
    } else {
      high = middle;
      highSpare = spare;
    }
  }
  return low;
}

/**
 * The smallest whole number from `least` to `most` that fits; null when none does. Found by halving.
 *
 * @param fits - true from some value on, but for ups and downs over fewer than `unsteady` values.
 */
export function smallestFitting(
  fits: (value: number) => boolean,
  least: number,
  most: number,
  unsteady = 0,
): number | null {
  if (most < least || !fits(most)) {
    return null;
  }
  let low = least;
  let high = most;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (fits(middle)) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  for (let below = high - 1; below >= Math.max(least, high - unsteady); below -= 1) {
    high = fits(below) ? below : high;
  }
  return high;
}

function clamp(value: number, least: number, most: number): number {
  return Math.min(Math.max(value, least), most);
}
