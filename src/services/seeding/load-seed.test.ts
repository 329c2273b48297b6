import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createSmallSeed, type SeedRows, writeSeed } from "../../../test/fixtures/small-seed.js";
import {
  DATABASE_KINDS,
  openTestDatabase,
  recordStatements,
  type TestDatabase,
} from "../../../test/setup/databases.js";
import type { Catalogue } from "../../data/catalogue.js";
import { openDatabase } from "../../data/database.js";
import { loadCatalogue } from "../../data/load-catalogue.js";
import { loadSeed } from "./load-seed.js";
import { seedRowId } from "./row-id.js";
import { SeedError } from "./seed-error.js";

/** Rows that the small seed has: one of each entity. */
const ROWS = 9;

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "vramql-seed-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

function first(rows: SeedRows, entity: keyof SeedRows): Record<string, unknown> {
  const [row] = rows[entity];
  if (!row) throw new Error("no row");
  return row;
}

describe.each(DATABASE_KINDS)("loadSeed (%s)", (kind) => {
  let test: TestDatabase;
  let rows: SeedRows;
  beforeEach(async () => {
    test = await openTestDatabase(kind);
    rows = createSmallSeed();
  });
  afterEach(() => test.close());

  async function load() {
    await writeSeed(folder, rows);
    return loadSeed(test.database, { folder });
  }
  function read(): Promise<Catalogue> {
    return loadCatalogue(test.database);
  }
  async function expectNothingStored(): Promise<void> {
    const catalogue = await read();
    expect(catalogue.version).toBe(1);
    expect(catalogue.gpus.rows).toEqual([]);
    expect(catalogue.models.rows).toEqual([]);
  }

  it("stores every row with its references and computed columns, raising the version once", async () => {
    expect(await load()).toEqual({ inserted: ROWS, updated: 0, unchanged: 0, kept: [], notInSeed: 0 });
    const catalogue = await read();
    expect(catalogue.version).toBe(2);
    const model = catalogue.models.bySlug.get("small-1");
    expect(model).toMatchObject({
      id: seedRowId("models", "small-1"),
      version: 1,
      parameters: 197_952,
      attention: "GROUPED_QUERY",
      publishedParameters: 200_000,
      archivedAt: null,
    });
    expect(catalogue.systems.bySlug.get("box-2")).toMatchObject({
      gpuId: seedRowId("gpus", "card-24gb"),
      usdPerHour: 0,
    });
    expect(catalogue.modelFiles.bySlug.get("small-1-q8_0")).toMatchObject({
      modelId: model?.id,
      sizeBytes: 5_000_000_000,
    });
    expect(catalogue.quantFormats.bySlug.get("q8_0")?.runtimes).toEqual(["llama-cpp"]);
    expect(catalogue.measurements.bySlug.get("m-1")).toMatchObject({ quantFormatId: null, measured: { kv_mib: 1 } });
  });

  it("does nothing the second time, after one statement", async () => {
    await load();
    const statements = await recordStatements(test, async () => {
      expect(await load()).toMatchObject({ inserted: 0, updated: 0 });
    });
    expect(statements).toHaveLength(1);
    expect((await read()).version).toBe(2);
  });

  it("touches only the rows that changed", async () => {
    await load();
    first(rows, "gpus").notes = "Now with a note.";
    expect(await load()).toEqual({ inserted: 0, updated: 1, unchanged: ROWS - 1, kept: [], notInSeed: 0 });
    const catalogue = await read();
    expect(catalogue.version).toBe(3);
    expect(catalogue.gpus.bySlug.get("card-24gb")).toMatchObject({ notes: "Now with a note.", version: 2 });
    expect(catalogue.systems.bySlug.get("box-2")).toMatchObject({ version: 1 });

    first(rows, "gpus").notes = "And another.";
    expect(await load()).toMatchObject({ updated: 1, kept: [] });
    expect((await read()).gpus.bySlug.get("card-24gb")).toMatchObject({ notes: "And another.", version: 3 });
    const history = await test.database.prisma.catalogChange.findMany({ orderBy: { id: "asc" } });
    expect(history).toMatchObject([
      { catalogVersion: 3n, entity: "Gpu", slug: "card-24gb", rowVersion: 2, operation: "UPDATE", fields: ["notes"] },
      {
        catalogVersion: 4n,
        actorName: "seed",
        before: { notes: "Now with a note." },
        after: { notes: "And another.", version: 3 },
      },
    ]);
  });

  it("does not bring back what people removed, nor what would need it", async () => {
    await load();
    const { prisma } = test.database;
    await prisma.$transaction([prisma.system.deleteMany(), prisma.measurement.deleteMany(), prisma.gpu.deleteMany()]);
    rows.systems.push({ ...first(rows, "systems"), slug: "box-3" });
    first(rows, "models").licence = "MIT";
    expect(await load()).toMatchObject({
      inserted: 0,
      updated: 1,
      kept: ["card-24gb", "box-2", "box-3", "m-1"].map((slug) => ({ slug, reason: "deleted" })),
    });
    expect((await read()).gpus.rows).toEqual([]);
  });

  it("does not raise the version when the files differ but no row does", async () => {
    await load();
    await writeFile(join(folder, "gpus.json"), JSON.stringify(rows.gpus, null, 2));
    expect(await loadSeed(test.database, { folder })).toMatchObject({ updated: 0, unchanged: ROWS });
    expect((await read()).version).toBe(2);
  });

  it("keeps what people edited, and says so", async () => {
    await load();
    await test.database.prisma.gpu.update({
      where: { slug: "card-24gb" },
      data: { notes: "Mine.", version: { increment: 1 } },
    });
    first(rows, "gpus").notes = "The seed's.";
    first(rows, "systems").notes = "The seed's.";
    expect(await load()).toMatchObject({
      updated: 1,
      kept: [{ entity: "gpus", slug: "card-24gb", reason: "edited" }],
    });
    const catalogue = await read();
    expect(catalogue.gpus.bySlug.get("card-24gb")).toMatchObject({ notes: "Mine.", version: 2 });
    expect(catalogue.systems.bySlug.get("box-2")).toMatchObject({ notes: "The seed's." });
  });

  it("refers to somebody's own row that has the slug", async () => {
    const own = await test.database.prisma.gpu.create({
      data: {
        id: crypto.randomUUID(),
        slug: "card-24gb",
        name: "My card",
        vendor: "Me",
        architecture: "Ada",
        gpuClass: "CONSUMER",
        form: "PCIE",
        memoryNominalGib: 24,
        memoryType: "GDDR6",
        supportsBf16: true,
        supportsFp8: false,
        supportsFp4: false,
        sources: [{ title: "mine" }],
      },
    });
    expect(await load()).toMatchObject({
      inserted: ROWS - 1,
      kept: [{ entity: "gpus", slug: "card-24gb", reason: "taken" }],
    });
    const catalogue = await read();
    expect(catalogue.gpus.rows).toHaveLength(1);
    expect(catalogue.systems.bySlug.get("box-2")?.gpuId).toBe(own.id);
  });

  it("keeps rows that the seed no longer has, and counts them", async () => {
    await load();
    rows.measurements = [];
    expect(await load()).toMatchObject({ unchanged: ROWS - 1, notInSeed: 1 });
    expect((await read()).measurements.rows).toHaveLength(1);
  });

  it("stores nothing when one row is wrong, and names row and field", async () => {
    rows.gpus.push({ ...first(rows, "gpus"), slug: "card-0gb", memoryNominalGib: 0 });
    const error = await load().catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(SeedError);
    expect((error as SeedError).message).toContain(
      "gpus.json, row 2 (card-0gb), memoryNominalGib: must be greater than 0; it is 0",
    );
    await expectNothingStored();
  });

  it("stores nothing when the database refuses a row", async () => {
    // What the rules let pass and a check constraint does not.
    await test.database.prisma.$executeRaw`ALTER TABLE "Measurement" ADD CONSTRAINT "never" CHECK ("slug" <> 'm-1')`;
    await expect(load()).rejects.toThrow(/never/);
    await expectNothingStored();
    expect(await test.database.prisma.seedRow.count()).toBe(0);
  });

  it("checks scenarios with the catalogue that the seed makes", async () => {
    await writeSeed(folder, rows);
    const loading = loadSeed(test.database, {
      folder,
      checkScenario: (catalogue) => (scenario) => {
        expect(catalogue.models.byId.get(scenario.modelId)).toMatchObject({ slug: "small-1", parameters: 197_952 });
        return [{ path: ["faq", "0", "answer"], message: "names an unknown figure" }];
      },
    });
    await expect(loading).rejects.toThrow(
      "scenarios.json, row 1 (small-1-q8_0-4k), faq.0.answer: names an unknown figure",
    );
    await expectNothingStored();
  });
});

