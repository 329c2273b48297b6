import { amendCatalogue, type Catalogue, type TableAmendment, type TableName } from "../../data/catalogue.js";
import { bumpCatalogVersion } from "../../data/catalogue-version.js";
import type { Prisma } from "../../data/prisma/client.js";
import {
  type ChangeRecord,
  deleteRows,
  type RowColumns,
  readRows,
  writeChanges,
  writeRows,
} from "../../data/write-rows.js";
import type { Viewer } from "../access/viewer.js";
import type { ChangeModel } from "../audit/changes.js";
import type { EditForm } from "./forms.js";
import { columnsOf, type EditableRow, type PlannedChange } from "./plan.js";

/** What the history says of an edit besides what it changed. */
export interface Authorship {
  actor: Pick<Viewer, "name" | "role" | "tokenId">;
  requestId: string;
  comment?: string | null | undefined;
  /** The change that this edit takes back. */
  revertedChangeId?: number;
}

/** The catalogue as an edit left it, and the entries of the history in the order of the changes. */
export interface AppliedChanges {
  catalogue: Catalogue;
  changes: ChangeModel[];
}

/** The catalogue as planned changes would leave it; the rows will differ in their times only. */
export function previewCatalogue(base: Catalogue, changes: readonly PlannedChange[]): Catalogue {
  return amendCatalogue(base, base.version, amendmentsOf(changes, provisionalRow));
}

/**
 * Writes changes, raises the catalogue's version and writes the history, within a transaction that keeps everybody
 * else from editing (see `lockCatalogue`).
 * @param base the catalogue that the changes were planned over, as it is in the database
 * @throws RowChangedError when a row is at another version than there
 */
export async function applyChanges(
  tx: Prisma.TransactionClient,
  base: Catalogue,
  changes: readonly PlannedChange[],
  author: Authorship,
): Promise<AppliedChanges> {
  await writeChangedRows(tx, changes);
  const stored = new Map<string, EditableRow>();
  for (const [{ rules }, ofForm] of groupByForm(changes)) {
    const ids = ofForm.flatMap(({ after }) => after?.id ?? []);
    for (const row of await readRows(tx, rules.entity, ids)) stored.set(row.id, row as EditableRow);
  }
  const rowOf = (change: PlannedChange): EditableRow => {
    const row = stored.get(change.after?.id ?? "");
    if (row === undefined) throw new Error("a row that was written cannot be read");
    return row;
  };
  const catalogue = amendCatalogue(base, await bumpCatalogVersion(tx), amendmentsOf(changes, rowOf));
  const records = changes.map((change) => recordOf(change, rowOf, catalogue.version, author));
  const marks = await writeChanges(tx, records);
  return { catalogue, changes: records.map((record, index) => ({ ...record, ...marks[index] }) as ChangeModel) };
}

/**
 * Writes the rows of changes, and nothing else.
 * @throws RowChangedError when a row is at another version than planned
 */
export async function writeChangedRows(tx: Prisma.TransactionClient, changes: readonly PlannedChange[]): Promise<void> {
  for (const [{ rules }, ofForm] of groupByForm(changes)) {
    const gone = ofForm.flatMap(({ before, after }) => (after === null && before !== null ? [before] : []));
    await deleteRows(tx, rules.table, gone);
    await writeRows(
      tx,
      rules.table,
      ofForm.flatMap(({ after }) => after ?? []),
    );
  }
}

/** The row that a change would leave. */
function provisionalRow({ before, after }: PlannedChange): EditableRow {
  const now = new Date();
  const archivedAt = after?.archivedAt;
  return Object.freeze({
    ...after,
    createdAt: before?.createdAt ?? now,
    updatedAt: now,
    archivedAt: typeof archivedAt === "string" ? new Date(archivedAt) : null,
  }) as unknown as EditableRow;
}

function amendmentsOf(
  changes: readonly PlannedChange[],
  rowOf: (change: PlannedChange) => EditableRow,
): Map<TableName, TableAmendment> {
  return new Map(
    [...groupByForm(changes)].map(([form, ofForm]) => [
      form.rules.entity,
      {
        rows: ofForm.filter(({ after }) => after !== null).map(rowOf),
        removedIds: ofForm.flatMap(({ before, after }) => (after === null && before !== null ? [before.id] : [])),
      },
    ]),
  );
}

function groupByForm(changes: readonly PlannedChange[]): Map<EditForm, PlannedChange[]> {
  const groups = new Map<EditForm, PlannedChange[]>();
  for (const change of changes) {
    const group = groups.get(change.form);
    if (group === undefined) groups.set(change.form, [change]);
    else group.push(change);
  }
  return groups;
}

function recordOf(
  change: PlannedChange,
  rowOf: (change: PlannedChange) => EditableRow,
  catalogVersion: number,
  { actor, requestId, comment, revertedChangeId }: Authorship,
): ChangeRecord {
  const before = change.before === null ? null : columnsOf(change.before);
  const after = change.after === null ? null : columnsOf(rowOf(change));
  const last = (after ?? before) as RowColumns;
  return {
    catalogVersion,
    entity: change.form.type,
    rowId: last.id,
    slug: String(last.slug),
    rowVersion: last.version,
    operation: change.operation,
    fields: change.fields,
    before,
    after,
    actorName: actor.name,
    actorRole: actor.role,
    actorTokenId: actor.tokenId,
    requestId,
    comment: comment ?? null,
    revertedChangeId: revertedChangeId ?? null,
  };
}
