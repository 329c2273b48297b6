import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

/**
 * Brings dist/ up to date before the first test.
 *
 * @throws Error when the build fails; its output is on the terminal.
 */
export default function build(): void {
  const script = fileURLToPath(new URL("../../scripts/build.mjs", import.meta.url));
  const { status, error } = spawnSync(process.execPath, [script], { stdio: "inherit" });
  if (error) throw error;
  if (status !== 0) throw new Error(`scripts/build.mjs ended with ${status}`);
}
