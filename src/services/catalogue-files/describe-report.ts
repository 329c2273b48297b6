import type { FieldChange } from "../editing/differences.js";
import type { UserError } from "../editing/user-error.js";
import type { ImportCounts } from "./import-catalogue.js";

/** What an import did or would do, wherever it was carried out. */
export interface ImportReport {
  counts: ImportCounts;
  /** Those of the first rows when there are very many. */
  diffs: readonly { entity: string; slug: string; operation: string; fields: readonly FieldChange[] }[];
  userErrors: readonly UserError[];
  catalogVersion: number;
}

/** Whether anything differs. */
export function hasDifferences({ counts: { added, changed, archived, restored } }: ImportReport): boolean {
  return added + changed + archived + restored > 0;
}

/** Most of a value that a line shows. */
const MAX_VALUE_LENGTH = 100;

const SIGNS: Readonly<Record<string, string>> = { CREATE: "+", UPDATE: "~", ARCHIVE: "-", RESTORE: "^" };

/** The differences, a line for each row and, where it has changed, for each field. */
export function describeDifferences({ diffs, counts }: ImportReport): string[] {
  const lines = diffs.flatMap(({ entity, slug, operation, fields }) => [
    `${SIGNS[operation] ?? "?"} ${entity} ${slug}${operation === "UPDATE" ? "" : `: ${WORDS[operation] ?? operation}`}`,
    ...(operation === "UPDATE" ? fields.map(describeField) : []),
  ]);
  const { added, changed, archived, restored } = counts;
  const more = added + changed + archived + restored - diffs.length;
  return more > 0 ? [...lines, `and ${more} more rows`] : lines;
}

const WORDS: Readonly<Record<string, string>> = { CREATE: "new", ARCHIVE: "archived", RESTORE: "back in use" };

function describeField({ field, before, after }: FieldChange): string {
  return `    ${field}: ${show(before)} -> ${show(after)}`;
}

function show(value: unknown): string {
  const text = JSON.stringify(value) ?? "null";
  return text.length > MAX_VALUE_LENGTH ? `${text.slice(0, MAX_VALUE_LENGTH)}...` : text;
}

/** "3 added, 1 changed, 2,400 unchanged". */
export function describeCounts({ added, changed, archived, restored, unchanged, notInFile }: ImportCounts): string {
  const parts: [number, string][] = [
    [added, "added"],
    [changed, "changed"],
    [archived, "archived"],
    [restored, "back in use"],
  ];
  const told = parts.filter(([count]) => count > 0).map(([count, word]) => `${format(count)} ${word}`);
  const kept = notInFile > 0 ? [`${format(notInFile)} not in the file and kept`] : [];
  return [...told, `${format(unchanged)} unchanged`, ...kept].join(", ");
}

function format(count: number): string {
  return count.toLocaleString("en-US");
}

/** What is wrong, a line each; rows are counted from 1 as editors do. */
export function describeErrors(errors: readonly UserError[]): string[] {
  return errors.map(({ field, message }) => {
    const [argument, section, row] = field;
    if (argument !== "catalog" || section === undefined) return message;
    return /^\d+$/.test(row ?? "") ? `${section}, row ${Number(row) + 1}: ${message}` : `${section}: ${message}`;
  });
}
