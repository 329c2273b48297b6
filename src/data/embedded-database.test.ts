import { chmod, mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { getArchive } from "../../test/setup/databases.js";
import { startProcess } from "../../test/setup/processes/start-process.js";
import { SEED_FOLDER } from "../services/seeding/read-seed.js";
import { bumpCatalogVersion } from "./catalogue-version.js";
import { openDatabase } from "./database.js";
import { readCatalogueVersion } from "./load-catalogue.js";
import { migrate } from "./migrate.js";

/** Tests that start processes of their own, on a machine with other work. */
const PROCESS_TEST_MS = 180_000;

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "vramql-folder-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe("a database in a folder", () => {
  it("keeps what was committed, and lets nobody else in meanwhile", async () => {
    const first = await openDatabase({ kind: "embedded", folder, content: await getArchive() });
    await first.prisma.$transaction((tx) => bumpCatalogVersion(tx));
    await expect(openDatabase({ kind: "embedded", folder })).rejects.toMatchObject({ problem: "FOLDER_IN_USE" });
    await first.close();
    await first.close();

    const second = await openDatabase({ kind: "embedded", folder });
    expect(await readCatalogueVersion(second)).toBe(2);
    await second.close();
    expect(await readdir(folder)).toEqual(["database"]);
  });

  it("makes the folder, with those above it", async () => {
    const deep = join(folder, "a", "b");
    const database = await openDatabase({ kind: "embedded", folder: deep, content: await getArchive() });
    expect(await migrate(database)).toEqual([]);
    await database.close();
  });

  it(
    "starts over when its creation was cut short by a kill",
    async () => {
      const process = startProcess("open-folder.ts", [folder, SEED_FOLDER]);
      await process.waitFor("Creating the database");
      await expect
        .poll(() => readdir(join(folder, "database")).catch(() => []), { timeout: PROCESS_TEST_MS, interval: 5 })
        .not.toEqual([]);
      await process.kill();
      expect(await readdir(folder)).toContain("database.creating");

      const messages: string[] = [];
      const database = await openDatabase(
        { kind: "embedded", folder },
        { onProgress: (message) => messages.push(message) },
      );
      expect(messages[0]).toContain("cut short");
      await migrate(database);
      expect(await readCatalogueVersion(database)).toBe(1);
      await database.close();
    },
    PROCESS_TEST_MS,
  );

  it(
    "has none or all of a seed whose load was cut short by a kill",
    async () => {
      for (const waitMs of [0, 250]) {
        const data = join(folder, String(waitMs));
        await (await openDatabase({ kind: "embedded", folder: data, content: await getArchive() })).close();
        const process = startProcess("open-folder.ts", [data, SEED_FOLDER]);
        await process.waitFor("Loading");
        await new Promise((done) => setTimeout(done, waitMs));
        await process.kill();

        const database = await openDatabase({ kind: "embedded", folder: data });
        const version = await database.prisma.catalogVersion.findUniqueOrThrow({ where: { id: 1 } });
        const rows = [
          await database.prisma.gpu.count(),
          await database.prisma.measurement.count(),
          await database.prisma.seedRow.count(),
        ];
        if (version.seedHash === null) expect(rows).toEqual([0, 0, 0]);
        else expect(Math.min(...rows)).toBeGreaterThan(0);
        await database.close();
      }
    },
    PROCESS_TEST_MS,
  );
});

describe("a folder that cannot be used", () => {
  it("is refused when it is a file", async () => {
    const file = join(folder, "file");
    await writeFile(file, "");
    await expect(openDatabase({ kind: "embedded", folder: file })).rejects.toMatchObject({
      problem: "FOLDER_NOT_WRITABLE",
      message: expect.stringMatching(/cannot be written to: .*DATA_DIR/),
    });
  });

  it.skipIf(process.getuid?.() === 0)("is refused when it is another user's", async () => {
    await chmod(folder, 0o500);
    await expect(openDatabase({ kind: "embedded", folder })).rejects.toMatchObject({ problem: "FOLDER_NOT_WRITABLE" });
    await chmod(folder, 0o700);
  });

  it("is refused when it holds files but no database", async () => {
    await mkdir(join(folder, "database"));
    await writeFile(join(folder, "database", "notes.txt"), "mine");
    await expect(openDatabase({ kind: "embedded", folder })).rejects.toMatchObject({
      problem: "FOLDER_DAMAGED",
      message: expect.stringContaining("holds files but no database"),
    });
    expect(await readdir(join(folder, "database"))).toEqual(["notes.txt"]);
    expect(await readdir(folder)).toEqual(["database"]);
  });

  it.each([
    ["PG_VERSION", "9.6\n", "written by PostgreSQL 9.6, does not open"],
    ["global/pg_control", "damaged", "written by PostgreSQL 18, does not open"],
  ])("is refused when its %s is damaged, and can be opened again once restored", async (file, content, message) => {
    await (await openDatabase({ kind: "embedded", folder, content: await getArchive() })).close();
    await writeFile(join(folder, "database", file), content);
    await expect(openDatabase({ kind: "embedded", folder })).rejects.toMatchObject({
      problem: "FOLDER_DAMAGED",
      message: expect.stringContaining(message),
    });
    await rm(join(folder, "database"), { recursive: true });
    await (await openDatabase({ kind: "embedded", folder, content: await getArchive() })).close();
  });
});
