import type { Catalogue } from "../../data/catalogue.js";
import { decodeGlobalId, nodeTables } from "../catalogue/global-ids.js";
import type { Reference } from "../catalogue/rules/entities.js";
import { fieldsOf } from "../catalogue/rules/entities.js";
import { type EditForm, ruleFieldOf } from "./forms.js";
import type { ArgumentPath, UserError } from "./user-error.js";

/** An input object of the API, only with the fields that were given. */
export type ApiInput = Readonly<Record<string, unknown>>;

/** Names a row: one of the two, as the schema's RowRef. */
interface RowRef {
  id?: string | null;
  slug?: string | null;
}

/**
 * An input of the API in the words of the entity's rules: fields by their columns' names, references as slugs.
 * Null clears a field; where the rules have a default instead, that one holds again.
 */
export function readInput(
  form: EditForm,
  input: ApiInput,
  catalogue: Catalogue,
  path: ArgumentPath,
  problems: UserError[],
): Record<string, unknown> {
  const read: Record<string, unknown> = {};
  for (const [apiField, value] of Object.entries(input)) {
    if (value === undefined) continue;
    const field = ruleFieldOf(form, apiField);
    const reference = form.rules.references.find((candidate) => candidate.field === field);
    read[field] = reference
      ? readReferences(reference, value, catalogue, [...path, apiField], problems)
      : value === null && isDefaulted(form, field)
        ? undefined
        : withoutNullUrls(field, value);
  }
  return read;
}

function readReferences(
  reference: Reference,
  value: unknown,
  catalogue: Catalogue,
  path: ArgumentPath,
  problems: UserError[],
): unknown {
  if (value === null) return null;
  if (!Array.isArray(value)) return readReference(reference, value as RowRef, catalogue, path, problems);
  return value.map((item: RowRef, index) =>
    readReference(reference, item, catalogue, [...path, String(index)], problems),
  );
}

/** The slug of a reference, whether or not there is such a row. */
function readReference(
  { entity }: Reference,
  { id, slug }: RowRef,
  catalogue: Catalogue,
  path: ArgumentPath,
  problems: UserError[],
): string {
  if (id == null) return slug ?? "";
  const reference = decodeGlobalId(id);
  const row =
    reference !== null && nodeTables[reference.type] === entity ? catalogue[entity].byId.get(reference.id) : undefined;
  if (row !== undefined) return row.slug;
  problems.push({ code: "NOT_FOUND", field: [...path, "id"], message: "There is no such row of this kind." });
  return UNKNOWN_SLUG;
}

/** Stands for the slug of a row that was not found, which has been told. */
export const UNKNOWN_SLUG = "unknown-row";

function isDefaulted({ rules }: EditForm, field: string): boolean {
  const rule = fieldsOf(rules)[field];
  return rule !== undefined && !rule.safeParse(null).success && rule.safeParse(undefined).success;
}

/** A source without an address has no field for it. */
function withoutNullUrls(field: string, value: unknown): unknown {
  if (field !== "sources" || !Array.isArray(value)) return value;
  return value.map(({ url, ...source }: { url?: unknown }) => (url == null ? source : { ...source, url }));
}
