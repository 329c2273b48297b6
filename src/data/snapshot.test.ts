import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  createTestTarget,
  DATABASE_KINDS,
  openTestDatabase,
  recordStatements,
  type TestDatabase,
} from "../../test/setup/databases.js";
import { type PostgresServer, startPostgresServer } from "../../test/setup/postgres-server.js";
import { bumpCatalogVersion } from "./catalogue-version.js";
import { type Database, openDatabase } from "./database.js";
import { migrate } from "./migrate.js";
import type { Prisma } from "./prisma/client.js";
import { type CatalogueEvent, type CatalogueSource, createCatalogueSource } from "./snapshot.js";

/** Long enough that only an announcement can have brought a newer version. */
const NO_POLLING_MS = 3_600_000;

function runtimeRow(slug: string) {
  return {
    id: crypto.randomUUID(),
    slug,
    name: slug,
    engineVersion: "1",
    constants: { defaults: { contextTokens: 4096 } },
    summary: "made up",
    sources: [{ title: "made up" }],
  };
}

/** Changes the catalogue as an editor would; resolves to its new version. */
function edit(database: Database, change: (tx: Prisma.TransactionClient) => Promise<unknown>): Promise<number> {
  return database.prisma.$transaction(async (tx) => {
    await change(tx);
    return bumpCatalogVersion(tx);
  });
}

function addRuntime(database: Database, slug: string): Promise<number> {
  return edit(database, (tx) => tx.runtime.create({ data: runtimeRow(slug) }));
}

describe.each(DATABASE_KINDS)("createCatalogueSource (%s)", (kind) => {
  let test: TestDatabase;
  let source: CatalogueSource;
  let events: CatalogueEvent[];

  beforeEach(async () => {
    test = await openTestDatabase(kind);
    events = [];
    source = await createCatalogueSource(test.database, {
      pollMs: NO_POLLING_MS,
      onEvent: (event) => events.push(event),
    });
  });
  afterEach(async () => {
    await source.close();
    await test.close();
  });

  it("starts at the version of the migrations, without rows", () => {
    expect(source.current().version).toBe(1);
    expect(source.current().runtimes.rows).toEqual([]);
    expect(source.stale).toBe(false);
    expect(source.ageMs()).toBeGreaterThanOrEqual(0);
  });

  it("runs no SQL when read", async () => {
    expect(await recordStatements(test, async () => source.current().gpus.bySlug.get("x"))).toEqual([]);
  });

  it("learns of a newer version by itself", async () => {
    const version = await addRuntime(test.database, "one");
    await expect.poll(() => source.current().version, { timeout: 10_000 }).toBe(version);
    expect(source.current().runtimes.bySlug.get("one")).toMatchObject({ version: 1, archivedAt: null });
  });

  it("shows a committed change after refresh, also when a load was under way", async () => {
    const early = source.refresh();
    const version = await addRuntime(test.database, "one");
    await Promise.all([source.refresh(), source.refresh(), early]);
    expect(source.current().version).toBe(version);
  });

  it("does not show a change that was rolled back", async () => {
    const failed = edit(test.database, async (tx) => {
      await tx.runtime.create({ data: runtimeRow("never") });
      throw new Error("no");
    });
    await expect(failed).rejects.toThrow("no");
    await source.refresh();
    expect(source.current().version).toBe(1);
    expect(source.current().runtimes.rows).toEqual([]);
  });

  it("hands out an immutable snapshot that later versions leave alone", async () => {
    await addRuntime(test.database, "one");
    await source.refresh();
    const before = source.current();
    const row = before.runtimes.bySlug.get("one");
    expect(() => Object.assign(row?.constants.defaults as object, { contextTokens: 1 })).toThrow(TypeError);
    expect(() => (before.runtimes.rows as unknown[]).push(1)).toThrow(TypeError);

    await addRuntime(test.database, "two");
    await source.refresh();
    expect(before.runtimes.rows).toHaveLength(1);
    expect(source.current().runtimes.rows).toHaveLength(2);
    // A row that did not change is the same object: whatever is kept by row stays valid.
    expect(source.current().runtimes.bySlug.get("one")).toBe(row);
  });

  it("replaces a row that changed", async () => {
    await addRuntime(test.database, "one");
    await source.refresh();
    await edit(test.database, (tx) =>
      tx.runtime.update({ where: { slug: "one" }, data: { name: "Renamed", version: { increment: 1 } } }),
    );
    await source.refresh();
    expect(source.current().runtimes.bySlug.get("one")).toMatchObject({ name: "Renamed", version: 2 });
  });

  it("gives whole numbers above 2^31 as numbers", async () => {
    await edit(test.database, (tx) =>
      tx.model.create({
        data: {
          id: crypto.randomUUID(),
          slug: "large",
          name: "Large",
          family: "large",
          vendor: "Nobody",
          parameters: 1_026_408_232_448n,
          activeParameters: 32_000_000_001n,
          contextLength: 2 ** 31 - 1,
          attention: "LATENT",
          experts: 384,
          architecture: { any: [1.5, null, "text"] },
          architectureVersion: 1,
          sources: [{ title: "made up" }],
        },
      }),
    );
    await source.refresh();
    expect(source.current().models.bySlug.get("large")).toMatchObject({
      parameters: 1_026_408_232_448,
      activeParameters: 32_000_000_001,
      contextLength: 2 ** 31 - 1,
      publishedParameters: null,
      architecture: { any: [1.5, null, "text"] },
    });
  });

  it("loads once for many changes that it hears of together", async () => {
    for (let index = 0; index < 10; index++) await addRuntime(test.database, `r${index}`);
    await source.refresh();
    await expect.poll(() => source.current().runtimes.rows.length, { timeout: 10_000 }).toBe(10);
    expect(events.length).toBeLessThanOrEqual(12);
    const statements = await recordStatements(test, () => source.refresh());
    expect(statements).toHaveLength(1);
  });
});

