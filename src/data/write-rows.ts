import type { TableName } from "./catalogue.js";
import { TABLES, toFrozenRow } from "./load-catalogue.js";
import type { Prisma } from "./prisma/client.js";

/** Columns of a row as JSON; `version` is the one that the row gets. Times of creation and change are set here. */
export type RowColumns = Readonly<Record<string, unknown>> & { readonly id: string; readonly version: number };

/** A row was not at the version that its edit was made from, though nobody could edit meanwhile. */
export class RowChangedError extends Error {
  constructor(table: string) {
    super(`a row of ${table} was changed without raising the catalogue's version`);
    this.name = "RowChangedError";
  }
}

/** Columns that are set by the statements here. */
const TIMES = new Set(["createdAt", "updatedAt"]);

/**
 * Inserts rows, or replaces those of the version before. PostgreSQL itself turns the JSON into columns, so that one
 * statement writes any number of rows. A row that comes back after its deletion keeps its `createdAt`.
 * @throws RowChangedError when a row was at another version
 */
export async function writeRows(
  tx: Prisma.TransactionClient,
  table: string,
  rows: readonly RowColumns[],
): Promise<void> {
  const [first] = rows;
  if (first === undefined) return;
  const names = Object.keys(first).filter((name) => !TIMES.has(name));
  const columns = names.map((name) => `"${name}"`).join(", ");
  const changes = names.filter((name) => name !== "id").map((name) => `"${name}" = EXCLUDED."${name}"`);
  const written = await tx.$executeRawUnsafe(
    `INSERT INTO "${table}" (${columns}, "createdAt", "updatedAt")
     SELECT ${columns}, COALESCE("createdAt", now()), now() FROM jsonb_populate_recordset(NULL::"${table}", $1::jsonb)
     ON CONFLICT ("id") DO UPDATE SET ${changes.join(", ")}, "updatedAt" = now()
       WHERE "${table}"."version" = EXCLUDED."version" - 1`,
    JSON.stringify(rows),
  );
  if (written !== rows.length) throw new RowChangedError(table);
}

/**
 * Deletes rows.
 * @throws RowChangedError when a row was at another version
 */
export async function deleteRows(
  tx: Prisma.TransactionClient,
  table: string,
  rows: readonly { id: string; version: number }[],
): Promise<void> {
  if (rows.length === 0) return;
  const deleted = await tx.$executeRawUnsafe(
    `DELETE FROM "${table}" USING jsonb_populate_recordset(NULL::"${table}", $1::jsonb) AS gone
     WHERE "${table}"."id" = gone."id" AND "${table}"."version" = gone."version"`,
    JSON.stringify(rows.map(({ id, version }) => ({ id, version }))),
  );
  if (deleted !== rows.length) throw new RowChangedError(table);
}

/** Reads rows back as a snapshot has them. */
export async function readRows(
  tx: Prisma.TransactionClient,
  part: TableName,
  ids: readonly string[],
): Promise<{ id: string; slug: string }[]> {
  if (ids.length === 0) return [];
  const rows = await tx.$queryRawUnsafe<{ content: object }[]>(
    `SELECT to_json(t) AS content FROM "${TABLES[part]}" t
     WHERE t."id" IN (SELECT jsonb_array_elements_text($1::jsonb)::uuid)`,
    JSON.stringify(ids),
  );
  return rows.map(({ content }) => toFrozenRow(content) as { id: string; slug: string });
}

/** One row of the audit trail, but for what the database gives it. */
export interface ChangeRecord {
  catalogVersion: number;
  entity: string;
  rowId: string;
  slug: string;
  rowVersion: number;
  operation: string;
  fields: readonly string[];
  before: unknown;
  after: unknown;
  actorName: string;
  actorRole: string;
  actorTokenId: string | null;
  requestId: string;
  comment: string | null;
  revertedChangeId: number | null;
}

/** What the database gives an audit row. */
export interface ChangeMark {
  id: number;
  createdAt: Date;
}

/** Writes audit rows; returns their marks in the same order. */
export async function writeChanges(
  tx: Prisma.TransactionClient,
  changes: readonly ChangeRecord[],
): Promise<ChangeMark[]> {
  const [first] = changes;
  if (first === undefined) return [];
  const columns = Object.keys(first)
    .map((name) => `"${name}"`)
    .join(", ");
  const written = await tx.$queryRawUnsafe<{ id: bigint; rowId: string; createdAt: Date }[]>(
    `INSERT INTO "CatalogChange" (${columns})
     SELECT ${columns} FROM jsonb_populate_recordset(NULL::"CatalogChange", $1::jsonb)
     RETURNING "id", "rowId", "createdAt"`,
    JSON.stringify(changes),
  );
  const marks = new Map(written.map(({ id, rowId, createdAt }) => [rowId, { id: Number(id), createdAt }]));
  return changes.map(({ rowId }) => {
    const mark = marks.get(rowId);
    if (mark === undefined) throw new Error(`the change of row ${rowId} was not written`);
    return mark;
  });
}
