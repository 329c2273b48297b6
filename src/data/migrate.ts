import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { PROJECT_FOLDER } from "../project-folder.js";
import type { Database, DatabaseSession } from "./database.js";
import { DatabaseError, reasonOf } from "./database-error.js";
import { type Migration, NO_FILTER, startSchemaEngine, toMigrationList } from "./schema-engine.js";

/** The project's migrations. */
export const MIGRATIONS_FOLDER = join(PROJECT_FOLDER, "prisma/migrations");

/** The advisory lock of `prisma migrate deploy` itself, so that neither gets in the other's way. */
const MIGRATION_LOCK = 72707369;
const LOCK_POLL_MS = 100;
const LOCK_TIMEOUT_MS = 120_000;

export interface MigrateOptions {
  folder?: string;
  onProgress?: (message: string) => void;
}

/** Reads migrations from their folder in the order in which they apply. */
export async function readMigrations(folder: string = MIGRATIONS_FOLDER): Promise<Migration[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  const names = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  return Promise.all(
    names.sort().map(async (name) => ({ name, sql: await readFile(join(folder, name, "migration.sql"), "utf8") })),
  );
}

/**
 * Brings a database up to date as `prisma migrate deploy` would, with its table `_prisma_migrations`.
 * Safe when several servers start at once: one applies, the others wait. A migration cut short (its process was
 * killed, or its SQL failed) left nothing behind, since its script is one transaction; it is applied again.
 * Returns the names applied. Throws DatabaseError.
 */
export async function migrate(database: Database, options: MigrateOptions = {}): Promise<string[]> {
  const { folder = MIGRATIONS_FOLDER, onProgress = () => {} } = options;
  const migrations = await readMigrations(folder);
  const session = await database.openSession();
  try {
    if (await isUpToDate(session, migrations)) return [];
    await lock(session, onProgress);
    if (await isUpToDate(session, migrations)) return [];
    return await applyMigrations(session, folder, migrations, onProgress);
  } catch (error) {
    if (error instanceof DatabaseError) throw error;
    throw new DatabaseError(
      "MIGRATION_FAILED",
      `${database.description} could not be brought up to date: ${reasonOf(error)}. ` +
        "Nothing of the failed migration was kept; it is tried again at the next start.",
      { cause: error },
    );
  } finally {
    // Ends the session, and with it the locks it holds.
    await session.close();
  }
}

async function applyMigrations(
  session: DatabaseSession,
  folder: string,
  migrations: readonly Migration[],
  onProgress: (message: string) => void,
): Promise<string[]> {
  onProgress("Bringing the database's tables up to date.");
  const engine = await startSchemaEngine(markWithScript(session.adapterFactory), ({ message }) => {
    if (message.startsWith("Applying")) onProgress(`${message.replaceAll("`", "")}.`);
  });
  try {
    for (const migrationName of await listUnfinished(session)) {
      onProgress(`The migration ${migrationName} was cut short before; applying it again.`);
      await engine.markMigrationRolledBack({ migrationName });
    }
    const migrationsList = toMigrationList(folder, migrations);
    const { appliedMigrationNames } = await engine.applyMigrations({ migrationsList, filters: NO_FILTER });
    return appliedMigrationNames;
  } finally {
    engine.free();
  }
}

/**
 * Has the mark "finished" set in the transaction of the script itself. The engine sets it in a statement of its
 * own afterwards; a process killed between the two would leave a migration that is applied but looks unfinished.
 */
function markWithScript(factory: DatabaseSession["adapterFactory"]): DatabaseSession["adapterFactory"] {
  const mark = `UPDATE "_prisma_migrations" SET "finished_at" = now() WHERE "finished_at" IS NULL AND "rolled_back_at" IS NULL;`;
  return {
    ...factory,
    async connect() {
      const adapter = await factory.connect();
      const executeScript = (script: string) => adapter.executeScript(`${script}\n;\n${mark}`);
      return Object.assign(Object.create(adapter) as typeof adapter, { executeScript });
    },
  };
}

interface AppliedMigration {
  migration_name: string;
  checksum: string;
  finished: boolean;
}

/** Rows of `_prisma_migrations` that count: those rolled back are history. Empty before the first migration. */
async function listRecorded(session: DatabaseSession): Promise<AppliedMigration[]> {
  const [table] = await session.query<{ present: boolean }>(
    `SELECT to_regclass('"_prisma_migrations"') IS NOT NULL AS present`,
  );
  if (!table?.present) return [];
  return session.query<AppliedMigration>(
    `SELECT "migration_name", "checksum", "finished_at" IS NOT NULL AS finished
       FROM "_prisma_migrations" WHERE "rolled_back_at" IS NULL ORDER BY "started_at"`,
  );
}

async function listUnfinished(session: DatabaseSession): Promise<string[]> {
  const recorded = await listRecorded(session);
  return recorded.filter(({ finished }) => !finished).map(({ migration_name }) => migration_name);
}

/** Whether every migration is recorded as finished, which spares starting the engine. */
async function isUpToDate(session: DatabaseSession, migrations: readonly Migration[]): Promise<boolean> {
  const recorded = await listRecorded(session);
  const finished = new Map(recorded.filter((row) => row.finished).map((row) => [row.migration_name, row.checksum]));
  for (const { name, sql } of migrations) {
    const checksum = finished.get(name);
    if (checksum !== undefined && checksum !== checksumOf(sql)) {
      throw new DatabaseError(
        "MIGRATION_FAILED",
        `The migration ${name} was applied to this database with other contents than it has now. ` +
          "An applied migration must not be edited; write a new one.",
      );
    }
  }
  return recorded.every((row) => row.finished) && migrations.every(({ name }) => finished.has(name));
}

/** The checksum that Prisma keeps of a migration: SHA-256 of its script. */
export function checksumOf(sql: string): string {
  return createHash("sha256").update(sql).digest("hex");
}

async function lock(session: DatabaseSession, onProgress: (message: string) => void): Promise<void> {
  const deadline = Date.now() + LOCK_TIMEOUT_MS;
  for (let told = false; ; ) {
    const [row] = await session.query<{ locked: boolean }>("SELECT pg_try_advisory_lock($1::bigint) AS locked", [
      MIGRATION_LOCK,
    ]);
    if (row?.locked) return;
    if (Date.now() > deadline) {
      throw new DatabaseError(
        "MIGRATION_FAILED",
        "Another process has held the lock for migrations for two minutes. See to that process, then start again.",
      );
    }
    if (!told) onProgress("Another server is bringing the database up to date; waiting for it.");
    told = true;
    await new Promise((resolve) => setTimeout(resolve, LOCK_POLL_MS));
  }
}
