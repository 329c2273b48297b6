/** Why a statement failed that was in order itself: the server cannot be reached, or others keep it busy. */
export type DatabaseFailure = "UNREACHABLE" | "BUSY";

/** Codes of Prisma's client. */
const UNREACHABLE_CODES = new Set([
  // Not reachable, timed out, connection closed, access to a server that is starting or ending.
  "P1001",
  "P1002",
  "P1008",
  "P1011",
  "P1017",
  // Connection errors of the operating system.
  "ECONNREFUSED",
  "ECONNRESET",
  "EPIPE",
  "ETIMEDOUT",
  "ENOTFOUND",
  // PostgreSQL: shutting down, crashed, starting up.
  "57P01",
  "57P02",
  "57P03",
]);
const BUSY_CODES = new Set([
  // No connection or no transaction in time, too many connections.
  "P2024",
  "P2028",
  "P2037",
  // PostgreSQL: too many connections, a lock that was not to be had, a deadlock.
  "53300",
  "55P03",
  "40P01",
]);
/** Kinds of errors of Prisma's driver adapters. */
const UNREACHABLE_KINDS = new Set(["DatabaseNotReachable", "ConnectionClosed", "SocketTimeout", "TlsConnectionError"]);
const BUSY_KINDS = new Set(["TooManyConnections"]);
/** The driver's words for a connection that broke; they have no code. */
const BROKEN_CONNECTION =
  /Connection terminated|Connection ended|not queryable|timeout exceeded when trying to connect/;
/** PostgreSQL's class of connection exceptions. */
const CONNECTION_CLASS = /^08/;

/** Tells a failure of the database from an error of the statement (null), however deep the cause is. */
export function describeFailure(error: unknown): DatabaseFailure | null {
  for (const { code, kind, message } of causesOf(error)) {
    if (UNREACHABLE_CODES.has(code) || UNREACHABLE_KINDS.has(kind) || CONNECTION_CLASS.test(code)) return "UNREACHABLE";
    if (BUSY_CODES.has(code) || BUSY_KINDS.has(kind)) return "BUSY";
    if (BROKEN_CONNECTION.test(message)) return "UNREACHABLE";
  }
  return null;
}

interface Cause {
  code: string;
  kind: string;
  message: string;
}

/** The error and whatever it was caused by, outermost last: the innermost one knows best. */
function causesOf(error: unknown): Cause[] {
  const causes: Cause[] = [];
  const seen = new Set<unknown>();
  const pending = [error];
  while (pending.length > 0) {
    const value = pending.pop();
    if (typeof value !== "object" || value === null || seen.has(value)) continue;
    seen.add(value);
    const { code, originalCode, kind, message, cause, meta, driverAdapterError } = value as Record<string, unknown>;
    causes.unshift({ code: text(originalCode ?? code), kind: text(kind), message: text(message) });
    pending.push(cause, meta, driverAdapterError);
  }
  return causes;
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}
