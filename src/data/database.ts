import type { SqlMigrationAwareDriverAdapterFactory } from "@prisma/driver-adapter-utils";
import { openEmbeddedDatabase } from "./embedded-database.js";
import type { PrismaClient } from "./prisma/client.js";

/**
 * Which database: PostgreSQL inside this process, its files below the data folder `folder`, which is locked while it
 * is open; the same in memory; or a server named by a URL. `content` is what `dump` gave, to begin with.
 */
export type DatabaseTarget =
  | { kind: "embedded"; folder: string; content?: Blob }
  | { kind: "memory"; content?: Blob }
  | { kind: "postgres"; url: string };

export interface DatabaseOptions {
  /** Long work, a sentence each. */
  onProgress?: (message: string) => void;
  /** Every statement sent, but for those of migrations. */
  onStatement?: (sql: string) => void;
  /** Faults of idle connections, which nobody awaits; the pool replaces the connection by itself. */
  onConnectionError?: (error: Error) => void;
  /** How long a server may be silent before it is asked whether it still answers; default 10 s. */
  silenceMs?: number;
}

/** An open database. */
export interface Database {
  /** `embedded` also for one in memory. */
  readonly kind: "embedded" | "postgres";
  /** For messages: "PostgreSQL at db.example:5432, database vramql" (never with a password). */
  readonly description: string;
  /** For edits. Its first use starts its query compiler, a third of a second that a start without edits is spared. */
  readonly prisma: PrismaClient;
  /** One statement without the Prisma client. */
  query<Row>(sql: string, parameters?: readonly unknown[]): Promise<Row[]>;
  /** A session for migrations: on a server a connection of its own, embedded the only one there is. */
  openSession(): Promise<DatabaseSession>;
  /** Listens for NOTIFY on a channel, through faults of the connection too, until closed. */
  listen(channel: string, handlers: ListenHandlers): Promise<{ close(): Promise<void> }>;
  /** The files of an embedded database as an archive for `content` of a target; fails on a server. */
  dump(): Promise<Blob>;
  close(): Promise<void>;
}

export interface DatabaseSession {
  /** For Prisma's schema engine. Scripts run whole, in one transaction. */
  readonly adapterFactory: SqlMigrationAwareDriverAdapterFactory;
  query<Row>(sql: string, parameters?: readonly unknown[]): Promise<Row[]>;
  close(): Promise<void>;
}

export interface ListenHandlers {
  onNotify: (payload: string) => void;
  /** The connection is back after a fault; notifications may have been missed. */
  onReconnect?: () => void;
  onDisconnect?: (error: Error) => void;
}

/**
 * Opens a database without changing its content; an embedded one is created when its folder is empty.
 * Throws DatabaseError with a sentence that says what to do.
 */
export function openDatabase(target: DatabaseTarget, options: DatabaseOptions = {}): Promise<Database> {
  return target.kind === "postgres" ? openServer(target.url, options) : openEmbeddedDatabase(target, options);
}

/** Loads the server's driver only when there is a server. */
async function openServer(url: string, options: DatabaseOptions): Promise<Database> {
  const { openPostgresDatabase } = await import("./postgres-database.js");
  return openPostgresDatabase(url, options);
}
