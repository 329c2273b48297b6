import { randomUUID } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import type { Catalogue, Table } from "../../data/catalogue.js";
import type { RowColumns } from "../../data/write-rows.js";
import { decodeGlobalId, nodeTables } from "../catalogue/global-ids.js";
import type { CatalogueRow } from "../catalogue/list.js";
import { checkRow, type RowProblem } from "../catalogue/rules/check-row.js";
import { type RowInput, toColumns, toInput } from "../catalogue/rules/columns.js";
import { suggestSlugs } from "../catalogue/suggestions.js";
import { apiFieldOf, type EditForm } from "./forms.js";
import { type ApiInput, readInput, UNKNOWN_SLUG } from "./read-input.js";
import type { ArgumentPath, UserError } from "./user-error.js";

export type ChangeOperation = "CREATE" | "UPDATE" | "ARCHIVE" | "RESTORE" | "DELETE";

/** A row of the catalogue as an edit sees it. */
export type EditableRow = CatalogueRow & Readonly<Record<string, unknown>> & { readonly version: number };

/** What an edit does to one row. */
export interface PlannedChange {
  form: EditForm;
  operation: ChangeOperation;
  /** The row as it is; null when it is new. */
  before: EditableRow | null;
  /** The row's columns as JSON; null when it goes. */
  after: RowColumns | null;
  /** Fields that change, as the rules name them. */
  fields: readonly string[];
  /** The argument that asks for it. */
  path: ArgumentPath;
}

/** What an edit does to the catalogue it was planned over, or why it cannot be done. */
export interface Plan {
  /** Whose rows are named; null when the rows of several entities are edited and none is named. */
  form: EditForm | null;
  /** Ids of the rows that were named, in the order of the arguments. */
  rowIds: readonly string[];
  /** Ids of rows that somebody else has changed in the meantime. */
  staleIds: readonly string[];
  /** Empty when everything is as asked already. */
  changes: readonly PlannedChange[];
  problems: readonly UserError[];
}

/** Plans an edit over a version of the catalogue. It may be asked again, over a newer one. */
export type Planner = (catalogue: Catalogue) => Plan;

/** Rows of one bulk edit. */
export const MAX_BULK_ROWS = 1_000;

/** A plan in the making, for the rows of one entity. */
export interface Draft {
  form: EditForm;
  catalogue: Catalogue;
  rowIds: string[];
  staleIds: string[];
  changes: PlannedChange[];
  problems: UserError[];
}

function draftPlan(form: EditForm, fill: (draft: Draft) => void): Planner {
  return (catalogue) => {
    const draft = startDraft(form, catalogue);
    fill(draft);
    return draft;
  };
}

/** A plan without anything in it yet. */
export function startDraft(form: EditForm, catalogue: Catalogue): Draft {
  return { form, catalogue, rowIds: [], staleIds: [], changes: [], problems: [] };
}

/** A new row. */
export function planCreate(form: EditForm, input: ApiInput): Planner {
  return draftPlan(form, (draft) => save(draft, { existing: null, input, path: ["input"] }));
}

/** Fields of a row: those that are absent stay, null clears. */
export function planUpdate(form: EditForm, globalId: string, input: ApiInput, expectedVersion: number): Planner {
  return draftPlan(form, (draft) => {
    const existing = findExpected(draft, globalId, expectedVersion);
    if (existing !== null) save(draft, { existing, input, path: ["input"] });
  });
}

/** Takes a row out of use; nothing when it is already. */
export function planArchive(form: EditForm, globalId: string, expectedVersion: number): Planner {
  return draftPlan(form, (draft) => {
    const existing = findExpected(draft, globalId, expectedVersion);
    if (existing !== null) mark(draft, existing, "ARCHIVE");
  });
}

/** Takes a row back into use; nothing when it is already. */
export function planRestore(form: EditForm, globalId: string, expectedVersion: number): Planner {
  return draftPlan(form, (draft) => {
    const existing = findExpected(draft, globalId, expectedVersion);
    if (existing !== null) mark(draft, existing, "RESTORE");
  });
}

/** Removes a row. Whether others refer to it is checked over the catalogue as a whole. */
export function planDelete(form: EditForm, globalId: string, expectedVersion: number): Planner {
  return draftPlan(form, (draft) => {
    const existing = findExpected(draft, globalId, expectedVersion);
    if (existing !== null) remove(draft, existing, ["id"]);
  });
}

