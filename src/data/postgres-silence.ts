import type { Socket } from "node:net";
import pg from "pg";

/** How long a server may be silent in the middle of a statement before it is asked whether it still answers. */
export const SILENCE_MS = 10_000;

/** Breaks the connections of a server that hangs. */
export interface SilenceWatch {
  /** Watches a connection that was just made. */
  watch(client: pg.ClientBase): void;
  /** Told that a connection has nothing to wait for, or again has. */
  idle(client: pg.ClientBase): void;
  busy(client: pg.ClientBase): void;
}

/**
 * A statement may take long (it waits for the edits of others), so that silence alone says nothing: a busy connection
 * that has been silent for a while is broken only when the server does not answer another one either. Its statements
 * then fail as those of any broken connection, and the pool opens a new one.
 */
export function createSilenceWatch(config: pg.ClientConfig, silenceMs: number = SILENCE_MS): SilenceWatch {
  const waiting = new WeakSet<pg.ClientBase>();
  let probe: Promise<boolean> | undefined;
  const answers = (): Promise<boolean> => {
    probe ??= askForAnswer(config).finally(() => {
      probe = undefined;
    });
    return probe;
  };

  return {
    watch(client) {
      waiting.add(client);
      const socket = socketOf(client);
      socket.setTimeout(silenceMs);
      socket.on("timeout", () => {
        // It fires once; a silence that lasts is looked at again.
        socket.setTimeout(silenceMs);
        if (!waiting.has(client)) return;
        const received = socket.bytesRead;
        void answers().then((isAlive) => {
          if (isAlive || socket.bytesRead !== received) return;
          socket.destroy(new Error("Connection terminated: the server does not answer"));
        });
      });
    },
    idle: (client) => void waiting.delete(client),
    busy: (client) => void waiting.add(client),
  };
}

function socketOf(client: pg.ClientBase): Socket {
  return (client as unknown as { connection: { stream: Socket } }).connection.stream;
}

/** Whether a server says anything at all to a new connection, be it that it has too many. */
async function askForAnswer(config: pg.ClientConfig): Promise<boolean> {
  const client = new pg.Client({ ...config, query_timeout: config.connectionTimeoutMillis });
  client.on("error", () => {});
  try {
    await client.connect();
    await client.query("SELECT 1");
    return true;
  } catch (error) {
    return error instanceof pg.DatabaseError;
  } finally {
    client.end().catch(() => {});
  }
}
