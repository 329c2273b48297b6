import { createHash } from "node:crypto";
import type { Catalogue } from "../../data/catalogue.js";
import { bumpCatalogVersion, CATALOGUE_VERSION_ID } from "../../data/catalogue-version.js";
import type { Database } from "../../data/database.js";
import { loadLockedCatalogue } from "../../data/load-catalogue.js";
import type { Prisma, SeedRow } from "../../data/prisma/client.js";
import { toColumns } from "../catalogue/rules/columns.js";
import { ENTITIES, type EntityName, type EntityRules, fieldsOf } from "../catalogue/rules/entities.js";
import type { CheckedFileRow } from "../catalogue-files/check-sections.js";
import { orderKeys } from "../catalogue-files/format-rows.js";
import { type Authorship, applyChanges, writeChangedRows } from "../editing/apply-changes.js";
import { type EditForm, FILE_FORMS } from "../editing/forms.js";
import { changedFields, changeOf, columnsOf, type EditableRow, type PlannedChange, rowsOf } from "../editing/plan.js";
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

type Columns = Record<string, unknown>;

/** Who the history says it was. */
const AUTHOR: Authorship = { actor: { name: "seed", role: "ADMIN", tokenId: null }, requestId: "seed" };

/**
 * Stores a checked seed in one transaction, all or nothing, and raises the catalogue's version once if any row
 * changed. Null when another server stored the same seed in the meantime. The first seed is not in the history, as
 * nothing was before it.
 *
 * Of rows that are there already, one whose seed did not change is left alone, and so is one that people edited
 * since (its version is no longer the one that the seed wrote): their edit outranks a newer seed. A row that is as
 * the seed has it belongs to the seed again, whoever made it so.
 */
export function storeSeed(database: Database, seed: PreparedSeed, seedHash: string): Promise<StoredSeed | null> {
  return database.prisma.$transaction(
    async (tx) => {
      // Whoever edits the catalogue raises this row's version, so that its lock keeps everybody else out until the end.
      const [current] = await tx.$queryRaw<{ seedHash: string | null }[]>`
        SELECT "seedHash" FROM "CatalogVersion" WHERE "id" = ${CATALOGUE_VERSION_ID} FOR UPDATE`;
      if (current?.seedHash === seedHash) return null;
      const seeded = new Map((await tx.seedRow.findMany()).map((row) => [row.id, row]));
      const catalogue = await loadLockedCatalogue(tx);
      const { stored, changes, marks } = planSeed(seed, catalogue, seeded);
      await upsertMarks(tx, marks);
      await tx.catalogVersion.update({ where: { id: CATALOGUE_VERSION_ID }, data: { seedHash } });
      if (changes.length === 0) return stored;
      if (seeded.size > 0) {
        await applyChanges(tx, catalogue, changes, AUTHOR);
      } else {
        await writeChangedRows(tx, changes);
        await bumpCatalogVersion(tx);
      }
      return stored;
    },
    { timeout: TRANSACTION_TIMEOUT_MS, maxWait: TRANSACTION_WAIT_MS },
  );
}

interface SeedPlan {
  stored: StoredSeed;
  changes: readonly PlannedChange[];
  /** What the seed owns afterwards, as far as that changes. */
  marks: readonly SeedRow[];
}

