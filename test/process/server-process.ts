import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** A server in a process of its own, with its output so far. */
export interface ServerProcess {
  child: ChildProcess;
  output: () => string;
  /** Address of the API once the server says it; rejects when the process ends before. */
  ready: Promise<string>;
  /** Exit code, or the signal that ended it. */
  ended: Promise<number | NodeJS.Signals | null>;
}

/** Starts src/main.ts with these settings and nothing of this process's own. */
export function startProcess(settings: Record<string, string>): ServerProcess {
  const { PATH = "", HOME = "" } = process.env;
  const child = spawn(process.execPath, ["--import", "tsx", "src/main.ts"], {
    cwd: root,
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
  return { child, output: () => text, ready, ended };
}
