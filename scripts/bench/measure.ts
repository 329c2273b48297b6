/** A number of milliseconds of CPU time, or of seconds where it says so, as it is spread over its samples. */
export interface Spread {
  median: number;
  p95: number;
}

/** CPU time this process has used so far in all its threads, milliseconds: the compiler's and the collector's count. */
export function cpuTime(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/** CPU milliseconds of one call. */
export function timeOf(work: () => void): number {
  const start = cpuTime();
  work();
  return cpuTime() - start;
}

/** The same of work that waits in between. */
export async function timeOfAsync(work: () => Promise<void>): Promise<number> {
  const start = cpuTime();
  await work();
  return cpuTime() - start;
}

export function spreadOf(samples: readonly number[]): Spread {
  const sorted = [...samples].sort((a, b) => a - b);
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
  return { median: at(0.5), p95: at(0.95) };
}

/** Rounds of the reference; its table of numbers fits the first-level cache. */
const REFERENCE_ROUNDS = 3_000_000;
const REFERENCE_SLOTS = 1024;

/**
 * A fixed piece of work, about 10 ms on a machine of 2024: machines, and one machine under different loads, are
 * compared by it. Returns what it came to, so that none of it can be left out.
 */
export function reference(): number {
  const slots = new Float64Array(REFERENCE_SLOTS);
  for (let round = 0; round < REFERENCE_ROUNDS; round += 1) {
    const slot = (round * 7919) % REFERENCE_SLOTS;
    slots[slot] = (slots[slot] ?? 0) * 0.5 + round;
  }
  return slots.reduce((sum, value) => sum + value, 0);
}
