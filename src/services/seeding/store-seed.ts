import { createHash } from "node:crypto";
import { bumpCatalogVersion, CATALOGUE_VERSION_ID } from "../../data/catalogue-version.js";
import type { Database } from "../../data/database.js";
import type { Prisma } from "../../data/prisma/client.js";
import { type ChangeRecord, readRows, writeChanges } from "../../data/write-rows.js";
import { toColumns } from "../catalogue/rules/columns.js";
import { ENTITIES, type EntityName, type EntityRules, fieldsOf } from "../catalogue/rules/entities.js";
import { changedFields, columnsOf, type EditableRow } from "../editing/plan.js";
import type { PreparedSeed } from "./prepare-seed.js";
import { seedRowId } from "./row-id.js";

/** A row that was left as it is in the database. */
export interface KeptRow {
  entity: EntityName;
  slug: string;
  /**
   * edited: somebody changed it since it was seeded. deleted: somebody removed it, or a row that it refers to. taken:
   * somebody else's row has its slug.
   */
  reason: "edited" | "deleted" | "taken";
}

export interface StoredSeed {
  inserted: number;
  updated: number;
  unchanged: number;
  kept: readonly KeptRow[];
  /** Seeded rows that this seed no longer has; they stay, since other rows may refer to them. */
  notInSeed: number;
}

/** Long enough for a slow disk; a transaction of a few thousand rows takes a second or two. */
const TRANSACTION_TIMEOUT_MS = 120_000;
const TRANSACTION_WAIT_MS = 60_000;

interface ExistingRow {
  id: string;
  slug: string;
  version: number;
}

type Columns = Record<string, unknown>;

/** Who the history says it was. */
const SEED_ACTOR = "seed";

/**
 * Stores a checked seed in one transaction, all or nothing, and raises the catalogue's version once if any row
 * changed. Null when another server stored the same seed in the meantime.
 *
 * Of rows that are there already, one whose seed did not change is left alone, and so is one that people edited
 * since (its version is no longer the one that the seed wrote): their edit outranks a newer seed.
 */
export function storeSeed(database: Database, seed: PreparedSeed, seedHash: string): Promise<StoredSeed | null> {
  return database.prisma.$transaction(
    async (tx) => {
      // Whoever edits the catalogue raises this row's version, so that its lock keeps everybody else out until the end.
      const [current] = await tx.$queryRaw<{ seedHash: string | null }[]>`
        SELECT "seedHash" FROM "CatalogVersion" WHERE "id" = ${CATALOGUE_VERSION_ID} FOR UPDATE`;
      if (current?.seedHash === seedHash) return null;
      const { stored, changes } = await writeRows(tx, seed);
      await tx.catalogVersion.update({ where: { id: CATALOGUE_VERSION_ID }, data: { seedHash } });
      if (stored.inserted + stored.updated === 0) return stored;
      const catalogVersion = await bumpCatalogVersion(tx);
      await writeChanges(
        tx,
        changes.map((change) => ({ catalogVersion, ...change })),
      );
      return stored;
    },
    { timeout: TRANSACTION_TIMEOUT_MS, maxWait: TRANSACTION_WAIT_MS },
  );
}

/** What is written, and the entries of the history for it; a first seed has none, as nothing was before it. */
async function writeRows(
  tx: Prisma.TransactionClient,
  seed: PreparedSeed,
): Promise<{ stored: StoredSeed; changes: SeedChange[] }> {
  const seeded = new Map((await tx.seedRow.findMany()).map((row) => [row.id, row]));
  const ids = new Map<string, string>();
  const idOf = (entity: EntityName, slug: string) => ids.get(`${entity}/${slug}`) ?? seedRowId(entity, slug);
  const kept: KeptRow[] = [];
  const changes: SeedChange[] = [];
  const inSeed = new Set<string>();
  /** Rows that somebody removed, and those that cannot be without them. */
  const absent = new Set<string>();
  let inserted = 0;
  let updated = 0;
  let unchanged = 0;

  for (const rules of ENTITIES) {
    const existing = await tx.$queryRawUnsafe<ExistingRow[]>(`SELECT "id", "slug", "version" FROM "${rules.table}"`);
    const existingById = new Map(existing.map((row) => [row.id, row]));
    const existingBySlug = new Map(existing.map((row) => [row.slug, row]));
    const toWrite: Columns[] = [];
    const marks: { id: string; contentHash: string; rowVersion: number }[] = [];

    for (const row of seed.get(rules.entity) ?? []) {
      const id = seedRowId(rules.entity, row.slug);
      inSeed.add(id);
      const stored = existingById.get(id);
      const holder = existingBySlug.get(row.slug);
      if (!stored && holder) {
        // References to the slug mean the row that has it.
        ids.set(`${rules.entity}/${row.slug}`, holder.id);
        kept.push({ entity: rules.entity, slug: row.slug, reason: "taken" });
        continue;
      }
      const lacksReference = rules.references.some(
        ({ field, entity, column }) => column !== undefined && absent.has(`${entity}/${row.input[field]}`),
      );
      if (lacksReference || (!stored && seeded.has(id))) {
        if (!stored) absent.add(`${rules.entity}/${row.slug}`);
        kept.push({ entity: rules.entity, slug: row.slug, reason: "deleted" });
        continue;
      }
      const columns = { id, ...toColumns(rules, row.input, idOf) };
      const contentHash = hashColumns(columns);
      const mark = seeded.get(id);
      if (stored && mark?.contentHash === contentHash) {
        unchanged++;
      } else if (stored && mark?.rowVersion !== stored.version) {
        kept.push({ entity: rules.entity, slug: row.slug, reason: "edited" });
      } else {
        toWrite.push(columns);
        marks.push({ id, contentHash, rowVersion: (stored?.version ?? 0) + 1 });
        if (stored) updated++;
        else inserted++;
      }
    }
    const written = seeded.size > 0 ? marks.map(({ id }) => id) : [];
    const before = await readRows(tx, rules.entity, written);
    await upsert(tx, rules, toWrite);
    changes.push(...recordChanges(rules, before, await readRows(tx, rules.entity, written)));
    await upsertMarks(tx, marks);
  }
  const notInSeed = [...seeded.keys()].filter((id) => !inSeed.has(id)).length;
  return { stored: { inserted, updated, unchanged, kept, notInSeed }, changes };
}

