import type { Catalogue, Table } from "../../../data/catalogue.js";
import { type EntityName, type EntityRules, fieldsOf } from "./entities.js";

/** A row as people give it, by the names of its entity's rules. */
export type RowInput = Readonly<Record<string, unknown>>;

/** The columns of a row without its id: references as ids (found by entity and slug), computed columns added. */
export function toColumns(
  rules: EntityRules,
  input: RowInput,
  idOf: (entity: EntityName, slug: string) => string,
): Record<string, unknown> {
  const columns: Record<string, unknown> = { ...input, ...rules.derive?.(input) };
  for (const { field, entity, column } of rules.references) {
    if (!column) continue;
    const slug = columns[field] as string | null;
    delete columns[field];
    columns[column] = slug === null ? null : idOf(entity, slug);
  }
  return columns;
}

/**
 * A stored row as people give it: what the rules take, references as slugs. A reference to a row that is no longer
 * there, as in an old entry of the audit trail, stays an id.
 */
export function toInput(rules: EntityRules, columns: RowInput, catalogue: Catalogue): Record<string, unknown> {
  const input: Record<string, unknown> = {};
  for (const field of Object.keys(fieldsOf(rules))) {
    const reference = rules.references.find((candidate) => candidate.field === field);
    input[field] = reference?.column
      ? slugOf(catalogue[reference.entity], columns[reference.column])
      : (columns[field] ?? null);
  }
  return input;
}

function slugOf(table: Table<{ id: string; slug: string }>, id: unknown): unknown {
  return typeof id === "string" ? (table.byId.get(id)?.slug ?? id) : null;
}
