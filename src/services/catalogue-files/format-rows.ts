import { ENTITIES, type EntityName } from "../catalogue/rules/entities.js";

/** A row of a file: fields in the order of the rules. */
export type FileRow = Readonly<Record<string, unknown>>;

/** Entities whose rows are short lists of facts: one row a line, so that a line of a difference is a row. */
const ONE_LINE_ROWS: ReadonlySet<EntityName> = new Set([
  "quantFormats",
  "kvCacheTypes",
  "gpus",
  "systems",
  "modelFiles",
  "measurements",
]);

/** Longest line that a value of several parts is written on. */
const LINE_WIDTH = 120;
const INDENT = 2;

/** The first keys of JSON values, whose order the database does not keep; the others follow in alphabetical order. */
const LEADING_KEYS = ["schemaVersion", "kind", "name", "title", "question"];

/** The same value with the keys of all objects in one order. */
export function orderKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(orderKeys);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([left], [right]) => compareKeys(left, right))
      .map(([key, item]) => [key, orderKeys(item)]),
  );
}

function compareKeys(left: string, right: string): number {
  const places = [left, right].map((key) => {
    const place = LEADING_KEYS.indexOf(key);
    return place === -1 ? LEADING_KEYS.length : place;
  }) as [number, number];
  return places[0] - places[1] || (left < right ? -1 : 1);
}

/** The version of the document's form. */
export const DOCUMENT_VERSION = 1;
/** The field that holds it. */
export const DOCUMENT_VERSION_FIELD = "formatVersion";

/** Columns that rows stand in from, in a file and in a document. */
export const FILE_INDENT = INDENT;
export const DOCUMENT_INDENT = 2 * INDENT;

/** The text of a file: a JSON array of rows. */
export function formatRows(entity: EntityName, rows: readonly FileRow[]): string {
  const lines = rows.map((row) => formatRow(entity, row, FILE_INDENT));
  return `${formatArray(lines, 0)}\n`;
}

/**
 * The text of a document with a section for each entity, in the order in which they refer to one another.
 * @param sections the rows of each as `formatRow` has them, standing in by `DOCUMENT_INDENT`
 */
export function formatDocument(sections: ReadonlyMap<EntityName, readonly string[]>): string {
  const parts = ENTITIES.flatMap(({ entity }) => {
    const rows = sections.get(entity);
    return rows === undefined ? [] : [`${spaces(INDENT)}${JSON.stringify(entity)}: ${formatArray(rows, INDENT)}`];
  });
  return `{\n${[`${spaces(INDENT)}"${DOCUMENT_VERSION_FIELD}": ${DOCUMENT_VERSION}`, ...parts].join(",\n")}\n}\n`;
}

/** One row as files have it, without what comes before and after it in the file. */
export function formatRow(entity: EntityName, row: FileRow, indent: number): string {
  return `${spaces(indent)}${ONE_LINE_ROWS.has(entity) ? inline(row) : spread(row, indent)}`;
}

function formatArray(rows: readonly string[], indent: number): string {
  return rows.length === 0 ? "[]" : `[\n${rows.join(",\n")}\n${spaces(indent)}]`;
}

/** An object with a line for each field; a field that is too long for one goes on over several. */
function spread(value: object, indent: number): string {
  const fields = Object.entries(value).map(([key, item]) => {
    const start = `${spaces(indent + INDENT)}${JSON.stringify(key)}: `;
    return start + layOut(item, indent + INDENT, start.length);
  });
  return `{\n${fields.join(",\n")}\n${spaces(indent)}}`;
}

/** A value on the rest of a line where it fits, over several lines where it has parts to be told apart. */
function layOut(value: unknown, indent: number, column: number): string {
  const line = inline(value);
  if (column + line.length <= LINE_WIDTH || typeof value !== "object" || value === null) return line;
  if (!Array.isArray(value)) return spread(value, indent);
  if (value.every((item) => typeof item !== "object" || item === null)) return line;
  const items = value.map((item) => spaces(indent + INDENT) + layOut(item, indent + INDENT, indent + INDENT));
  return `[\n${items.join(",\n")}\n${spaces(indent)}]`;
}

function inline(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(inline).join(", ")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const fields = Object.entries(value).map(([key, item]) => `${JSON.stringify(key)}: ${inline(item)}`);
  return `{${fields.join(", ")}}`;
}

function spaces(count: number): string {
  return " ".repeat(count);
}