/**
 * Rows by their slugs: new ones are created, the others get the fields that are given.
 * @param pathOf the argument that a row is in, by its index
 */
export function planUpsert(
  form: EditForm,
  inputs: readonly ApiInput[],
  pathOf: (index: number) => ArgumentPath = (index) => ["inputs", String(index)],
): Planner {
  return draftPlan(form, (draft) => {
    if (inputs.length > MAX_BULK_ROWS) {
      const message = `At most ${MAX_BULK_ROWS} rows at once, not ${inputs.length}.`;
      draft.problems.push({ code: "TOO_MANY", field: ["inputs"], message });
      return;
    }
    const indexes = new Map<string, number>();
    inputs.forEach(({ expectedVersion, ...input }, index) => {
      const path = pathOf(index);
      const slug = String(input.slug);
      const earlier = indexes.get(slug);
      if (earlier !== undefined) {
        const message = `slug is that of row ${earlier} too.`;
        draft.problems.push({ code: "TAKEN", field: [...path, "slug"], message });
        return;
      }
      indexes.set(slug, index);
      const existing = tableOf(draft).bySlug.get(slug) ?? null;
      checkExpected(draft, existing, expectedVersion, [...path, "expectedVersion"]);
      save(draft, { existing, input, path });
    });
  });
}

/** A deleted row as it was, with its id. */
export function planRecreate(form: EditForm, row: RowColumns, path: ArgumentPath): Planner {
  return draftPlan(form, (draft) => {
    const { id, version, archivedAt, createdAt } = row;
    const input = toInput(form.rules, row, draft.catalogue);
    store(draft, { existing: null, input, path, identity: { id, version: version + 1, archivedAt, createdAt } });
  });
}

/** Fields of a row, by the rules' names, and perhaps its archive mark, set to given values. */
export function planReset(
  form: EditForm,
  row: EditableRow,
  { archivedAt, ...values }: RowInput & { archivedAt?: string | null },
  path: ArgumentPath,
): Planner {
  return draftPlan(form, (draft) => {
    const input = { ...toInput(form.rules, row, draft.catalogue), ...values };
    store(draft, { existing: row, input, path, archivedAt });
  });
}

/** A plan that cannot be carried out. */
export function refuse(form: EditForm, row: EditableRow | null, problems: readonly UserError[]): Plan {
  return { form, rowIds: [], staleIds: row === null ? [] : [row.id], changes: [], problems };
}

/** The rows of the entity of a form. */
export function rowsOf({ rules }: EditForm, catalogue: Catalogue): Table<EditableRow> {
  return catalogue[rules.entity] as unknown as Table<EditableRow>;
}

function tableOf({ form, catalogue }: Draft): Table<EditableRow> {
  return rowsOf(form, catalogue);
}

function findExpected(draft: Draft, globalId: string, expectedVersion: number): EditableRow | null {
  const { form, problems } = draft;
  const reference = decodeGlobalId(globalId);
  const row =
    reference !== null && nodeTables[reference.type] === form.rules.entity
      ? tableOf(draft).byId.get(reference.id)
      : undefined;
  if (row === undefined) {
    problems.push({ code: "NOT_FOUND", field: ["id"], message: `There is no ${form.rules.label} of this id.` });
    return null;
  }
  checkExpected(draft, row, expectedVersion, ["expectedVersion"]);
  return row;
}

function checkExpected(draft: Draft, row: EditableRow | null, expected: unknown, path: ArgumentPath): void {
  if (typeof expected !== "number" || row?.version === expected) return;
  if (row === null) {
    const message = `There is no ${draft.form.rules.label} of this slug, at version ${expected} or any other.`;
    draft.problems.push({ code: "NOT_FOUND", field: path, message });
    return;
  }
  draft.staleIds.push(row.id);
  draft.problems.push({
    code: "STALE",
    field: path,
    message:
      `"${row.slug}" is at version ${row.version}, changed ${row.updatedAt.toISOString()}, not at ${expected}. ` +
      "Look at the row as it is now, and send the edit again with its version.",
  });
}

interface Save {
  existing: EditableRow | null;
  input: ApiInput;
  path: ArgumentPath;
}

