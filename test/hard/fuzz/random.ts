/** Numbers of a fixed sequence, and what is chosen by them: the same seed gives the same choices. */
export interface Random {
  /** A whole number from 0 to below the given one. */
  below(end: number): number;
  /** True in the given share of cases, 0 to 1. */
  chance(share: number): boolean;
  /** One of several; throws for none. */
  pick<Item>(items: readonly Item[]): Item;
}

/** Mulberry32, a generator of 32 bits in the public domain. */
export function createRandom(seed: number): Random {
  let state = seed;
  const next = () => {
    state = (state + 0x6d2b79f5) | 0;
    let value = Math.imul(state ^ (state >>> 15), 1 | state);
    value = (value + Math.imul(value ^ (value >>> 7), 61 | value)) ^ value;
    return ((value ^ (value >>> 14)) >>> 0) / 2 ** 32;
  };
  return {
    below: (end) => Math.floor(next() * end),
    chance: (share) => next() < share,
    pick(items) {
      if (items.length === 0) throw new Error("nothing to pick from");
      return items[Math.floor(next() * items.length)] as never;
    },
  };
}
