import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createEmptyPostgresDatabase, createTestTarget, DATABASE_KINDS } from "../../test/setup/databases.js";
import { type Database, type DatabaseTarget, openDatabase } from "./database.js";
import { checksumOf, MIGRATIONS_FOLDER, migrate, readMigrations } from "./migrate.js";
import { diffSchema } from "./schema-difference.js";

interface RecordedMigration {
  migration_name: string;
  checksum: string;
  finished: boolean;
  rolled_back: boolean;
  applied_steps_count: number;
}

async function query<Row>(database: Database, sql: string): Promise<Row[]> {
  const session = await database.openSession();
  try {
    return await session.query<Row>(sql);
  } finally {
    await session.close();
  }
}

function readRecords(database: Database): Promise<RecordedMigration[]> {
  return query(
    database,
    `SELECT migration_name, checksum, finished_at IS NOT NULL AS finished, rolled_back_at IS NOT NULL AS rolled_back,
            applied_steps_count FROM _prisma_migrations ORDER BY started_at`,
  );
}

describe.each(DATABASE_KINDS)("migrate (%s)", (kind) => {
  let database: Database;
  let folder: string;
  let target: DatabaseTarget;

  beforeEach(async () => {
    target = await createTestTarget(kind);
    database = await openDatabase(target);
    folder = await mkdtemp(join(tmpdir(), "vramql-migrations-"));
    for (const { name, sql } of await readMigrations()) await addMigration(name, sql);
  });
  afterEach(async () => {
    await database.close();
    await rm(folder, { recursive: true, force: true });
  });

  async function addMigration(name: string, sql: string): Promise<void> {
    await mkdir(join(folder, name), { recursive: true });
    await writeFile(join(folder, name, "migration.sql"), sql);
  }

  it("records each migration as prisma migrate deploy does", async () => {
    const migrations = await readMigrations();
    expect(await readRecords(database)).toEqual(
      migrations.map(({ name, sql }) => ({
        migration_name: name,
        checksum: checksumOf(sql),
        finished: true,
        rolled_back: false,
        applied_steps_count: 1,
      })),
    );
  });

  it("does nothing the second time", async () => {
    const messages: string[] = [];
    expect(await migrate(database, { onProgress: (message) => messages.push(message) })).toEqual([]);
    expect(messages).toEqual([]);
    expect(await readRecords(database)).toHaveLength((await readMigrations()).length);
  });

  it("applies what is new, and says so", async () => {
    await addMigration(
      "29990101000000_more",
      'CREATE TABLE "More" ("id" INTEGER PRIMARY KEY);\nINSERT INTO "More" VALUES (1);',
    );
    const messages: string[] = [];
    const applied = await migrate(database, { folder, onProgress: (message) => messages.push(message) });
    expect(applied).toEqual(["29990101000000_more"]);
    expect(messages).toContain("Applying 29990101000000_more.");
    expect(await query(database, 'SELECT "id" FROM "More"')).toEqual([{ id: 1 }]);
  });

  it("runs scripts whole: semicolons in texts and function bodies", async () => {
    await addMigration(
      "29990101000000_semicolons",
      `CREATE TABLE "Texts" ("text" TEXT);
       INSERT INTO "Texts" VALUES ('one; two');
       CREATE FUNCTION twice(n INTEGER) RETURNS INTEGER LANGUAGE plpgsql AS $$ BEGIN n := n * 2; RETURN n; END $$;`,
    );
    await migrate(database, { folder });
    expect(await query(database, 'SELECT "text", twice(4) AS twice FROM "Texts"')).toEqual([
      { text: "one; two", twice: 8 },
    ]);
  });

  it("keeps nothing of a migration that fails, and applies it once it is mended", async () => {
    const name = "29990101000000_broken";
    await addMigration(name, 'CREATE TABLE "Half" ("id" INTEGER); SELECT 1 / 0;');
    await expect(migrate(database, { folder })).rejects.toMatchObject({
      problem: "MIGRATION_FAILED",
      message: expect.stringContaining("division by zero"),
    });
    expect(await query(database, `SELECT to_regclass('"Half"') IS NULL AS gone`)).toEqual([{ gone: true }]);

    await addMigration(name, 'CREATE TABLE "Half" ("id" INTEGER);');
    expect(await migrate(database, { folder })).toEqual([name]);
    const records = (await readRecords(database)).filter((record) => record.migration_name === name);
    expect(records.map(({ finished, rolled_back }) => ({ finished, rolled_back }))).toEqual([
      { finished: false, rolled_back: true },
      { finished: true, rolled_back: false },
    ]);
  });

  it("goes on after a process was killed before the script was committed", async () => {
    const name = "29990101000000_killed";
    await addMigration(name, 'CREATE TABLE "Late" ("id" INTEGER);');
    // What the engine writes before it runs the script.
    await query(
      database,
      `INSERT INTO _prisma_migrations (id, checksum, migration_name) VALUES ('killed', '${checksumOf("x")}', '${name}')`,
    );
    expect(await migrate(database, { folder })).toEqual([name]);
    expect(await migrate(database, { folder })).toEqual([]);
  });

  it("refuses a database whose migration was edited afterwards", async () => {
    const [first] = await readMigrations();
    await addMigration(first?.name ?? "", `${first?.sql}\n-- edited`);
    await expect(migrate(database, { folder })).rejects.toThrow(
      `${first?.name} was applied to this database with other contents`,
    );
  });

  it("takes a database whose migrations go further", async () => {
    await addMigration("29990101000000_more", 'CREATE TABLE "More" ("id" INTEGER);');
    await migrate(database, { folder });
    expect(await migrate(database)).toEqual([]);
  });
});

