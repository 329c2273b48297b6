import { isDeepStrictEqual } from "node:util";
import type { Catalogue } from "../../data/catalogue.js";
import type { ChangeModel } from "../audit/changes.js";
import { toInput } from "../catalogue/rules/columns.js";
import { fieldsOf } from "../catalogue/rules/entities.js";
import { describeRow } from "./differences.js";
import { apiFieldOf, EDIT_FORMS, type EditForm } from "./forms.js";
import {
  columnsOf,
  type EditableRow,
  type Plan,
  type Planner,
  planMark,
  planRecreate,
  planRemove,
  planReset,
  refuse,
  rowsOf,
} from "./plan.js";

/** The argument that everything here goes back to. */
const PATH = ["id"];

/**
 * Takes a change back by a new one: what it changed is as before, what others changed since stays. Refused as STALE
 * when anything that it changed has been changed again.
 */
export function planRevert(change: ChangeModel): Planner {
  const form = EDIT_FORMS[change.entity];
  return (catalogue) => {
    const row = rowsOf(form, catalogue).byId.get(change.rowId) ?? null;
    if (row === null) return revertWithoutRow(form, change)(catalogue);
    return revertOf(form, change, row, catalogue)(catalogue);
  };
}

function revertWithoutRow(form: EditForm, change: ChangeModel): Planner {
  if (change.operation === "DELETE" && change.before !== null) return planRecreate(form, change.before, PATH);
  return () => conflict(form, null, `The ${form.rules.label} "${change.slug}" has been deleted since.`);
}

function revertOf(form: EditForm, change: ChangeModel, row: EditableRow, catalogue: Catalogue): Planner {
  if (change.operation === "DELETE") {
    return () => conflict(form, row, `The ${form.rules.label} "${row.slug}" is there again.`);
  }
  const touched = touchedSince(form, change, row, catalogue);
  if (touched.length > 0) {
    const fields = touched.map((field) => apiFieldOf(form, field)).join(", ");
    const message = `${fields} of "${row.slug}" has been changed since, the last time ${row.updatedAt.toISOString()}; take back the later changes first.`;
    return () => conflict(form, row, message);
  }
  switch (change.operation) {
    case "CREATE":
      return planRemove(form, row, PATH);
    case "UPDATE":
      return planReset(form, row, valuesBefore(form, change, catalogue), PATH);
    case "ARCHIVE":
      return planMark(form, row, "RESTORE");
    case "RESTORE":
      return planMark(form, row, "ARCHIVE");
  }
}

/** Fields of the change whose value is no longer the one that it left. */
function touchedSince(form: EditForm, change: ChangeModel, row: EditableRow, catalogue: Catalogue): string[] {
  const left = describeRow(form, change.after ?? {}, catalogue);
  const now = describeRow(form, columnsOf(row), catalogue);
  const fields = change.operation === "CREATE" ? [...Object.keys(fieldsOf(form.rules)), "archivedAt"] : change.fields;
  return fields.filter((field) => {
    const name = apiFieldOf(form, field);
    // Archived twice is archived all the same.
    if (field === "archivedAt") return (left[name] === null) !== (now[name] === null);
    return !isDeepStrictEqual(left[name], now[name]);
  });
}

function valuesBefore(form: EditForm, change: ChangeModel, catalogue: Catalogue): Record<string, unknown> {
  // An import may change fields and archive the row by one change.
  const before = { ...toInput(form.rules, change.before ?? {}, catalogue), archivedAt: change.before?.archivedAt };
  const values = new Map<string, unknown>(Object.entries(before));
  return Object.fromEntries(change.fields.map((field) => [field, values.get(field) ?? null]));
}

function conflict(form: EditForm, row: EditableRow | null, message: string): Plan {
  return refuse(form, row, [{ code: "STALE", field: PATH, message }]);
}
