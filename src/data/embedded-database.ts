import { constants } from "node:fs";
import { access, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { PGlite } from "@electric-sql/pglite";
import { dataDir as emptyCluster } from "@electric-sql/pglite-prepopulatedfs";
import type { SqlDriverAdapter } from "@prisma/driver-adapter-utils";
import { PrismaPGlite } from "pglite-prisma-adapter";
import { lockDataFolder } from "./data-folder-lock.js";
import type { Database, DatabaseOptions, DatabaseTarget, ListenHandlers } from "./database.js";
import { DatabaseError, reasonOf } from "./database-error.js";
import { createPrismaClient } from "./prisma-client.js";
import { createAdapterFactory, runScriptsWhole } from "./whole-scripts.js";

/**
 * Beside the database's folder while it is being created. Found at a start, it says that the creation was cut
 * short; nothing has been stored then, so it starts over.
 */
const CREATION_MARK_SUFFIX = ".creating";

/** The database's own folder within the data folder. */
const DATABASE_FOLDER = "database";

/**
 * PostgreSQL's page cache. Its 128 MB default takes half a second of every start to set up in WebAssembly; the whole
 * catalogue is a tenth of that, and reads come from the snapshot.
 */
const START_PARAMETERS = [...PGlite.defaultStartParams, "-c", "shared_buffers=16MB"];

/** A file that every PostgreSQL data folder has: its major version. */
const VERSION_FILE = "PG_VERSION";

/**
 * Opens PostgreSQL in this process (PGlite), in a folder or in memory. The folder is locked until the database is
 * closed: two processes on one folder lose each other's rows.
 */
export async function openEmbeddedDatabase(
  target: Exclude<DatabaseTarget, { kind: "postgres" }>,
  options: DatabaseOptions = {},
): Promise<Database> {
  const { engine, unlock } =
    target.kind === "memory"
      ? {
          engine: await PGlite.create({ startParams: START_PARAMETERS, loadDataDir: await beginning(target.content) }),
          unlock: async () => {},
        }
      : await openLocked(target.folder, target.content, options);
  // Dates travel without a zone between adapter and database, both meaning UTC.
  await engine.exec("SET TIME ZONE 'UTC'");
  const description = target.kind === "memory" ? "the database in memory" : `the database in ${target.folder}`;
  const prisma = createPrismaClient(new PrismaPGlite(engine), options);
  const query = async <Row>(sql: string, parameters: readonly unknown[] = []) =>
    (await engine.query<Row>(sql, [...parameters])).rows;
  let closed = false;

  return {
    kind: "embedded",
    description,
    prisma,
    query(sql, parameters) {
      options.onStatement?.(sql);
      return query(sql, parameters);
    },
    async openSession() {
      const connect = async () => wrap(engine);
      return {
        adapterFactory: createAdapterFactory("pglite-prisma-adapter", connect, async () =>
          wrap(await PGlite.create({ startParams: START_PARAMETERS, loadDataDir: await emptyCluster() })),
        ),
        query,
        async close() {},
      };
    },
    async listen(channel: string, handlers: ListenHandlers) {
      const stop = await engine.listen(channel, handlers.onNotify);
      return {
        async close() {
          if (!closed) await stop();
        },
      };
    },
    dump: () => engine.dumpDataDir("none"),
    async close() {
      if (closed) return;
      closed = true;
      try {
        await prisma.$disconnect();
        await engine.close();
      } finally {
        await unlock();
      }
    },
  };
}

async function wrap(engine: PGlite): Promise<SqlDriverAdapter> {
  return runScriptsWhole(await new PrismaPGlite(engine).connect(), (script) => engine.exec(script));
}

/** What a new database starts from: an archive of another, or an empty cluster, which spares seconds of initdb. */
async function beginning(content: Blob | undefined): Promise<Blob> {
  return content ?? (await emptyCluster());
}

async function openLocked(
  dataFolder: string,
  content: Blob | undefined,
  options: DatabaseOptions,
): Promise<{ engine: PGlite; unlock: () => Promise<void> }> {
  const folder = join(dataFolder, DATABASE_FOLDER);
  await assertWritable(dataFolder);
  const lock = await lockDataFolder(dataFolder);
  try {
    await assertWritable(folder);
    return { engine: await openFolder(folder, content, options), unlock: lock.release };
  } catch (error) {
    await lock.release();
    throw error;
  }
}

async function openFolder(folder: string, content: Blob | undefined, options: DatabaseOptions): Promise<PGlite> {
  const mark = `${folder}${CREATION_MARK_SUFFIX}`;
  if (await exists(mark)) {
    options.onProgress?.("The creation of the database was cut short; starting it over.");
    await rm(folder, { recursive: true, force: true });
    await mkdir(folder, { recursive: true });
  }
  const entries = await readdir(folder);
  if (entries.length > 0 && !entries.includes(VERSION_FILE)) {
    throw new DatabaseError(
      "FOLDER_DAMAGED",
      `The folder ${folder} holds files but no database. Empty it, or name another folder with DATA_DIR.`,
    );
  }
  const isNew = entries.length === 0;
  if (isNew) {
    options.onProgress?.("Creating the database; this takes a few seconds, once.");
    await writeFile(mark, "");
  }
  try {
    const engine = await PGlite.create({
      dataDir: folder,
      startParams: START_PARAMETERS,
      ...(isNew && { loadDataDir: await beginning(content) }),
    });
    if (isNew) await rm(mark, { force: true });
    return engine;
  } catch (error) {
    throw await explainDamage(folder, error);
  }
}

async function assertWritable(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true });
    await access(folder, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (error) {
    throw new DatabaseError(
      "FOLDER_NOT_WRITABLE",
      `The folder ${folder} cannot be written to: ${reasonOf(error)}. Name a folder of your own with DATA_DIR.`,
      { cause: error },
    );
  }
}

async function explainDamage(folder: string, cause: unknown): Promise<DatabaseError> {
  const version = await readFile(join(folder, VERSION_FILE), "utf8").then(
    (text) => `, written by PostgreSQL ${text.trim()},`,
    () => "",
  );
  return new DatabaseError(
    "FOLDER_DAMAGED",
    `The database in ${folder}${version} does not open: ${reasonOf(cause)}. Restore the folder from a copy, ` +
      "or move it away to start with a fresh catalogue (edits made since are in the folder moved away).",
    { cause },
  );
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
