// Writes a migration from the difference between the migrations there are and prisma/schema.prisma:
//
//   npm run migration -- add-gpu-length
//
// Look at the file afterwards and add what the schema language has no word for (check constraints, data).
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { MIGRATIONS_FOLDER, readMigrations } from "../src/data/migrate.js";
import { diffSchema } from "../src/data/schema-difference.js";

const SCHEMA_FILE = fileURLToPath(new URL("../prisma/schema.prisma", import.meta.url));
const LOCK_FILE = `# Prisma reads this: the kind of database that the migrations are for.\nprovider = "postgresql"\n`;
/** "20261124093000": the form of Prisma's own migration names. */
const TIMESTAMP_DIGITS = 14;

const [name] = process.argv.slice(2);
if (!name || !/^[a-z0-9]+([-_][a-z0-9]+)*$/.test(name)) {
  console.error("Say what changes: npm run migration -- add-gpu-length (lower-case letters, digits, - and _)");
  process.exit(1);
}
await mkdir(MIGRATIONS_FOLDER, { recursive: true });
const sql = await diffSchema(await readMigrations(), await readFile(SCHEMA_FILE, "utf8"));
if (sql === "") {
  console.log("The migrations already lead to prisma/schema.prisma; nothing to write.");
} else {
  const timestamp = new Date().toISOString().replace(/\D/g, "").slice(0, TIMESTAMP_DIGITS);
  const folder = join(MIGRATIONS_FOLDER, `${timestamp}_${name}`);
  await mkdir(folder);
  await writeFile(join(folder, "migration.sql"), sql);
  await writeFile(join(MIGRATIONS_FOLDER, "migration_lock.toml"), LOCK_FILE);
  console.log(`Wrote ${join(folder, "migration.sql")}`);
}
