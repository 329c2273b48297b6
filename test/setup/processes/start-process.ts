import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

const PROJECT = fileURLToPath(new URL("../../..", import.meta.url));

export interface TestProcess {
  child: ChildProcess;
  /** The first line printed that contains a text, from the beginning; rejects when the process ends without it. */
  waitFor(text: string): Promise<string>;
  /** SIGKILL, and waits until the process is gone. */
  kill(): Promise<void>;
}

/** Starts a TypeScript file beside this one in a process of its own. */
export function startProcess(script: string, args: readonly string[]): TestProcess {
  const file = fileURLToPath(new URL(script, import.meta.url));
  const child = spawn(process.execPath, ["--import", "tsx", file, ...args], {
    cwd: PROJECT,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  const ended = new Promise<void>((done) => child.once("exit", () => done()));
  child.stdout.on("data", (chunk: Buffer) => {
    output += chunk.toString();
  });
  child.stderr.on("data", (chunk: Buffer) => {
    output += chunk.toString();
  });
  const findLine = (text: string) =>
    output
      .split("\n")
      .slice(0, -1)
      .find((line) => line.includes(text));
  return {
    child,
    async waitFor(text) {
      for (;;) {
        const line = findLine(text);
        if (line !== undefined) return line;
        if (child.exitCode !== null || child.signalCode !== null) {
          await ended;
          throw new Error(`The process ended without "${text}":\n${output}`);
        }
        await new Promise((done) => setTimeout(done, 10));
      }
    },
    async kill() {
      child.kill("SIGKILL");
      await ended;
    },
  };
}
