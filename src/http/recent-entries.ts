/** Entries by key of which those not used lately are forgotten. */
export interface RecentEntries<Value> {
  get(key: string): Value | undefined;
  set(key: string, value: Value): void;
  /** Entries remembered. */
  readonly size: number;
}

/**
 * Remembers at least half of so many entries, the latest, and never more than all. Two tables take turns: when the one
 * is full, the other is dropped whole, which costs nothing for each entry, however fast new ones arrive.
 */
export function rememberRecent<Value>(most: number): RecentEntries<Value> {
  const mostOfOne = Math.floor(most / 2);
  let recent = new Map<string, Value>();
  let earlier = new Map<string, Value>();

  function set(key: string, value: Value): void {
    earlier.delete(key);
    recent.set(key, value);
    if (recent.size < mostOfOne) return;
    earlier = recent;
    recent = new Map();
  }

  return {
    get(key) {
      const value = recent.get(key);
      if (value !== undefined) return value;
      const before = earlier.get(key);
      if (before !== undefined) set(key, before);
      return before;
    },
    set,
    get size() {
      return recent.size + earlier.size;
    },
  };
}
