/** How a set of relative errors is distributed. */
export interface ErrorStatistics {
  count: number;
  /** Median, signs kept. */
  bias: number;
  /** Median and 95th percentile of the sizes. */
  median: number;
  p95: number;
}

/** Statistics of at least one error. */
export function errorStatistics(errors: readonly number[]): ErrorStatistics {
  const signed = errors.toSorted((left, right) => left - right);
  const sizes = errors.map(Math.abs).sort((left, right) => left - right);
  return {
    count: errors.length,
    bias: quantile(signed, 0.5),
    median: quantile(sizes, 0.5),
    p95: quantile(sizes, 0.95),
  };
}

/** The quantile of ascending values, linear between neighbours (Hyndman and Fan, type 7). */
export function quantile(ascending: readonly number[], share: number): number {
  const position = (ascending.length - 1) * share;
  const below = ascending[Math.floor(position)] ?? 0;
  const above = ascending[Math.ceil(position)] ?? below;
  return below + (above - below) * (position - Math.floor(position));
}

/**
 * How much further the next error may reach than those of a sample of this size: the prediction interval's
 * sqrt(1 + 1/n) x t / z at 97.5%, with t of n - 1 degrees of freedom by its expansion z + (z^3 + z) / (4 (n - 1))
 * (Abramowitz and Stegun, 26.7.5).
 */
export function wideningOf(count: number): number {
  const z = 1.96;
  const t = z + (z ** 3 + z) / (4 * Math.max(1, count - 1));
  return (Math.sqrt(1 + 1 / count) * t) / z;
}