type SeedChange = Omit<ChangeRecord, "catalogVersion">;

/** The history's entries for rows that a newer seed wrote. */
function recordChanges(
  rules: EntityRules,
  before: readonly { id: string }[],
  after: readonly { id: string }[],
): SeedChange[] {
  const old = new Map(before.map((row) => [row.id, row as EditableRow]));
  return after.map((row) => {
    const previous = old.get(row.id);
    const columns = columnsOf(row as EditableRow);
    const previousColumns = previous === undefined ? null : columnsOf(previous);
    return {
      entity: rules.table,
      rowId: columns.id,
      slug: String(columns.slug),
      rowVersion: columns.version,
      operation: previousColumns === null ? "CREATE" : "UPDATE",
      fields: changedRuleFields(rules, previousColumns, columns),
      before: previousColumns,
      after: columns,
      actorName: SEED_ACTOR,
      actorRole: "ADMIN",
      actorTokenId: null,
      requestId: SEED_ACTOR,
      comment: null,
      revertedChangeId: null,
    };
  });
}

/** Changed columns by the rules' names: a reference's column has the name of its field. */
function changedRuleFields(rules: EntityRules, before: Columns | null, after: Columns): string[] {
  const changed = new Set(changedFields(before, after));
  return Object.keys(fieldsOf(rules)).filter((field) =>
    changed.has(rules.references.find((reference) => reference.field === field)?.column ?? field),
  );
}

/** Writes rows of one table in one statement: PostgreSQL itself turns the JSON into columns. */
async function upsert(tx: Prisma.TransactionClient, rules: EntityRules, rows: readonly Columns[]): Promise<void> {
  const [first] = rows;
  if (!first) return;
  const columns = Object.keys(first).map((column) => `"${column}"`);
  const changes = columns.filter((column) => column !== '"id"').map((column) => `${column} = EXCLUDED.${column}`);
  await tx.$executeRawUnsafe(
    `INSERT INTO "${rules.table}" (${columns.join(", ")}, "version", "createdAt", "updatedAt")
     SELECT ${columns.join(", ")}, 1, now(), now() FROM jsonb_populate_recordset(NULL::"${rules.table}", $1::jsonb)
     ON CONFLICT ("id") DO UPDATE
       SET ${changes.join(", ")}, "version" = "${rules.table}"."version" + 1, "updatedAt" = now()`,
    JSON.stringify(rows),
  );
}

async function upsertMarks(tx: Prisma.TransactionClient, marks: readonly object[]): Promise<void> {
  if (marks.length === 0) return;
  await tx.$executeRawUnsafe(
    `INSERT INTO "SeedRow" SELECT * FROM jsonb_populate_recordset(NULL::"SeedRow", $1::jsonb)
     ON CONFLICT ("id") DO UPDATE SET "contentHash" = EXCLUDED."contentHash", "rowVersion" = EXCLUDED."rowVersion"`,
    JSON.stringify(marks),
  );
}

function hashColumns(columns: Columns): string {
  const ordered = Object.entries(columns).sort(([left], [right]) => (left < right ? -1 : 1));
  return createHash("sha256").update(JSON.stringify(ordered)).digest("hex");
}
