import type { SqlDriverAdapterFactory } from "@prisma/driver-adapter-utils";
import type { DatabaseOptions } from "./database.js";
import { PrismaClient } from "./prisma/client.js";

/** A Prisma client over a driver adapter, telling `onStatement` of every statement it sends. */
export function createPrismaClient(adapter: SqlDriverAdapterFactory, options: DatabaseOptions): PrismaClient {
  const { onStatement } = options;
  if (!onStatement) return new PrismaClient({ adapter, errorFormat: "minimal" });
  const client = new PrismaClient({ adapter, errorFormat: "minimal", log: [{ emit: "event", level: "query" }] });
  client.$on("query", (event) => onStatement(event.query));
  return client as unknown as PrismaClient;
}
