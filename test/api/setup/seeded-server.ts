import { afterAll, beforeAll } from "vitest";
import { type CatalogueSource, createCatalogueSource } from "../../../src/data/snapshot.js";
import { openTestDatabase, type TestDatabase } from "../../setup/databases.js";
import { startServer, type TestServer } from "./start-server.js";

/** A server over the whole seed in a database of the test file's own. Its parts are there once the tests run. */
export interface SeededServer {
  readonly database: TestDatabase;
  readonly source: CatalogueSource;
  readonly server: TestServer;
}

/** Starts a server over the seed before the tests of a file and ends it behind them. */
export function serveSeed(): SeededServer {
  const parts: { database?: TestDatabase; source?: CatalogueSource; server?: TestServer } = {};
  beforeAll(async () => {
    parts.database = await openTestDatabase("embedded", { seeded: true });
    parts.source = await createCatalogueSource(parts.database.database);
    parts.server = await startServer(parts.source);
  });
  afterAll(async () => {
    await parts.server?.stop();
    await parts.source?.close();
    await parts.database?.close();
  });
  return parts as SeededServer;
}
