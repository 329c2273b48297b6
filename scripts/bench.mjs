// Measures how long estimates and searches take, of the code as the server is compiled:
//
//   npm run bench                        every case
//   npm run bench -- --only hardware     cases whose name begins so: estimate, hardware, runnable, growth
import { spawnSync } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const compiled = join(root, "dist/bench.js");

await build({
  absWorkingDir: root,
  entryPoints: ["scripts/bench/main.ts"],
  outfile: compiled,
  bundle: true,
  format: "esm",
  platform: "node",
  target: "node20",
  packages: "external",
  logLevel: "warning",
});
process.exitCode = spawnSync(process.execPath, [compiled, ...process.argv.slice(2)], { stdio: "inherit" }).status ?? 1;
