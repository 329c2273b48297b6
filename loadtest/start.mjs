// Compares the server's speed over HTTP with others. From the project's folder:
//
//   npm run bench:http                         everything, about ten minutes
//   npm run bench:http -- --smoke              one short look at each, to see that it works
//   npm run bench:http -- --only estimate      operations whose name begins so: tiny, models, estimate, hardware
//   npm run bench:http -- --soak 1000000       so many requests against our server, with memory at intervals
//
// Installs what it compares with on first use. Servers run on one core, the load comes from another.
import { spawn, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { availableParallelism } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, "..");

function run(command, args, cwd) {
  const { status } = spawnSync(command, args, { cwd, stdio: "inherit", shell: process.platform === "win32" });
  if (status !== 0) throw new Error(`${command} ${args.join(" ")} failed`);
}

if (!existsSync(join(here, "node_modules/mercurius"))) run("npm", ["ci", "--silent"], here);
run(process.execPath, [join(root, "scripts/build.mjs"), "serve"], root);

const { build } = await import("esbuild");
// Beside this file, one folder below the project's: what is read relative to compiled code is found, and packages come
// from this folder first, so that everything compared here shares one copy of graphql.
await build({
  absWorkingDir: here,
  entryPoints: ["bench.ts", "floor.ts", "apollo.ts", "mercurius.ts"],
  outdir: here,
  outExtension: { ".js": ".compiled.js" },
  bundle: true,
  format: "esm",
  platform: "node",
  target: "node20",
  packages: "external",
  logLevel: "warning",
});

/** The load's own core, where cores can be chosen and there is more than one. */
const pinned = spawnSync("taskset", ["--version"]).error === undefined && availableParallelism() > 1;
const bench = join(here, "bench.compiled.js");
const args = [bench, pinned ? "pinned" : "unpinned", ...process.argv.slice(2)];
const child = pinned
  ? spawn("taskset", ["-c", "1", process.execPath, ...args], { stdio: "inherit" })
  : spawn(process.execPath, args, { stdio: "inherit" });
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => child.kill(signal));
child.on("exit", (status) => {
  process.exitCode = status ?? 1;
});