function save(draft: Draft, { existing, input, path }: Save): void {
  const { form, catalogue, problems } = draft;
  const problemsBefore = problems.length;
  const given = readInput(form, input, catalogue, path, problems);
  const kept = existing === null ? {} : toInput(form.rules, existing, catalogue);
  store(draft, { existing, input: { ...kept, ...given }, path, problemsBefore });
}

interface Store {
  existing: EditableRow | null;
  /** The whole row by the rules' names. */
  input: RowInput;
  path: ArgumentPath;
  /** How many problems others have; more mean that this row cannot be stored. */
  problemsBefore?: number;
  /** The row is as the rules returned it. */
  isChecked?: boolean;
  /** Archives the row, as of then, or restores it; undefined leaves it as it is. */
  archivedAt?: string | null | undefined;
  /** What a row that comes back had before. */
  identity?: Identity;
}

/** What a row is besides its fields. */
interface Identity {
  id: string;
  version: number;
  archivedAt: unknown;
  createdAt: unknown;
}

/** Checks a whole row and plans its columns. */
export function store(draft: Draft, { existing, input, path, identity, isChecked, archivedAt, ...rest }: Store): void {
  const { form, catalogue, problems, changes, rowIds } = draft;
  const { problemsBefore = problems.length } = rest;
  const { rules } = form;
  const checked = isChecked ? { ok: true as const, input } : checkRow(rules, input);
  if (!checked.ok) problems.push(...checked.problems.map((problem) => toUserError(form, problem, path)));
  checkReferences(draft, input, path);
  checkSlug(draft, existing, input.slug, [...path, "slug"]);
  if (problems.length > problemsBefore || !checked.ok) return;

  const fields = changedFields(
    existing === null ? null : toInput(rules, existing, catalogue),
    toJson(checked.input) as RowInput,
  );
  const idOf = (entity: keyof typeof catalogue & string, slug: string) => requireId(catalogue, entity, slug);
  const change = changeOf({
    form,
    existing,
    fields,
    columns: () => toColumns(rules, checked.input, idOf as Parameters<typeof toColumns>[2]),
    archivedAt,
    identity: identity ?? { id: existing?.id ?? randomUUID(), version: 1, archivedAt: null, createdAt: null },
    path,
  });
  rowIds.push(existing?.id ?? change?.after?.id ?? "");
  if (change !== null) changes.push(change);
}

interface RowState {
  form: EditForm;
  existing: EditableRow | null;
  /** Fields that differ from those of the row that exists, as the rules name them. */
  fields: readonly string[];
  /** Asked for when there is a change. */
  columns: () => Record<string, unknown>;
  archivedAt: string | null | undefined;
  /** Of a row that is new. */
  identity: Identity;
  path: ArgumentPath;
}

/** The change that brings a row to a state; null when it is as that says. Archived twice is archived all the same. */
export function changeOf(state: RowState): PlannedChange | null {
  const { form, existing, columns, identity, path } = state;
  const mark = existing === null ? identity.archivedAt : existing.archivedAt;
  const isMarked = state.archivedAt !== undefined && (state.archivedAt === null) !== (mark === null);
  const fields = [...state.fields, ...(isMarked ? ["archivedAt"] : [])];
  if (existing !== null && fields.length === 0) return null;
  const archivedAt = toJson(isMarked ? state.archivedAt : mark);
  const isMarkOnly = isMarked && state.fields.length === 0;
  return {
    form,
    operation: existing === null ? "CREATE" : !isMarkOnly ? "UPDATE" : archivedAt === null ? "RESTORE" : "ARCHIVE",
    before: existing,
    after: {
      id: existing?.id ?? identity.id,
      ...toJson<Record<string, unknown>>(columns()),
      version: existing === null ? identity.version : existing.version + 1,
      archivedAt,
      createdAt: toJson(existing?.createdAt ?? identity.createdAt),
    },
    fields,
    path,
  };
}

