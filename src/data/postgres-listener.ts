import pg from "pg";
import type { ListenHandlers } from "./database.js";

const FIRST_RETRY_MS = 100;
const LAST_RETRY_MS = 5_000;
/** How often a silent connection is asked whether it still lives, and how long it may take to say so. */
const HEARTBEAT_MS = 15_000;
const HEARTBEAT_TIMEOUT_MS = 5_000;

/**
 * Listens on a channel through a connection of its own, opened anew whenever it breaks.
 * Resolves when it listens for the first time; a first connection that fails is retried in the background too.
 */
export async function listenOnPostgres(
  config: pg.ClientConfig,
  channel: string,
  handlers: ListenHandlers,
): Promise<{ close(): Promise<void> }> {
  let client: pg.Client | undefined;
  let timer: NodeJS.Timeout | undefined;
  let retryMs = FIRST_RETRY_MS;
  let closed = false;

  const schedule = (action: () => void, delayMs: number) => {
    clearTimeout(timer);
    if (closed) return;
    timer = setTimeout(action, delayMs);
    timer.unref();
  };

  const retry = () => {
    schedule(() => {
      void connect(true);
    }, retryMs);
    retryMs = Math.min(retryMs * 2, LAST_RETRY_MS);
  };

  const drop = (broken: pg.Client, error: Error) => {
    if (client !== broken) return;
    client = undefined;
    broken.removeAllListeners("notification");
    broken.end().catch(() => {});
    handlers.onDisconnect?.(error);
    retry();
  };

  const beat = (live: pg.Client) => {
    schedule(() => {
      live.query("SELECT 1").then(
        () => beat(live),
        (error: Error) => drop(live, error),
      );
    }, HEARTBEAT_MS);
  };

  const connect = async (isReconnect: boolean): Promise<void> => {
    const next = new pg.Client({ ...config, query_timeout: HEARTBEAT_TIMEOUT_MS });
    client = next;
    next.on("error", (error) => drop(next, error));
    next.on("end", () => drop(next, new Error("The connection was closed.")));
    next.on("notification", (message) => {
      if (message.channel === channel) handlers.onNotify(message.payload ?? "");
    });
    try {
      await next.connect();
      await next.query(`LISTEN ${pg.escapeIdentifier(channel)}`);
    } catch (error) {
      drop(next, error as Error);
      return;
    }
    if (closed) {
      await next.end();
      return;
    }
    retryMs = FIRST_RETRY_MS;
    beat(next);
    if (isReconnect) handlers.onReconnect?.();
  };

  await connect(false);
  return {
    async close() {
      closed = true;
      clearTimeout(timer);
      const last = client;
      client = undefined;
      await last?.end().catch(() => {});
    },
  };
}
