import { readFile } from "node:fs/promises";
import { inject } from "vitest";
import { type Database, type DatabaseTarget, openDatabase } from "../../src/data/database.js";

/** Both kinds of database, for `describe.each`. */
export const DATABASE_KINDS = ["embedded", "postgres"] as const;
export type DatabaseKind = (typeof DATABASE_KINDS)[number];

export interface TestDatabase {
  database: Database;
  /** Opens the same database again; an embedded one is in memory and cannot be. */
  target: DatabaseTarget;
  /** Every statement that the Prisma client sent so far. */
  statements: string[];
  close(): Promise<void>;
}

/** A database of the test's own, with the catalogue's tables and, if `seeded`, the rows of `seed/`. */
export async function openTestDatabase(kind: DatabaseKind, options: { seeded?: boolean } = {}): Promise<TestDatabase> {
  const target = await createTestTarget(kind, options);
  const statements: string[] = [];
  const database = await openDatabase(target, { onStatement: (sql) => statements.push(sql) });
  return { database, target, statements, close: () => database.close() };
}

/** A database of the test's own, for the test to open: once if it is an embedded one, which is in memory. */
export async function createTestTarget(
  kind: DatabaseKind,
  { seeded = false }: { seeded?: boolean } = {},
): Promise<DatabaseTarget> {
  const answer = await ask(`/${kind}?seeded=${seeded}`);
  if (kind === "postgres") return { kind, url: answer };
  return { kind: "memory", content: await readArchive(answer) };
}

/** An archive of an embedded database, for `content` of a target. */
export async function getArchive({ seeded = false }: { seeded?: boolean } = {}): Promise<Blob> {
  return readArchive(await ask(`/embedded?seeded=${seeded}`));
}

/** The URL of a PostgreSQL database without tables. */
export function createEmptyPostgresDatabase(): Promise<string> {
  return ask("/postgres/empty");
}

/** Runs an operation and returns the statements that the Prisma client sent meanwhile. */
export async function recordStatements(test: TestDatabase, operation: () => Promise<unknown>): Promise<string[]> {
  const before = test.statements.length;
  await operation();
  return test.statements.slice(before);
}

async function readArchive(file: string): Promise<Blob> {
  return new Blob([await readFile(file)]);
}

async function ask(path: string): Promise<string> {
  const response = await fetch(inject("testDatabases") + path);
  const text = await response.text();
  if (!response.ok) throw new Error(`No database: ${text}`);
  return text;
}
