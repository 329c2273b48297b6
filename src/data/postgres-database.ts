import { PrismaPg } from "@prisma/adapter-pg";
import pg from "pg";
import type { Database, DatabaseOptions, DatabaseSession } from "./database.js";
import { DatabaseError, reasonOf } from "./database-error.js";
import { listenOnPostgres } from "./postgres-listener.js";
import { createSilenceWatch } from "./postgres-silence.js";
import { createPrismaClient } from "./prisma-client.js";
import { createAdapterFactory, runScriptsWhole } from "./whole-scripts.js";

/** The oldest PostgreSQL that the migrations and the tests are kept compatible with. */
const OLDEST_MAJOR_VERSION = 14;
/** `server_version_num` is 10,000 times the major version, plus the minor one. */
const VERSION_NUMBERS_PER_MAJOR = 10_000;

const CONNECT_TIMEOUT_MS = 5_000;
/** After so long without a word the system asks whether the other side of a connection is still there. */
const KEEP_ALIVE_MS = 10_000;
const POOL_SIZE = 10;

/** PostgreSQL's type number of int8. */
const INT8 = 20;

/**
 * Sizes and versions come as int8 and stay below 2^53. The parser is this pool's own: a global one would change
 * what the Prisma adapter reads.
 */
const types: pg.CustomTypesConfig = {
  getTypeParser: ((oid: number, format?: "text" | "binary") =>
    oid === INT8 && format !== "binary"
      ? Number
      : pg.types.getTypeParser(oid, format)) as typeof pg.types.getTypeParser,
};

/** Opens a PostgreSQL server, 14 or later, by its URL. */
export async function openPostgresDatabase(url: string, options: DatabaseOptions = {}): Promise<Database> {
  const place = describeUrl(url);
  const config: pg.PoolConfig = {
    connectionString: url,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    types,
    keepAlive: true,
    keepAliveInitialDelayMillis: KEEP_ALIVE_MS,
  };
  const silence = createSilenceWatch(config, options.silenceMs);
  const reportIdleError = (error: Error) => options.onConnectionError?.(error);
  const openPool = (max: number) => {
    const pool = new pg.Pool({
      ...config,
      max,
      // Dates travel without a zone between adapter and server, both meaning UTC.
      onConnect: async (client: pg.ClientBase) => {
        silence.watch(client);
        await client.query("SET TIME ZONE 'UTC'");
      },
    } as pg.PoolConfig);
    pool.on("error", reportIdleError);
    pool.on("acquire", silence.busy);
    pool.on("release", (_, client) => silence.idle(client));
    return pool;
  };

  const pool = openPool(POOL_SIZE);
  try {
    const { rows } = await pool.query<{ server_version_num: string }>("SHOW server_version_num");
    assertSupportedVersion(Number(rows[0]?.server_version_num), place);
  } catch (error) {
    await pool.end();
    throw error instanceof DatabaseError ? error : explainConnectionError(error, place);
  }
  const prisma = createPrismaClient(new PrismaPg(pool), options);
  let closing: Promise<void> | undefined;

  return {
    kind: "postgres",
    description: place,
    prisma,
    async query<Row>(sql: string, parameters: readonly unknown[] = []) {
      options.onStatement?.(sql);
      return (await pool.query(sql, [...parameters])).rows as Row[];
    },
    openSession: () => openSession(openPool(1)),
    listen: (channel, handlers) => listenOnPostgres(config, channel, handlers),
    dump: () => Promise.reject(new Error("A PostgreSQL server is copied with pg_dump.")),
    close() {
      closing ??= prisma.$disconnect().then(() => pool.end());
      return closing;
    },
  };
}

/** One connection, kept: advisory locks belong to it. */
async function openSession(pool: pg.Pool): Promise<DatabaseSession> {
  const connect = async () => runScriptsWhole(await new PrismaPg(pool).connect(), (script) => pool.query(script));
  const noScratchDatabase = () => Promise.reject(new Error("Migrations are written against the embedded database."));
  return {
    adapterFactory: createAdapterFactory("@prisma/adapter-pg", connect, noScratchDatabase),
    async query<Row>(sql: string, parameters: readonly unknown[] = []) {
      return (await pool.query(sql, [...parameters])).rows as Row[];
    },
    close: () => pool.end(),
  };
}

/** "PostgreSQL at db.example:5432, database vramql": what messages may show of a URL, which has a password in it. */
export function describeUrl(url: string): string {
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch {
    throw invalidUrl("it is not a URL");
  }
  if (!/^postgres(ql)?:$/.test(parsed.protocol)) throw invalidUrl(`it begins with ${parsed.protocol}`);
  const schema = parsed.searchParams.get("schema");
  if (schema !== null && schema !== "public") {
    throw invalidUrl(`it asks for the schema "${schema}", and the catalogue lives in the schema public of a database`);
  }
  const host = parsed.searchParams.get("host") ?? (decodeURIComponent(parsed.hostname) || "localhost");
  const database = decodeURIComponent(parsed.pathname.slice(1));
  return `PostgreSQL at ${host}:${parsed.port || "5432"}${database ? `, database ${database}` : ""}`;
}

function invalidUrl(reason: string): DatabaseError {
  return new DatabaseError(
    "INVALID_URL",
    `DATABASE_URL cannot be used: ${reason}. Expected is postgresql://user:password@host:5432/database.`,
  );
}

/** Throws when a server is older than the oldest supported version. */
export function assertSupportedVersion(versionNumber: number, place: string): void {
  if (versionNumber >= OLDEST_MAJOR_VERSION * VERSION_NUMBERS_PER_MAJOR) return;
  const major = Math.floor(versionNumber / VERSION_NUMBERS_PER_MAJOR);
  throw new DatabaseError(
    "TOO_OLD",
    `${place} is version ${major}; version ${OLDEST_MAJOR_VERSION} or later is needed.`,
  );
}

const ACCESS_DENIED_CODES = new Set(["28P01", "28000"]);
const NO_SUCH_DATABASE_CODE = "3D000";

function explainConnectionError(error: unknown, place: string): DatabaseError {
  const { code } = error as { code?: string };
  if (code && ACCESS_DENIED_CODES.has(code)) {
    return new DatabaseError(
      "ACCESS_DENIED",
      `${place} refuses the user or the password: ${reasonOf(error)}. Check DATABASE_URL.`,
      { cause: error },
    );
  }
  if (code === NO_SUCH_DATABASE_CODE) {
    return new DatabaseError(
      "NO_SUCH_DATABASE",
      `${place}: ${reasonOf(error)}. Create it (createdb), or check DATABASE_URL.`,
      { cause: error },
    );
  }
  return new DatabaseError(
    "UNREACHABLE",
    `${place} cannot be reached: ${reasonOf(error)}. Check that it runs and that DATABASE_URL names it.`,
    { cause: error },
  );
}
