import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Database, openDatabase } from "../../../src/data/database.js";
import { type CatalogueSource, createCatalogueSource } from "../../../src/data/snapshot.js";
import type { HttpOptions } from "../../../src/http.js";
import { type BackendOptions, createBackend } from "../../../src/services/backend.js";
import { loadSeed } from "../../../src/services/seeding/load-seed.js";
import { createSmallSeed, writeSeed } from "../../fixtures/small-seed.js";
import { type DatabaseKind, openTestDatabase } from "../../setup/databases.js";
import { type Answer, startServer, type TestServer } from "./start-server.js";

/** The setting of the servers of tests. */
export const ADMIN_TOKEN = "an-administrator-of-tests";

/** Long enough that only an announcement can have brought a newer version. */
const NO_POLLING_MS = 3_600_000;

/** A server over a database of its own or shared, and a client with the administrator's token. */
export interface Editor extends TestServer {
  database: Database;
  source: CatalogueSource;
  /** As `query`, with the token. */
  edit(query: string, variables?: Record<string, unknown>, headers?: Record<string, string>): Promise<Answer>;
}

/** What a server of a test has beside its database. */
type ServeOptions = Pick<HttpOptions, "trustedProxies"> & Pick<BackendOptions, "signIn" | "hub">;

/** Starts a server over an open database. */
export async function serve(
  database: Database,
  { signIn = null, hub = null, ...options }: ServeOptions = {},
): Promise<Editor> {
  const source = await createCatalogueSource(database, { pollMs: NO_POLLING_MS });
  const backend = createBackend({ database, catalogue: source, adminToken: ADMIN_TOKEN, signIn, hub });
  const server = await startServer(source, { backend, ...options });
  return {
    ...server,
    database,
    source,
    edit: (query, variables = {}, headers = {}) =>
      server.query(query, variables, { authorization: `Bearer ${ADMIN_TOKEN}`, ...headers }),
    async stop() {
      await server.stop();
      await source.close();
    },
  };
}

/** Servers over one database with one row of every entity; an embedded database has one server. */
export async function startEditors(
  kind: DatabaseKind,
  count = 1,
  options: ServeOptions = {},
): Promise<{ editors: [Editor, ...Editor[]]; statements: string[]; stop(): Promise<void> }> {
  const test = await openTestDatabase(kind);
  const folder = await mkdtemp(join(tmpdir(), "vramql-seed-"));
  try {
    await writeSeed(folder, createSmallSeed());
    await loadSeed(test.database, { folder });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  const others = await Promise.all(Array.from({ length: count - 1 }, () => openDatabase(test.target)));
  const first = await serve(test.database, options);
  const editors: [Editor, ...Editor[]] = [
    first,
    ...(await Promise.all(others.map((database) => serve(database, options)))),
  ];
  return {
    editors,
    /** Those that the first server's Prisma client sent so far. */
    statements: test.statements,
    async stop() {
      for (const editor of editors) await editor.stop();
      for (const database of [...others, test.database]) await database.close();
    },
  };
}