describe("migrate on a server", () => {
  it("is safe when five start at once", async () => {
    const url = await createEmptyPostgresDatabase();
    const databases = await Promise.all(Array.from({ length: 5 }, () => openDatabase({ kind: "postgres", url })));
    try {
      const applied = await Promise.all(databases.map((database) => migrate(database)));
      const names = (await readMigrations()).map(({ name }) => name);
      expect(applied.filter((list) => list.length > 0)).toEqual([names]);
      const [first] = databases;
      if (!first) throw new Error("no database");
      expect((await readRecords(first)).map((record) => record.applied_steps_count)).toEqual(names.map(() => 1));
      // The locks end with their sessions.
      expect(
        await query(
          first,
          "SELECT count(*)::int AS locks FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
        ),
      ).toEqual([{ locks: 0 }]);
    } finally {
      await Promise.all(databases.map((database) => database.close()));
    }
  });

  it("waits for the lock that prisma migrate deploy takes", async () => {
    const url = await createEmptyPostgresDatabase();
    const database = await openDatabase({ kind: "postgres", url });
    const other = await database.openSession();
    try {
      await other.query("SELECT pg_advisory_lock(72707369)");
      const messages: string[] = [];
      const migrated = migrate(database, { onProgress: (message) => messages.push(message) });
      await expect
        .poll(() => messages)
        .toEqual(["Another server is bringing the database up to date; waiting for it."]);
      await other.query("SELECT pg_advisory_unlock(72707369)");
      expect(await migrated).toHaveLength((await readMigrations()).length);
    } finally {
      await other.close();
      await database.close();
    }
  });
});

describe("the migrations", () => {
  it("lead to prisma/schema.prisma", async () => {
    const schema = await readFile(fileURLToPath(new URL("../../prisma/schema.prisma", import.meta.url)), "utf8");
    expect(await diffSchema(await readMigrations(), schema)).toBe("");
  });

  it("have the lock file that Prisma wants beside them", async () => {
    expect(await readFile(join(MIGRATIONS_FOLDER, "migration_lock.toml"), "utf8")).toContain('provider = "postgresql"');
  });
});