/** What a seed changes of a catalogue, and what it leaves as it is. */
function planSeed(seed: PreparedSeed, catalogue: Catalogue, seeded: ReadonlyMap<string, SeedRow>): SeedPlan {
  const ids = new Map<string, string>();
  const idOf = (entity: EntityName, slug: string) => ids.get(`${entity}/${slug}`) ?? seedRowId(entity, slug);
  const kept: KeptRow[] = [];
  const changes: PlannedChange[] = [];
  const marks: SeedRow[] = [];
  const inSeed = new Set<string>();
  /** Rows that somebody removed, and those that cannot be without them. */
  const absent = new Set<string>();
  let unchanged = 0;

  for (const [rules, form, row] of rowsOfSeed(seed)) {
    const { entity } = rules;
    const { slug } = row;
    const table = rowsOf(form, catalogue);
    const id = seedRowId(entity, slug);
    inSeed.add(id);
    const existing = table.byId.get(id) ?? null;
    const holder = table.bySlug.get(slug);
    if (existing === null && holder !== undefined) {
      // References to the slug mean the row that has it.
      ids.set(`${entity}/${slug}`, holder.id);
      kept.push({ entity, slug, reason: "taken" });
      continue;
    }
    const lacksReference = rules.references.some(
      (reference) => reference.column !== undefined && absent.has(`${reference.entity}/${row.input[reference.field]}`),
    );
    if (lacksReference || (existing === null && seeded.has(id))) {
      if (existing === null) absent.add(`${entity}/${slug}`);
      kept.push({ entity, slug, reason: "deleted" });
      continue;
    }
    const columns = toColumns(rules, row.input, idOf);
    const contentHash = hashColumns({ id, ...columns, ...(row.archivedAt === null ? {} : { archivedAt: true }) });
    const mark = seeded.get(id);
    if (existing !== null && mark?.contentHash === contentHash) {
      unchanged++;
      continue;
    }
    const change = changeTo(form, existing, { ...row, id, columns });
    if (change === null) {
      unchanged++;
    } else if (existing !== null && mark?.rowVersion !== existing.version) {
      kept.push({ entity, slug, reason: "edited" });
      continue;
    } else {
      changes.push(change);
    }
    marks.push({ id, contentHash, rowVersion: change?.after?.version ?? existing?.version ?? 1 });
  }
  const inserted = changes.filter(({ before }) => before === null).length;
  const notInSeed = [...seeded.keys()].filter((id) => !inSeed.has(id)).length;
  return {
    stored: { inserted, updated: changes.length - inserted, unchanged, kept, notInSeed },
    changes,
    marks,
  };
}

/** Every row, those that others refer to first. */
function* rowsOfSeed(seed: PreparedSeed): Generator<[EntityRules, EditForm, CheckedFileRow]> {
  for (const rules of ENTITIES) {
    const form = FILE_FORMS.get(rules.entity);
    if (form === undefined) throw new Error(`no form for ${rules.entity}`);
    for (const row of seed.get(rules.entity) ?? []) yield [rules, form, row];
  }
}

type SeedState = CheckedFileRow & { id: string; columns: Columns };

/** The change that makes a row what the seed says; null when it is that. */
function changeTo(
  form: EditForm,
  existing: EditableRow | null,
  { id, columns, archivedAt }: SeedState,
): PlannedChange | null {
  return changeOf({
    form,
    existing,
    fields: changedRuleFields(form.rules, existing === null ? null : columnsOf(existing), columns),
    columns: () => columns,
    archivedAt,
    identity: { id, version: 1, archivedAt, createdAt: null },
    path: [],
  });
}

/**
 * Changed columns, by the rules' names where people give them: a reference's column has the name of its field. What
 * is computed may change by itself, when the code that computes it does.
 */
function changedRuleFields(rules: EntityRules, before: Columns | null, after: Columns): string[] {
  const changed = new Set(changedFields(before, JSON.parse(JSON.stringify(after)) as Columns));
  const columnOf = (field: string) => rules.references.find((reference) => reference.field === field)?.column ?? field;
  const given = Object.keys(fieldsOf(rules));
  const givenColumns = new Set(given.map(columnOf));
  const computed = Object.keys(after).filter((column) => !givenColumns.has(column) && changed.has(column));
  return [...given.filter((field) => changed.has(columnOf(field))), ...computed];
}

async function upsertMarks(tx: Prisma.TransactionClient, marks: readonly SeedRow[]): Promise<void> {
  if (marks.length === 0) return;
  await tx.$executeRawUnsafe(
    `INSERT INTO "SeedRow" SELECT * FROM jsonb_populate_recordset(NULL::"SeedRow", $1::jsonb)
     ON CONFLICT ("id") DO UPDATE SET "contentHash" = EXCLUDED."contentHash", "rowVersion" = EXCLUDED."rowVersion"`,
    JSON.stringify(marks),
  );
}

/** The same for the same content, in whatever order the keys of its JSON values are. */
function hashColumns(columns: Columns): string {
  return createHash("sha256")
    .update(JSON.stringify(orderKeys(columns)))
    .digest("hex");
}
