import { setTimeout as wait } from "node:timers/promises";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Database, openDatabase } from "../../src/data/database.js";
import { migrate } from "../../src/data/migrate.js";
import { type Editor, serve } from "../api/setup/start-editor.js";
import { type PostgresServer, startPostgresServer } from "../setup/postgres-server.js";

/** Clients of each of two servers. */
const WRITERS = 3;
const READERS = 2;
const READ_PAUSE_MS = 5;
const RETRY_MS = 50;
/** Edits acknowledged before, and again after, each fault. */
const EDITS_BETWEEN = 10;
/** How long a fault lasts. */
const OUTAGE_MS = 1_000;
/** The patience of servers with a silent database, cut short. */
const SILENCE_MS = 500;
const TERMINATIONS = 5;
const RECOVERY_MS = 30_000;
const REPORT_MS = 60_000;

const NOTHING_SAVED = /nothing was saved/;
const NOT_KNOWN = /may or may not be there/;

const CREATE = `mutation ($input: CreateRuntimeInput!) {
  result: createRuntime(input: $input) { diffs { change { id } } userErrors { code message } catalogVersion }
}`;
const READ = `{ catalogVersion runtimes(first: 1, sort: { field: CREATED_AT, direction: DESC }) { totalCount nodes { slug version } } }`;

let postgres: PostgresServer;
let databases: Database[];
let editors: Editor[];
let isEnding = false;
const load: Promise<void>[] = [];
const saved = new Set<string>();
const refused = new Set<string>();
const unknown = new Set<string>();
const complaints: string[] = [];
const counts = { reads: 0 };

async function write(editor: Editor, name: string): Promise<void> {
  for (let number = 1; !isEnding; number++) {
    const slug = `${name}-${number}`;
    const sources = [{ title: "made up" }];
    const input = { slug, name: slug, engineVersion: "1", constants: {}, summary: "made up", sources };
    const { data, errors } = await editor.edit(CREATE, { input });
    if (errors === undefined) {
      if (data.result.userErrors.length === 0 && data.result.diffs[0].change !== null) saved.add(slug);
      else complaints.push(JSON.stringify(data.result));
      continue;
    }
    const [{ message, extensions }] = errors as [(typeof errors)[number]];
    if (extensions.code === "UNAVAILABLE" && NOTHING_SAVED.test(message)) refused.add(slug);
    else if (extensions.code === "UNAVAILABLE" && NOT_KNOWN.test(message)) unknown.add(slug);
    else complaints.push(`${extensions.code}: ${message} ${editor.logged.map(({ error }) => String(error)).at(-1)}`);
    await wait(RETRY_MS);
  }
}

async function read(editor: Editor): Promise<void> {
  let last = 0;
  while (!isEnding) {
    const { data, errors, status } = await editor.query(READ);
    if (errors !== undefined || status !== 200) complaints.push(`read ${status}: ${JSON.stringify(errors)}`);
    else if (data.catalogVersion < last)
      complaints.push(`the catalogue went back from ${last} to ${data.catalogVersion}`);
    else last = data.catalogVersion;
    counts.reads++;
    await wait(READ_PAUSE_MS);
  }
}

/** Resolves once all writers together were told of so many more saved edits. */
async function moreSaved(edits: number): Promise<void> {
  const enough = saved.size + edits;
  await expect.poll(() => saved.size, { timeout: RECOVERY_MS, interval: 20 }).toBeGreaterThanOrEqual(enough);
}

/** Lets a fault last, and sees that reading goes on meanwhile. */
async function last(milliseconds: number): Promise<void> {
  const before = counts.reads;
  await wait(milliseconds);
  expect(counts.reads - before).toBeGreaterThan(READERS);
}

async function query(sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: postgres.url("postgres") });
  await client.connect();
  await client.query(sql);
  await client.end();
}

beforeAll(async () => {
  postgres = await startPostgresServer();
  const target = { kind: "postgres", url: postgres.url("postgres") } as const;
  databases = [];
  for (let server = 0; server < 2; server++) {
    const database = await openDatabase(target, { silenceMs: SILENCE_MS });
    databases.push(database);
    await migrate(database);
  }
  editors = await Promise.all(databases.map((database) => serve(database)));
  for (const [server, editor] of editors.entries()) {
    const clients = [
      ...Array.from({ length: WRITERS }, (_, client) => write(editor, `writer-${server}-${client}`)),
      ...Array.from({ length: READERS }, () => read(editor)),
    ];
    for (const client of clients) load.push(client.catch((error: Error) => void complaints.push(String(error.cause))));
  }
});
afterAll(async () => {
  isEnding = true;
  postgres.resume();
  for (const editor of editors) await editor.stop();
  for (const database of databases) await database.close().catch(() => {});
  await postgres.remove();
});

describe("two servers under load, whose PostgreSQL", () => {
  it.each(["stop", "kill"] as const)(
    "ends (%s) and comes back, twice",
    async (how) => {
      for (let outage = 0; outage < 2; outage++) {
        await moreSaved(EDITS_BETWEEN);
        await postgres[how]();
        const failures = refused.size;
        await last(OUTAGE_MS);
        expect(refused.size).toBeGreaterThan(failures);
        await postgres.start();
        await moreSaved(EDITS_BETWEEN);
      }
    },
    120_000,
  );

  it("cuts all connections again and again", async () => {
    for (let cut = 0; cut < TERMINATIONS; cut++) {
      await moreSaved(EDITS_BETWEEN);
      await query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'",
      );
    }
    await moreSaved(EDITS_BETWEEN);
  }, 120_000);

  it("hangs for a while: edits fail in time, and go on afterwards", async () => {
    await moreSaved(EDITS_BETWEEN);
    const failures = refused.size + unknown.size;
    postgres.hang();
    await last(OUTAGE_MS);
    // Those under way, and some that came later.
    await expect
      .poll(() => refused.size + unknown.size, { timeout: REPORT_MS, interval: 50 })
      .toBeGreaterThanOrEqual(failures + WRITERS * editors.length + 1);
    postgres.resume();
    await moreSaved(EDITS_BETWEEN);
  }, 120_000);

  it("lost nothing that was acknowledged, and has nothing that was refused", async () => {
    isEnding = true;
    await Promise.all(load);
    expect(complaints).toEqual([]);
    const [{ database, source }] = editors as [Editor, Editor];
    for (const editor of editors) await editor.source.refresh();
    const stored = new Set(source.current().runtimes.rows.map(({ slug }) => slug));
    const created = await database.prisma.catalogChange.findMany({ select: { slug: true, catalogVersion: true } });
    expect(created.map(({ slug }) => slug).sort()).toEqual([...stored].sort());
    expect([...saved].filter((slug) => !stored.has(slug))).toEqual([]);
    expect([...refused].filter((slug) => stored.has(slug))).toEqual([]);
    expect([...stored].filter((slug) => !saved.has(slug) && !unknown.has(slug))).toEqual([]);
    expect(new Set(created.map(({ catalogVersion }) => catalogVersion)).size).toBe(created.length);
    expect(editors[1]?.source.current()).toEqual(source.current());
  }, 120_000);
});
