/** Work that several may wait for, done once. */
export interface SharedWork<Result> {
  /**
   * Waits for the result.
   * @throws the signal's reason when this one does not wait any more; the work ends with the last who waits
   */
  join(signal?: AbortSignal): Promise<Result>;
}

/**
 * Begins work that ends early when all who waited for it are gone.
 * @param work is given the signal of that; it must end, by throwing, soon after
 * @param onEnd called when the work did not come to a result, so that nobody joins it any more
 */
export function shareWork<Result>(
  work: (signal: AbortSignal) => Promise<Result>,
  onEnd: () => void,
): SharedWork<Result> {
  const ending = new AbortController();
  const result = work(ending.signal);
  result.catch(onEnd);
  let waiting = 0;
  return {
    async join(signal) {
      signal?.throwIfAborted();
      waiting++;
      if (signal === undefined) return result;
      let leave = () => {};
      const left = new Promise<never>((_, reject) => {
        leave = () => {
          waiting--;
          if (waiting === 0) {
            onEnd();
            ending.abort(signal.reason);
          }
          reject(signal.reason);
        };
      });
      signal.addEventListener("abort", leave, { once: true });
      try {
        return await Promise.race([result, left]);
      } finally {
        signal.removeEventListener("abort", leave);
      }
    },
  };
}
