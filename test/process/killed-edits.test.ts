import { type ChildProcess, spawn } from "node:child_process";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openDatabase } from "../../src/data/database.js";
import { compileScript } from "../setup/compile.js";
import { createTestTarget } from "../setup/databases.js";
import { EDITED_SLUGS, readTraces, type Traces } from "../setup/processes/traces.js";
import { temporaryDataDir } from "../setup/server-process.js";

/** Kills per database: `npm run test:hard` asks for fifty, since the moment has to be a rare one. */
const KILLS = Number(process.env.KILL_ROUNDS ?? 4);
const KILL_MS = 30_000;
/** Edits that are acknowledged before the kill, and how long after that it comes: up to two edits later. */
const MIN_ACKNOWLEDGED = 3;
const MAX_DELAY_MS = 60;

interface Acknowledged {
  version: number;
  requestId: string;
}

/** A process that edits; see `edit-catalogue.ts`. */
interface Editing {
  /** What it found when it began. */
  found: Promise<Traces>;
  /** Has it begin. */
  begin(): void;
  acknowledged(): Acknowledged[];
  /** Resolves once it acknowledged so many edits. */
  reach(count: number): Promise<void>;
  kill(): Promise<void>;
}

let script = "";
beforeAll(async () => {
  script = await compileScript(new URL("../setup/processes/edit-catalogue.ts", import.meta.url), "edit-catalogue");
});

/** Every process of this file, so that none outlives a test that fails. */
const children: ChildProcess[] = [];
afterAll(() => {
  for (const child of children) child.kill("SIGKILL");
});

function startEditing(run: string, place: string): Editing {
  const child = spawn(process.execPath, [script, run, place], { stdio: ["pipe", "pipe", "pipe"] });
  children.push(child);
  // Who is killed does not read any more.
  child.stdin.on("error", () => {});
  let output = "";
  let complaints = "";
  let check = () => {};
  child.stderr.on("data", (chunk: Buffer) => {
    complaints += chunk.toString();
  });
  child.stdout.on("data", (chunk: Buffer) => {
    output += chunk.toString();
    check();
  });
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
  const until = (holds: () => boolean) =>
    new Promise<void>((resolve, reject) => {
      check = () => {
        if (holds()) resolve();
      };
      check();
      void ended.then(() => reject(new Error(`the process ended by itself: ${complaints}`)));
    });
  const acknowledged = () =>
    [...output.matchAll(/^acknowledged (\d+) (\S+)\n/gm)].map(([, version, requestId]) => ({
      version: Number(version),
      requestId: requestId ?? "",
    }));
  const found = until(() => output.includes("\nready\n")).then(
    () => JSON.parse(/^found (.*)$/m.exec(output)?.[1] ?? "") as Traces,
  );
  found.catch(() => {});
  return {
    found,
    begin: () => void child.stdin.write("begin\n"),
    acknowledged,
    reach: (count) => until(() => acknowledged().length >= count),
    async kill() {
      child.kill("SIGKILL");
      await ended;
    },
  };
}

/** Has a process edit and kills it somewhere in the middle of it. */
async function editAndKill(editing: Editing): Promise<void> {
  editing.begin();
  await editing.reach(MIN_ACKNOWLEDGED);
  await new Promise((resolve) => setTimeout(resolve, Math.random() * MAX_DELAY_MS));
  await editing.kill();
}

/** Every acknowledged edit is there with its entries, and of every other one all or nothing. */
function expectWhole({ version: newest, changes, rows }: Traces, acknowledged: readonly Acknowledged[]): void {
  const byVersion = new Map<number, Traces["changes"]>();
  for (const change of changes) {
    byVersion.set(change.catalogVersion, [...(byVersion.get(change.catalogVersion) ?? []), change]);
  }
  for (const { version, requestId } of acknowledged) {
    expect(byVersion.get(version)?.map((change) => change.requestId)).toEqual([requestId, requestId, requestId]);
  }
  for (const group of byVersion.values()) {
    expect(group.map(({ slug }) => slug).sort()).toEqual(EDITED_SLUGS);
    expect(new Set(group.map(({ requestId }) => requestId)).size).toBe(1);
  }
  const edits = byVersion.size;
  expect([...byVersion.keys()]).toEqual(Array.from({ length: edits }, (_, index) => newest - edits + 1 + index));
  for (const { id, name, version } of rows) {
    const last = changes.findLast(({ rowId }) => rowId === id);
    expect(last).toMatchObject({ rowVersion: version, name });
    expect(version).toBe(edits);
  }
  expect(rows).toHaveLength(edits === 0 ? 0 : EDITED_SLUGS.length);
}

describe.concurrent(`a process killed ${KILLS} times in the middle of its edits`, () => {
  it(
    "leaves every acknowledged edit and no half one in the embedded database",
    async () => {
      const folder = temporaryDataDir();
      const acknowledged: Acknowledged[] = [];
      try {
        for (let kill = 0; kill <= KILLS; kill++) {
          const editing = startEditing(`run-${kill}`, folder.path);
          expectWhole(await editing.found, acknowledged);
          if (kill < KILLS) await editAndKill(editing);
          acknowledged.push(...editing.acknowledged());
        }
        expect(acknowledged.length).toBeGreaterThanOrEqual(KILLS * MIN_ACKNOWLEDGED);
      } finally {
        folder.remove();
      }
    },
    (KILLS + 1) * KILL_MS,
  );

  it(
    "does so in PostgreSQL, and does not keep another server from editing",
    async () => {
      const target = await createTestTarget("postgres");
      if (target.kind !== "postgres") throw new Error("a PostgreSQL was asked for");
      const database = await openDatabase(target);
      const acknowledged: Acknowledged[] = [];
      const start = (kill: number) => startEditing(`run-${kill}`, target.url);
      try {
        let editing = start(0);
        await editing.found;
        for (let kill = 0; kill < KILLS; kill++) {
          // The next one starts, and then goes on, while this one is killed.
          const next = start(kill + 1);
          await next.found;
          next.begin();
          await editAndKill(editing);
          const before = next.acknowledged().length;
          await next.reach(before + 1);
          acknowledged.push(...editing.acknowledged());
          expectWhole(await readTraces(database), acknowledged);
          editing = next;
        }
        await editing.kill();
        expect(acknowledged.length).toBeGreaterThanOrEqual(KILLS * MIN_ACKNOWLEDGED);
      } finally {
        await database.close();
      }
    },
    (KILLS + 1) * KILL_MS,
  );
});
