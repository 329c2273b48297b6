/** Settings and figures of a measurement, as its source gives them: read one by one, absent where they make no sense. */
export type Entries = Readonly<Record<string, unknown>>;

/** Bytes of the decimal unit. */
export const GB = 1e9;

/** A number above zero; null where there is none. */
export function numberAt(entries: Entries, name: string): number | null {
  const value = entries[name];
  return typeof value === "number" && Number.isFinite(value) && value > 0 ? value : null;
}

/** A text; null where there is none. */
export function textAt(entries: Entries, name: string): string | null {
  const value = entries[name];
  return typeof value === "string" ? value : null;
}

/** Numbers by name, such as buffers by device; null where there are none. */
export function numbersAt(entries: Entries, name: string): Readonly<Record<string, number>> | null {
  const value = entries[name];
  if (typeof value !== "object" || value === null || Array.isArray(value)) return null;
  const numbers = Object.entries(value).filter((entry): entry is [string, number] => typeof entry[1] === "number");
  return numbers.length === 0 ? null : Object.fromEntries(numbers);
}

/** A size given in one of several units by the names of its entries; bytes, null where none is there. */
export function sizeAt(entries: Entries, units: Readonly<Record<string, number>>): number | null {
  for (const [name, bytes] of Object.entries(units)) {
    const value = numberAt(entries, name);
    if (value !== null) return value * bytes;
  }
  return null;
}