/** Plans the archive mark of a row. */
export function mark(
  draft: Draft,
  existing: EditableRow,
  operation: "ARCHIVE" | "RESTORE",
  path: ArgumentPath = ["id"],
): void {
  const { form, rowIds, problems, changes } = draft;
  rowIds.push(existing.id);
  if (problems.length > 0) return;
  const change = changeOf({
    form,
    existing,
    fields: [],
    columns: () => columnsOf(existing),
    archivedAt: operation === "ARCHIVE" ? new Date().toISOString() : null,
    identity: existing,
    path,
  });
  if (change !== null) changes.push(change);
}

/** A row taken out of use or back. */
export function planMark(form: EditForm, row: EditableRow, operation: "ARCHIVE" | "RESTORE"): Planner {
  return draftPlan(form, (draft) => mark(draft, row, operation));
}

/** A row removed. */
export function planRemove(form: EditForm, row: EditableRow, path: ArgumentPath): Planner {
  return draftPlan(form, (draft) => remove(draft, row, path));
}

function remove(draft: Draft, existing: EditableRow, path: ArgumentPath): void {
  draft.rowIds.push(existing.id);
  if (draft.problems.length > 0) return;
  const fields = changedFields(toInput(draft.form.rules, existing, draft.catalogue), null);
  draft.changes.push({ form: draft.form, operation: "DELETE", before: existing, after: null, fields, path });
}

/** A stored row's columns as JSON, without the time of its last change. */
export function columnsOf(row: EditableRow): RowColumns {
  const { updatedAt, ...columns } = toJson<Record<string, unknown>>(row);
  return columns as RowColumns;
}

/** Fields whose values differ; null stands for no row, all of whose fields are null. */
export function changedFields(before: RowInput | null, after: RowInput | null): string[] {
  return Object.keys({ ...before, ...after }).filter(
    (field) => !isDeepStrictEqual(before?.[field] ?? null, after?.[field] ?? null),
  );
}

function toJson<Value>(value: Value): Value {
  return JSON.parse(JSON.stringify(value)) as Value;
}

function requireId(catalogue: Catalogue, entity: string, slug: string): string {
  const row = (catalogue[entity as keyof Catalogue] as Table<EditableRow>).bySlug.get(slug);
  if (row === undefined) throw new Error(`the reference to ${slug} was not checked`);
  return row.id;
}

function checkReferences(draft: Draft, input: RowInput, path: ArgumentPath): void {
  const { form, catalogue, problems } = draft;
  for (const { field, entity } of form.rules.references) {
    const value = input[field];
    const isList = Array.isArray(value);
    (isList ? value : [value]).forEach((slug: unknown, index: number) => {
      if (typeof slug !== "string" || slug === UNKNOWN_SLUG || catalogue[entity].bySlug.has(slug)) return;
      const table = catalogue[entity] as unknown as Table<EditableRow>;
      const nearest = suggestSlugs(table, slug);
      problems.push({
        code: "NOT_FOUND",
        field: [...path, apiFieldOf(form, field), ...(isList ? [String(index)] : []), ...form.referencePath],
        message: `There is no row "${quote(slug)}".${nearest.length > 0 ? ` Nearest: ${nearest.join(", ")}.` : ""}`,
      });
    });
  }
}

function checkSlug(draft: Draft, existing: EditableRow | null, slug: unknown, path: ArgumentPath): void {
  const { form, problems } = draft;
  const holder = typeof slug === "string" ? tableOf(draft).bySlug.get(slug) : undefined;
  if (holder === undefined || holder.id === existing?.id) return;
  const hint = holder.archivedAt === null ? "" : ", an archived one; restore that one, or choose another slug";
  problems.push({ code: "TAKEN", field: path, message: `slug is that of another ${form.rules.label}${hint}.` });
}

/** What is wrong with a row, as an error of the edit. */
export function toUserError(form: EditForm, { path, message }: RowProblem, inputPath: ArgumentPath): UserError {
  const [field, ...rest] = path.map(String);
  const apiPath = field === undefined ? [] : [apiFieldOf(form, field), ...rest];
  const subject = apiPath.length === 0 ? "The row" : apiPath.join(".");
  return { code: "INVALID", field: [...inputPath, ...apiPath], message: `${subject} ${message}.` };
}

/** Most of a wrong slug that a message repeats. */
const MAX_QUOTED_LENGTH = 80;

function quote(text: string): string {
  return text.length > MAX_QUOTED_LENGTH ? `${text.slice(0, MAX_QUOTED_LENGTH)}...` : text;
}
