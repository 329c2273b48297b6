/** A value that rows are ordered by; rows without one (null) come last in both directions. */
export type SortValue = string | number | null;

/** Where a row stands in an order: the values of its sort keys and its id. */
export interface Position {
  values: readonly SortValue[];
  id: string;
}

/**
 * Writes a position as an opaque cursor.
 * @param order signature of the list and order it belongs to, such as `models,PARAMETERS:DESC`
 */
export function encodeCursor(order: string, position: Position): string {
  return Buffer.from(JSON.stringify([order, ...position.values, position.id])).toString("base64url");
}

/** A cursor read back, with the signature of the order it was made for. */
export interface DecodedCursor extends Position {
  order: string;
}

/** Reads a cursor; null when the text is not one. */
export function decodeCursor(cursor: string): DecodedCursor | null {
  const parts = parseList(Buffer.from(cursor, "base64url").toString("utf8"));
  const [order, ...rest] = parts;
  const id = rest.pop();
  if (typeof order !== "string" || typeof id !== "string" || !rest.every(isSortValue)) return null;
  return { order, values: rest, id };
}

function parseList(text: string): unknown[] {
  try {
    const parsed: unknown = JSON.parse(text);
    return Array.isArray(parsed) ? parsed : [];
  } catch {
    return [];
  }
}

function isSortValue(value: unknown): value is SortValue {
  return value === null || typeof value === "string" || (typeof value === "number" && Number.isFinite(value));
}
