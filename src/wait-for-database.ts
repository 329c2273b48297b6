import { createServer, type Server } from "node:http";
import { DatabaseError } from "./data/database-error.js";
import { setSecurityHeaders } from "./http/headers.js";

/** Milliseconds before the second attempt; each pause is twice the one before, up to the longest. */
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 15_000;
/** Seconds after which a client may ask again; a probe does so by itself. */
const RETRY_AFTER_SECONDS = 5;

export interface DatabaseWait<Opened> {
  /** Opens the database; throws `DatabaseError` UNREACHABLE when its server does not answer. */
  open: () => Promise<Opened>;
  /** Milliseconds after which no further attempt is made. */
  waitMs: number;
  host: string;
  /** 0 lets the system choose. */
  port: number;
  /** Is told what is waited for, a sentence for each failed attempt. */
  onWait: (sentence: string) => void;
  /** Ends the wait. */
  signal?: AbortSignal;
}

export interface DatabaseAfterWait<Opened> {
  opened: Opened;
  /** Port that was listened on meanwhile, to be listened on again; the one asked for when nothing was waited for. */
  port: number;
}

/**
 * Opens a database, and tries again with growing pauses while its server cannot be reached: machines start in any
 * order. Meanwhile `/healthz` says that the process lives, and everything else, `/readyz` among it, that it is not
 * ready. What waiting does not mend (passwords, versions) is thrown at once.
 * @throws DatabaseError of the last attempt; whatever `open` and listening throw
 */
export async function waitForDatabase<Opened>(wait: DatabaseWait<Opened>): Promise<DatabaseAfterWait<Opened>> {
  const { open, waitMs, host, onWait, signal } = wait;
  const deadline = performance.now() + waitMs;
  let waiting: Server | undefined;
  let { port } = wait;
  try {
    for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
      try {
        return { opened: await open(), port };
      } catch (error) {
        const left = deadline - performance.now();
        if (!isUnreachable(error) || left <= 0 || signal?.aborted) throw error;
        if (waiting === undefined) {
          waiting = await listen(host, port);
          port = portOf(waiting);
        }
        const thisPauseMs = Math.min(pauseMs, left);
        const seconds = Math.ceil(thisPauseMs / 1_000);
        onWait(`${error.message} Trying again in ${seconds} s, for ${Math.ceil(left / 1_000)} s more.`);
        await pause(thisPauseMs, signal);
      }
    }
  } finally {
    if (waiting !== undefined) await close(waiting);
  }
}

function isUnreachable(error: unknown): error is DatabaseError {
  return error instanceof DatabaseError && error.problem === "UNREACHABLE";
}

/** Ends early, without an error, when the wait is over. */
function pause(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(end, milliseconds);
    function end() {
      clearTimeout(timer);
      signal?.removeEventListener("abort", end);
      resolve();
    }
    signal?.addEventListener("abort", end);
  });
}

/** A server that says of itself that it lives and is not ready. */
function listen(host: string, port: number): Promise<Server> {
  const server = createServer((request, response) => {
    setSecurityHeaders(response, false);
    const path = request.url?.split("?", 1)[0];
    response.setHeader("content-type", "application/json; charset=utf-8");
    response.setHeader("cache-control", "no-store");
    // The next server on this port is another one.
    response.setHeader("connection", "close");
    if (path === "/healthz") {
      response.end(JSON.stringify({ status: "ok" }));
      return;
    }
    response.statusCode = 503;
    response.setHeader("retry-after", String(RETRY_AFTER_SECONDS));
    const message = "This server waits for its database.";
    const state = path === "/readyz" ? { status: "starting", database: "unreachable" } : unavailable(message);
    response.end(JSON.stringify(state));
  });
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, () => resolve(server));
  });
}

function unavailable(message: string) {
  return { errors: [{ message, extensions: { code: "UNAVAILABLE" } }] };
}

function portOf(server: Server): number {
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
