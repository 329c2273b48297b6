import type { Catalogue } from "../../data/catalogue.js";
import { type RowInput, toInput } from "../catalogue/rules/columns.js";
import { apiFieldOf, type EditForm } from "./forms.js";
import { changedFields } from "./plan.js";

/** A field's value before and after an edit, by the API's name; null where there was none or is none. */
export interface FieldChange {
  field: string;
  before: unknown;
  after: unknown;
}

/** Fields that differ between two states of a row; null stands for no row. */
export function listFieldChanges(
  form: EditForm,
  before: RowInput | null,
  after: RowInput | null,
  catalogue: Catalogue,
): FieldChange[] {
  const old = before === null ? null : describeRow(form, before, catalogue);
  const now = after === null ? null : describeRow(form, after, catalogue);
  return changedFields(old, now).map((field) => ({
    field,
    before: old?.[field] ?? null,
    after: now?.[field] ?? null,
  }));
}

/** A state of a row by the API's names, references as slugs. */
export function describeRow(form: EditForm, columns: RowInput, catalogue: Catalogue): Record<string, unknown> {
  const input = toInput(form.rules, columns, catalogue);
  const fields = Object.entries(input).map(([field, value]) => [apiFieldOf(form, field), value]);
  return { ...Object.fromEntries(fields), archivedAt: columns.archivedAt ?? null };
}
