import { setImmediate } from "node:timers/promises";
import type { Catalogue } from "../../data/catalogue.js";
import { toInput } from "../catalogue/rules/columns.js";
import { ENTITIES, type EntityName, type EntityRules } from "../catalogue/rules/entities.js";
import { FILE_FORMS } from "../editing/forms.js";
import { type EditableRow, rowsOf } from "../editing/plan.js";
import { ARCHIVED_AT, type CheckedSections } from "./check-sections.js";
import { DOCUMENT_INDENT, type FileRow, formatDocument, formatRow, formatRows, orderKeys } from "./format-rows.js";
import { SECTION_FILES, type Sections } from "./section-files.js";

/** Rows written before the thread answers others: a few milliseconds. */
const ROWS_PER_TURN = 20;

/**
 * The text of one document with the whole catalogue: the rows of every entity by slug, every field that people give,
 * references as slugs, and when a row was archived if it is. Ids, versions, times of changes and computed columns
 * stay behind.
 */
export async function exportDocument(catalogue: Catalogue): Promise<string> {
  const sections = new Map<EntityName, string[]>();
  for (const rules of ENTITIES) {
    const lines: string[] = [];
    for (const row of bySlug(rowsOfEntity(rules, catalogue))) {
      lines.push(formatRow(rules.entity, toFileRow(rules, row, catalogue), DOCUMENT_INDENT));
      if (lines.length % ROWS_PER_TURN === 0) await setImmediate();
    }
    sections.set(rules.entity, lines);
  }
  return formatDocument(sections);
}

/** A row of the catalogue as files have it. */
export function toFileRow(rules: EntityRules, row: EditableRow, catalogue: Catalogue): FileRow {
  return orderRow(toInput(rules, row, catalogue), row.archivedAt?.toISOString() ?? null);
}

/** The texts of a folder's files, by their names, from the sections of a document that was exported. */
export function toFolder(sections: Sections): Map<string, string> {
  return new Map(
    [...sections].map(([entity, rows]) => [SECTION_FILES[entity], formatRows(entity, rows as readonly FileRow[])]),
  );
}

/** Checked rows as an export of them would be: by slug, every field there, keys in order. */
export function normalizeSections(sections: CheckedSections): Sections {
  return new Map(
    [...sections].map(([entity, rows]) => [
      entity,
      bySlug(rows).map(({ input, archivedAt }) => orderRow(input, archivedAt)),
    ]),
  );
}

/** The text of a document with these sections. */
export function toDocument(sections: Sections): string {
  return formatDocument(
    new Map(
      [...sections].map(([entity, rows]) => [
        entity,
        rows.map((row) => formatRow(entity, row as FileRow, DOCUMENT_INDENT)),
      ]),
    ),
  );
}

function rowsOfEntity({ entity }: EntityRules, catalogue: Catalogue): readonly EditableRow[] {
  const form = FILE_FORMS.get(entity);
  return form === undefined ? [] : rowsOf(form, catalogue).rows;
}

function bySlug<Row extends { slug: string }>(rows: readonly Row[]): Row[] {
  return [...rows].sort((left, right) => (left.slug < right.slug ? -1 : 1));
}

/** Fields in the order of the rules, the keys within them in that of files, the mark of archived rows at the end. */
function orderRow(fields: Readonly<Record<string, unknown>>, archivedAt: string | null): FileRow {
  const ordered = Object.entries(fields).map(([field, value]) => [field, orderKeys(value)]);
  return { ...Object.fromEntries(ordered), ...(archivedAt === null ? {} : { [ARCHIVED_AT]: archivedAt }) };
}
