import { type Database, openDatabase } from "./database.js";
import { MIGRATIONS_FOLDER } from "./migrate.js";
import { type Migration, NO_FILTER, startSchemaEngine, toMigrationList } from "./schema-engine.js";

/**
 * The SQL that leads from where `migrations` end to what `schema` (the text of a Prisma schema) describes;
 * empty when they agree. Runs the migrations in a scratch database in memory. Check constraints and data are
 * outside the schema language and never appear.
 */
export async function diffSchema(
  migrations: readonly Migration[],
  schema: string,
  scratch: () => Promise<Database> = () => openDatabase({ kind: "memory" }),
): Promise<string> {
  const database = await scratch();
  const session = await database.openSession();
  const { adapterFactory } = session;
  const engine = await startSchemaEngine({ ...adapterFactory, connectToShadowDb: adapterFactory.connect });
  try {
    const { stdout } = await engine.diff({
      from: { tag: "migrations", ...toMigrationList(MIGRATIONS_FOLDER, migrations) },
      to: { tag: "schemaDatamodel", files: [{ path: "schema.prisma", content: schema }] },
      script: true,
      exitCode: null,
      filters: NO_FILTER,
    });
    return stripNoise(stdout ?? "");
  } finally {
    engine.free();
    await session.close();
    await database.close();
  }
}

/** Every database has the schema public, and creating it asks for rights that a server's account may not have. */
function stripNoise(sql: string): string {
  const text = sql.replace(/-- CreateSchema\nCREATE SCHEMA IF NOT EXISTS "public";\n*/, "").trim();
  return /^-- This is an empty migration\.?$/.test(text) || text === "" ? "" : `${text}\n`;
}
