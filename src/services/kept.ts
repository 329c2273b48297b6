/** Results kept by key, the one used longest ago dropped when there are too many. */
export interface Kept<Result> {
  /** The result of a key, made where it is not kept. */
  get(key: string, make: () => Result): Result;
  /** Forgets a key. */
  drop(key: string): void;
}

/** @param limit most results kept */
export function keepRecent<Result>(limit: number): Kept<Result> {
  const results = new Map<string, { result: Result }>();
  return {
    get(key, make) {
      const entry = results.get(key) ?? { result: make() };
      results.delete(key);
      results.set(key, entry);
      if (results.size > limit) results.delete(results.keys().next().value ?? "");
      return entry.result;
    },
    drop: (key) => void results.delete(key),
  };
}