describe("two servers over one PostgreSQL", () => {
  it("hear of each other's changes", async () => {
    const target = await createTestTarget("postgres");
    const databases = await Promise.all([openDatabase(target), openDatabase(target)]);
    const [first, second] = databases;
    const sources = await Promise.all(
      databases.map((database) => createCatalogueSource(database, { pollMs: NO_POLLING_MS })),
    );
    try {
      for (const [database, slug] of [
        [first, "one"],
        [second, "two"],
      ] as const) {
        const startedAt = performance.now();
        const version = await addRuntime(database, slug);
        for (const source of sources) {
          await expect.poll(() => source.current().version, { timeout: 10_000, interval: 5 }).toBe(version);
        }
        expect(performance.now() - startedAt).toBeLessThan(5_000);
      }
    } finally {
      await Promise.all(sources.map((source) => source.close()));
      await Promise.all(databases.map((database) => database.close()));
    }
  });
});

describe("a PostgreSQL whose zone is not UTC", () => {
  it("keeps times as they are", async () => {
    const target = await createTestTarget("postgres");
    const before = await openDatabase(target);
    const session = await before.openSession();
    await session.query(
      "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET TimeZone = %L', current_database(), 'Asia/Kolkata'); END $$",
    );
    await session.close();
    await before.close();

    const database = await openDatabase(target);
    const archivedAt = new Date("2026-03-29T01:30:00.123Z");
    await edit(database, (tx) => tx.runtime.create({ data: { ...runtimeRow("old"), archivedAt } }));
    const source = await createCatalogueSource(database, { pollMs: NO_POLLING_MS });
    const row = source.current().runtimes.bySlug.get("old");
    await source.close();
    await database.close();
    expect(row?.archivedAt).toEqual(archivedAt);
    expect(Math.abs((row?.createdAt.getTime() ?? 0) - Date.now())).toBeLessThan(60_000);
  });
});

describe("a PostgreSQL that goes away", () => {
  let server: PostgresServer;
  let database: Database;
  let source: CatalogueSource;
  let events: CatalogueEvent[];

  beforeEach(async () => {
    server = await startPostgresServer();
    database = await openDatabase({ kind: "postgres", url: server.url("postgres") });
    await migrate(database);
    await addRuntime(database, "before");
    events = [];
    source = await createCatalogueSource(database, { pollMs: NO_POLLING_MS, onEvent: (event) => events.push(event) });
  });
  afterEach(async () => {
    await source.close();
    await database.close();
    await server.remove();
  });

  it.each(["stop", "kill"] as const)("is read from memory until it is back (%s)", async (end) => {
    await server[end]();
    await expect.poll(() => source.stale, { timeout: 10_000 }).toBe(true);
    expect(source.current().runtimes.bySlug.has("before")).toBe(true);
    await expect(source.refresh()).rejects.toThrow();
    await expect(addRuntime(database, "lost")).rejects.toThrow();
    const age = source.ageMs();
    await new Promise((done) => setTimeout(done, 50));
    expect(source.ageMs()).toBeGreaterThan(age);

    await server.start();
    await expect.poll(() => source.stale, { timeout: 20_000 }).toBe(false);
    // Listening again, too: nothing else would bring the change, since polling is off.
    const version = await addRuntime(database, "after");
    await expect.poll(() => source.current().version, { timeout: 10_000 }).toBe(version);
    expect(source.current().runtimes.bySlug.has("lost")).toBe(false);
    const kinds = events.map(({ kind }) => kind);
    expect(kinds.filter((kind) => kind === "stale")).toHaveLength(1);
    expect(kinds.filter((kind) => kind === "recovered")).toHaveLength(1);
  });

  it("learns of changes made while its listening connection was cut", async () => {
    const other = await openDatabase({ kind: "postgres", url: server.url("postgres") });
    const session = await other.openSession();
    await session.query(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND pid <> pg_backend_pid()",
    );
    const version = await addRuntime(other, "meanwhile");
    await expect.poll(() => source.current().version, { timeout: 20_000 }).toBe(version);
    await session.close();
    await other.close();
  });
});

describe("a database without tables", () => {
  it("is refused", async () => {
    const database = await openDatabase({ kind: "memory" });
    await expect(createCatalogueSource(database)).rejects.toThrow();
    await database.close();
  });
});
