import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** What a process has used so far. */
export interface Usage {
  cpuMs: number;
  /** Bytes. */
  rss: number;
  heapUsed: number;
}

/** A server that is measured. */
export interface ServerProcess {
  name: string;
  port: number;
  usage(): Promise<Usage>;
  /** Usage after the garbage has been collected. */
  collected(): Promise<Usage>;
  send(message: object): void;
  /** Lines it has written that match. */
  countLines(pattern: RegExp): number;
  stop(): Promise<void>;
}

export interface ServerOptions {
  /** File to run, beside this one or below the project's folder. */
  file: string;
  pinned: boolean;
  environment?: Record<string, string>;
}

/** Milliseconds that a server may take to create its database and load the seed, on a busy machine. */
const START_MS = 180_000;

const fileBeside = (name: string) => fileURLToPath(new URL(name, import.meta.url));
/** What our own server says once it listens. */
const welcome = /^API\s+http:\/\/localhost:(\d+)\//;

/** Starts a server on the core that servers have to themselves. */
export async function startServer(
  name: string,
  { file, pinned, environment = {} }: ServerOptions,
): Promise<ServerProcess> {
  const node = ["--expose-gc", "--import", fileBeside("./probe.mjs"), fileBeside(file)];
  const [command, args] = pinned ? ["taskset", ["-c", "0", process.execPath, ...node]] : [process.execPath, node];
  const child = spawn(command, args, {
    stdio: ["ignore", "pipe", "inherit", "ipc"],
    env: { ...process.env, NODE_ENV: "production", ...environment },
  });
  // However the measuring ends, no server is left behind.
  process.on("exit", () => child.kill("SIGKILL"));
  const lines: string[] = [];
  const port = await listening(name, child, lines);
  const ask = (question: string) =>
    new Promise<Usage>((resolve) => {
      child.once("message", (answer) => resolve(answer as Usage));
      child.send(question);
    });
  return {
    name,
    port,
    usage: () => ask("report"),
    collected: () => ask("collect"),
    send: (message) => child.send(message),
    countLines: (pattern) => lines.filter((line) => pattern.test(line)).length,
    stop: () =>
      new Promise((resolve) => {
        child.once("exit", () => resolve());
        child.kill("SIGTERM");
      }),
  };
}

/** The port, as a message or as our own server writes it. */
function listening(name: string, child: ChildProcess, lines: string[]): Promise<number> {
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => {
      child.kill("SIGKILL");
      reject(new Error(`${name} did not start`));
    }, START_MS);
    const found = (port: number) => {
      clearTimeout(late);
      resolve(port);
    };
    child.once("exit", (status) => reject(new Error(`${name} ended with ${status}`)));
    child.once("message", (message) => found((message as { port: number }).port));
    if (child.stdout === null) return;
    createInterface(child.stdout).on("line", (line) => {
      lines.push(line);
      const port = welcome.exec(line)?.[1];
      if (port !== undefined) found(Number(port));
    });
  });
}
