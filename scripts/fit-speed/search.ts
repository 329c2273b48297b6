/** A constant that is fitted: where it stands in the `speed` constants, and how freely it may move. */
export interface Parameter {
  /** "storage.half.bandwidth", or "families.NVIDIA HBM.bandwidth". */
  path: string;
  /** What it is taken for without data. */
  prior: number;
  /** How far from the prior it is expected, as a factor's logarithm: what pulls it back. */
  spread: number;
  /** Bounds that make sense. */
  low: number;
  high: number;
}

/** Beyond this logarithm an error counts linearly: a figure that is off threefold is a story of its own. */
const HUBER = 0.25;
/** First and last step of the search, as logarithms of a factor. */
export const FIRST_STEP = 0.4;
const LAST_STEP = 0.005;

/** Huber's loss of a logarithmic error. */
export function robustLoss(error: number): number {
  const size = Math.abs(error);
  return size <= HUBER ? (size * size) / 2 : HUBER * (size - HUBER / 2);
}

/**
 * Values of the parameters that make the loss least, found by steps along each of them that halve where none helps.
 * Every parameter is moved by a factor; its distance from the prior is part of the loss.
 */
export function search(
  parameters: readonly Parameter[],
  start: readonly number[],
  lossOf: (values: readonly number[]) => number,
  firstStep = FIRST_STEP,
): number[] {
  const values = [...start];
  const whole = (): number => lossOf(values) + penalty(parameters, values);
  let best = whole();
  for (let step = firstStep; step >= LAST_STEP; ) {
    const before = best;
    parameters.forEach(({ low, high }, index) => {
      const value = values[index] ?? 0;
      for (const factor of [Math.exp(step), Math.exp(-step)]) {
        values[index] = Math.min(high, Math.max(low, value * factor));
        const loss = whole();
        if (loss < best) {
          best = loss;
          return;
        }
      }
      values[index] = value;
    });
    if (before - best < 1e-4 * before) step /= 2;
  }
  return values;
}

/** Weight of the pull towards the priors beside one figure's loss. */
const PENALTY = 0.02;

function penalty(parameters: readonly Parameter[], values: readonly number[]): number {
  return parameters.reduce((sum, { prior, spread }, index) => {
    const distance = Math.log((values[index] ?? prior) / prior) / spread;
    return sum + PENALTY * distance * distance;
  }, 0);
}
