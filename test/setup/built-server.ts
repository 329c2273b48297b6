import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const MAIN = fileURLToPath(new URL("../../dist/main.js", import.meta.url));
/** The first start migrates and seeds; a slow machine with other work on it needs longer than an idle one. */
const START_TIMEOUT_MS = 110_000;
const POLL_MS = 100;

/** One process of the built server. */
export interface BuiltServer {
  /** Such as `http://127.0.0.1:40123`. */
  origin: string;
  dataDir: string;
  process: ChildProcess;
  /** All it has written so far. */
  output(): string;
  /** Its exit code once it has ended; null when a signal ended it. */
  ended: Promise<number | null>;
  /** Sends a signal and waits for the end. */
  end(signal: NodeJS.Signals): Promise<number | null>;
}

/** Starts the built server over a data folder, without waiting for it. */
export async function launchServer(dataDir: string): Promise<BuiltServer> {
  const port = await findFreePort();
  const { DATABASE_URL: _url, ADMIN_TOKEN: _token, ...environment } = process.env;
  const child = spawn(process.execPath, [MAIN], {
    env: { ...environment, NODE_ENV: "production", PORT: String(port), DATA_DIR: dataDir },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
  }
  const ended = once(child, "exit").then(() => child.exitCode);
  return {
    origin: `http://127.0.0.1:${port}`,
    dataDir,
    process: child,
    output: () => output,
    ended,
    end(signal) {
      if (isRunning(child)) child.kill(signal);
      return ended;
    },
  };
}

/**
 * Waits until a server answers.
 * @throws Error with the server's output when it ends or stays silent instead
 */
export async function untilReady(server: BuiltServer): Promise<void> {
  const deadline = Date.now() + START_TIMEOUT_MS;
  while (!(await answers(server.origin))) {
    if (!isRunning(server.process) || Date.now() > deadline) {
      await server.end("SIGKILL");
      throw new Error(`The server did not come up on ${server.origin}:\n${server.output()}`);
    }
    await sleep(POLL_MS);
  }
}

/** A folder of a test's own for the embedded database, removed by `remove`. */
export function temporaryDataDir(): { path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), "vramql-"));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

/** A server with a catalogue of its own; `stop` ends it and removes its data. */
export interface RunningServer {
  origin: string;
  stop(): Promise<void>;
}

/** Starts the built server over an empty folder and waits until it answers. */
export async function startServer(): Promise<RunningServer> {
  const dataDir = temporaryDataDir();
  const server = await launchServer(dataDir.path);
  await untilReady(server);
  return {
    origin: server.origin,
    async stop() {
      await server.end("SIGTERM");
      dataDir.remove();
    },
  };
}

function isRunning(child: ChildProcess): boolean {
  return child.exitCode === null && child.signalCode === null;
}

async function answers(origin: string): Promise<boolean> {
  try {
    return (await fetch(`${origin}/readyz`)).ok;
  } catch {
    return false;
  }
}

async function findFreePort(): Promise<number> {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const address = probe.address();
  probe.close();
  await once(probe, "close");
  if (address === null || typeof address === "string") throw new Error("no TCP port was given");
  return address.port;
}