describe("loadSeed", () => {
  async function problems(change: (rows: SeedRows) => void): Promise<string[]> {
    const test = await openTestDatabase("postgres");
    const rows = createSmallSeed();
    change(rows);
    await writeSeed(folder, rows);
    const error = await loadSeed(test.database, { folder }).catch((reason: unknown) => reason);
    await test.close();
    expect(error).toBeInstanceOf(SeedError);
    return (error as SeedError).message
      .split("\n")
      .slice(1)
      .map((line) => line.trim());
  }

  it("tells all problems of all files", async () => {
    expect(
      await problems((rows) => {
        first(rows, "gpus").tdpWatts = -1;
        first(rows, "models").vendor = "";
        rows.runtimes.push({ ...first(rows, "runtimes") });
      }),
    ).toEqual([
      "runtimes.json, row 2 (llama-cpp), slug: is the slug of row 1 too",
      "gpus.json, row 1 (card-24gb), tdpWatts: must be at least 1; it is -1",
      'models.json, row 1 (small-1), vendor: must not be empty; it is ""',
    ]);
  });

  it("tells references to nothing, with what is near", async () => {
    expect(
      await problems((rows) => {
        first(rows, "systems").gpu = "card-24g";
        first(rows, "quantFormats").runtimes = ["llama-cpp", "lama-cpp"];
        first(rows, "measurements").quantFormat = "zzzzzzzzzzzz";
      }),
    ).toEqual([
      'quant-formats.json, row 1 (q8_0), runtimes.1: names "lama-cpp", which is not in runtimes.json; near it are llama-cpp',
      'systems.json, row 1 (box-2), gpu: names "card-24g", which is not in gpus.json; near it are card-24gb',
      'measurements.json, row 1 (m-1), quantFormat: names "zzzzzzzzzzzz", which is not in quant-formats.json',
    ]);
  });

  it("lists twenty problems and counts the rest", async () => {
    const lines = await problems((rows) => {
      rows.gpus = Array.from({ length: 30 }, (_, index) => ({ ...rows.gpus[0], slug: `card-${index}`, tdpWatts: 0 }));
    });
    expect(lines).toHaveLength(21);
    expect(lines.at(-1)).toBe("and 10 more");
  });

  it("tells files that are not JSON, or not a list", async () => {
    const test = await openTestDatabase("postgres");
    await writeFile(join(folder, "gpus.json"), '[{"slug": "a"');
    await writeFile(join(folder, "models.json"), "{}");
    await expect(loadSeed(test.database, { folder })).rejects.toThrow(
      /gpus\.json: is not JSON: .*\n {2}models\.json: must be a JSON array of rows/,
    );
    await expect(loadSeed(test.database, { folder: join(folder, "missing") })).rejects.toThrow(
      "is not a folder that can be read",
    );
    await rm(join(folder, "gpus.json"));
    await rm(join(folder, "models.json"));
    await expect(loadSeed(test.database, { folder })).rejects.toThrow("holds no seed files");
    await test.close();
  });

  it("is done once when five servers start at once", async () => {
    const test = await openTestDatabase("postgres");
    await writeSeed(folder, createSmallSeed());
    const others = await Promise.all(Array.from({ length: 4 }, () => openDatabase(test.target)));
    const results = await Promise.all([test.database, ...others].map((database) => loadSeed(database, { folder })));
    expect(results.map(({ inserted }) => inserted).sort()).toEqual([0, 0, 0, 0, ROWS]);
    expect((await loadCatalogue(test.database)).version).toBe(2);
    await Promise.all(others.map((database) => database.close()));
    await test.close();
  });

  it("loads the project's own seed quickly, and the same again not at all", async () => {
    const test = await openTestDatabase("postgres");
    const stored = await loadSeed(test.database);
    expect(stored.inserted).toBeGreaterThan(2_000);
    expect(stored.kept).toEqual([]);
    const statements = await recordStatements(test, () => loadSeed(test.database));
    expect(statements).toHaveLength(1);
    await test.close();
  });
});

describe("seedRowId", () => {
  it("is a version 5 UUID of entity and slug", () => {
    const id = seedRowId("gpus", "a");
    expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(seedRowId("gpus", "a")).toBe(id);
    expect(seedRowId("systems", "a")).not.toBe(id);
  });
});
