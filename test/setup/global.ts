import { spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import pg from "pg";
import type { TestProject } from "vitest/node";
import { openDatabase } from "../../src/data/database.js";
import { MIGRATIONS_FOLDER, migrate, readMigrations } from "../../src/data/migrate.js";
import { loadSeed } from "../../src/services/seeding/load-seed.js";
import { readSeedFiles, SEED_FOLDER } from "../../src/services/seeding/read-seed.js";
import { type PostgresServer, startPostgresServer } from "./postgres-server.js";

/*
 * Hands databases to the tests, through a server on this machine that their workers ask. Nothing is made before a
 * test asks for it; what is made is made once: an archive of an embedded database, and a template on a PostgreSQL
 * server, that of TEST_DATABASE_URL or one started here.
 */

declare module "vitest" {
  interface ProvidedContext {
    /** Address of the server that hands out databases. */
    testDatabases: string;
  }
}

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const CACHE_FOLDER = join(ROOT, "node_modules/.cache/vramql-test");
const NAME_BYTES = 4;

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const run = randomBytes(NAME_BYTES).toString("hex");
  const archives = new Map<boolean, Promise<string>>();
  const templates = new Map<boolean, Promise<string>>();
  const created: string[] = [];
  let postgres: Promise<{ url(database: string): string; remove(): Promise<void> }> | undefined;
  let count = 0;

  const getArchive = (seeded: boolean) => once(archives, seeded, () => makeArchive(seeded));
  const getPostgres = () => {
    postgres ??= openServer();
    return postgres;
  };
  const createDatabase = async (template: string | undefined): Promise<string> => {
    const name = `vramql_test_${run}_${++count}`;
    const { url } = await getPostgres();
    await query(url("postgres"), `CREATE DATABASE ${name}${template ? ` TEMPLATE ${template}` : ""}`);
    created.push(name);
    return name;
  };
  const getTemplate = (seeded: boolean) =>
    once(templates, seeded, async () => {
      const name = await createDatabase(seeded ? await getTemplate(false) : undefined);
      const database = await openDatabase({ kind: "postgres", url: (await getPostgres()).url(name) });
      try {
        if (seeded) await loadSeed(database);
        else await migrate(database);
      } finally {
        await database.close();
      }
      return name;
    });

  const answers: Record<string, (seeded: boolean) => Promise<string>> = {
    "/embedded": getArchive,
    "/postgres": async (seeded) => (await getPostgres()).url(await createDatabase(await getTemplate(seeded))),
    "/postgres/empty": async () => (await getPostgres()).url(await createDatabase(undefined)),
  };
  const server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? "/", "http://localhost");
    // A connection kept alive could be closed here just when a worker uses it again.
    response.setHeader("connection", "close");
    const answer = answers[pathname]?.(searchParams.get("seeded") === "true");
    (answer ?? Promise.reject(new Error(`no ${pathname}`))).then(
      (text) => response.end(text),
      (error: Error) => response.writeHead(500).end(error.stack),
    );
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  project.provide("testDatabases", `http://127.0.0.1:${(server.address() as AddressInfo).port}`);

  return async () => {
    server.closeAllConnections();
    server.close();
    if (!postgres) return;
    const { url, remove } = await postgres;
    if (process.env.TEST_DATABASE_URL) {
      for (const name of created.reverse())
        await query(url("postgres"), `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
    }
    await remove();
  };
}

function once<Key, Value>(values: Map<Key, Promise<Value>>, key: Key, make: () => Promise<Value>): Promise<Value> {
  const value = values.get(key) ?? make();
  values.set(key, value);
  return value;
}

async function openServer(): Promise<Pick<PostgresServer, "url" | "remove">> {
  const given = process.env.TEST_DATABASE_URL;
  if (!given) return startPostgresServer({ durable: false });
  return {
    url(database) {
      const url = new URL(given);
      url.pathname = `/${database}`;
      return url.href;
    },
    remove: async () => {},
  };
}

async function query(url: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}

/** The archive's file; made in a process of its own, since that keeps a core busy, and kept for later runs. */
async function makeArchive(seeded: boolean): Promise<string> {
  const hash = createHash("sha256").update(process.version);
  hash.update(await readFile(join(ROOT, "node_modules/@electric-sql/pglite/package.json")));
  for (const { name, sql } of await readMigrations(MIGRATIONS_FOLDER)) hash.update(name).update(sql);
  if (seeded) hash.update((await readSeedFiles(SEED_FOLDER)).hash);
  const file = join(CACHE_FOLDER, `${seeded ? "seeded" : "migrated"}-${hash.digest("hex").slice(0, 16)}.tar`);
  if (existsSync(file)) return file;
  await mkdir(dirname(file), { recursive: true });
  const script = fileURLToPath(new URL("make-archive.ts", import.meta.url));
  const child = spawn(process.execPath, ["--import", "tsx", script, file, String(seeded)], {
    cwd: ROOT,
    stdio: "inherit",
  });
  const code = await new Promise((done) => child.once("exit", done));
  if (code !== 0) throw new Error(`${script} ended with ${code}`);
  return file;
}
