import { readFileSync } from "node:fs";
import { parse } from "graphql";
import { type Context, createContext } from "../src/context.js";
import { openDatabase } from "../src/data/database.js";
import { migrate } from "../src/data/migrate.js";
import { createCatalogueSource } from "../src/data/snapshot.js";
import { enforceRoles } from "../src/resolvers/enforce-roles.js";
import { resolvers } from "../src/resolvers/resolvers.js";
import { createBackend } from "../src/services/backend.js";
import { loadSeed } from "../src/services/seeding/load-seed.js";
import { readSeedFiles, SEED_FOLDER } from "../src/services/seeding/read-seed.js";

/** The schema and the resolvers of our server, for others to serve. */
export function readApi() {
  const sdl = readFileSync(new URL("../schema.graphql", import.meta.url), "utf8");
  return { sdl, resolvers: enforceRoles(resolvers, parse(sdl)) };
}

/** Opens a catalogue of the seed in memory and makes contexts of requests over it. */
export async function openContexts(): Promise<() => Context> {
  const database = await openDatabase({ kind: "memory" });
  await migrate(database, {});
  await loadSeed(database, { files: readSeedFiles(SEED_FOLDER) });
  const catalogue = await createCatalogueSource(database);
  const backend = createBackend({ database, catalogue, adminToken: null });
  return () =>
    createContext({
      catalogue: catalogue.current(),
      backend,
      requestId: "load",
      authorization: undefined,
      address: "127.0.0.1",
    });
}
