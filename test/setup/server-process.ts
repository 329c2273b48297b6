import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** What is started: the sources as they are, or the compiled build. */
const ENTRIES = {
  sources: ["--import", "tsx", "src/main.ts"],
  build: ["dist/main.js"],
} as const;

/** A server in a process of its own, with its output so far. */
export interface ServerProcess {
  child: ChildProcess;
  output: () => string;
  /** Address of the API once the server says it; rejects with its output when the process ends before. */
  ready: Promise<string>;
  /** Exit code, or the signal that ended it. */
  ended: Promise<number | NodeJS.Signals | null>;
  /** Sends a signal, if it still runs, and waits for the end. */
  end(signal: NodeJS.Signals): Promise<number | NodeJS.Signals | null>;
}

/** Starts a server on a free port with these settings and nothing of this process's own. */
export function startProcess(entry: keyof typeof ENTRIES, settings: Record<string, string>): ServerProcess {
  const { PATH = "", HOME = "" } = process.env;
  const child = spawn(process.execPath, ENTRIES[entry], {
    cwd: ROOT,
    env: { PATH, HOME, PORT: "0", ...settings },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let text = "";
  const ended = new Promise<number | NodeJS.Signals | null>((resolve) => {
    child.on("close", (code, signal) => resolve(code ?? signal));
  });
  const ready = new Promise<string>((resolve, reject) => {
    const read = (chunk: Buffer) => {
      text += chunk.toString();
      const address = /^Health\s.*\n/m.test(text) ? /^API\s+(\S+)/m.exec(text)?.[1] : undefined;
      if (address !== undefined) resolve(address);
    };
    child.stdout.on("data", read);
    child.stderr.on("data", read);
    void ended.then((how) => reject(new Error(`the server ended with ${how}: ${text}`)));
  });
  // Whoever waits for the end only does not care that it was never ready.
  ready.catch(() => {});
  return {
    child,
    output: () => text,
    ready,
    ended,
    end(signal) {
      child.kill(signal);
      return ended;
    },
  };
}

/** A folder of a test's own for the embedded database, removed by `remove`. */
export function temporaryDataDir(): { path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), "vramql-"));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}
