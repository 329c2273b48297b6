import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { type Database, type DatabaseTarget, openDatabase } from "../../src/data/database.js";
import { readCatalogueVersion } from "../../src/data/load-catalogue.js";
import { createTestTarget } from "../setup/databases.js";
import { temporaryDataDir } from "../setup/server-process.js";

/** Kills per database; the issue of a rare moment needs many, a check before every commit a few. */
const ROUNDS = Number(process.env.KILL_ROUNDS ?? 3);
const ROUND_MS = 60_000;
/** Edits that are acknowledged before the kill, and how long after that it comes. */
const MIN_ACKNOWLEDGED = 3;
const MAX_DELAY_MS = 60;

const script = fileURLToPath(new URL("../setup/processes/edit-catalogue.ts", import.meta.url));

interface Acknowledged {
  version: number;
  requestId: string;
}

/** Has a process edit, kills it in the middle of it, and returns what it had said was saved. */
async function editAndKill(run: string, place: string): Promise<Acknowledged[]> {
  const child = spawn(process.execPath, ["--import", "tsx", script, run, place], { stdio: ["ignore", "pipe", "pipe"] });
  const ended = new Promise((resolve) => child.once("close", resolve));
  let output = "";
  let complaints = "";
  child.stderr.on("data", (chunk: Buffer) => {
    complaints += chunk.toString();
  });
  const read = () => {
    const lines = [...output.matchAll(/^acknowledged (\d+) (\d+)\n/gm)];
    return lines.map(([, version, number]) => ({ version: Number(version), requestId: `${run}-${number}` }));
  };
  await new Promise<void>((resolve) => {
    child.stdout.on("data", (chunk: Buffer) => {
      output += chunk.toString();
      if (read().length >= MIN_ACKNOWLEDGED) resolve();
    });
    void ended.then(() => resolve());
  });
  await new Promise((resolve) => setTimeout(resolve, Math.random() * MAX_DELAY_MS));
  child.kill("SIGKILL");
  await ended;
  if (read().length < MIN_ACKNOWLEDGED) throw new Error(`the process ended by itself: ${complaints}`);
  return read();
}

/** Every acknowledged edit is there with its entries, and of every other one all or nothing. */
async function expectWhole(database: Database, acknowledged: readonly Acknowledged[]): Promise<void> {
  const { prisma } = database;
  const changes = await prisma.catalogChange.findMany({ orderBy: { id: "asc" } });
  const byVersion = new Map<number, typeof changes>();
  for (const change of changes) {
    const version = Number(change.catalogVersion);
    byVersion.set(version, [...(byVersion.get(version) ?? []), change]);
  }
  for (const { version, requestId } of acknowledged) {
    expect(byVersion.get(version)?.map((change) => change.requestId)).toEqual([requestId, requestId, requestId]);
  }
  for (const group of byVersion.values()) {
    expect(group.map(({ slug }) => slug).sort()).toEqual(["row-a", "row-b", "row-c"]);
    expect(new Set(group.map(({ requestId }) => requestId)).size).toBe(1);
  }
  const newest = Math.max(...byVersion.keys());
  expect(await readCatalogueVersion(database)).toBe(newest);
  expect([...byVersion.keys()]).toEqual(
    Array.from({ length: byVersion.size }, (_, index) => newest - byVersion.size + 1 + index),
  );
  const rows = await prisma.runtime.findMany({ where: { slug: { startsWith: "row-" } } });
  for (const { id, name, version } of rows) {
    const last = changes.findLast(({ rowId }) => rowId === id);
    expect(last).toMatchObject({ rowVersion: version, after: { name } });
    expect(version).toBe(byVersion.size);
  }
  expect(rows).toHaveLength(3);
}

describe("a process killed in the middle of its edits", () => {
  const check = async (target: DatabaseTarget, place: string) => {
    const acknowledged: Acknowledged[] = [];
    for (let round = 1; round <= ROUNDS; round++) {
      acknowledged.push(...(await editAndKill(`run-${round}`, place)));
      const database = await openDatabase(target);
      try {
        await expectWhole(database, acknowledged);
      } finally {
        await database.close();
      }
    }
  };

  it(
    "leaves every acknowledged edit and no half one in the embedded database",
    async () => {
      const folder = temporaryDataDir();
      try {
        await check({ kind: "embedded", folder: folder.path }, folder.path);
      } finally {
        folder.remove();
      }
    },
    ROUNDS * ROUND_MS,
  );

  it(
    "leaves every acknowledged edit and no half one in PostgreSQL",
    async () => {
      const target = await createTestTarget("postgres");
      if (target.kind !== "postgres") throw new Error("a PostgreSQL was asked for");
      await check(target, target.url);
    },
    ROUNDS * ROUND_MS,
  );
});
