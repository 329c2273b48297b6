// Builds what is out of date: generated code, the compiled server and the playground.
//
//   node scripts/build.mjs          everything
//   node scripts/build.mjs serve    what the server needs to answer
//   node scripts/build.mjs browse   what it shows to browsers
//   node scripts/build.mjs check    what the tests and the type checker need
//
// A step runs when an input was written since the last successful run, came or went, or its output is gone.
// `npm start` and `npm test` call this, so nobody has to know the order.
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const stamps = join(root, "node_modules/.cache/vramql-build");
const notCompiled = /^src\/playground\/|\.test\.ts$/;

/** Steps in order; those of one stage do not need one another. */
const stages = [
  [
    {
      name: "database client",
      goals: ["serve", "check"],
      inputs: ["prisma/schema.prisma", "prisma.config.ts", "package-lock.json"],
      output: "src/data/prisma/client.ts",
      run: () => runProgram("prisma", "generate"),
    },
    {
      name: "resolver types",
      goals: ["check"],
      inputs: ["schema.graphql", "codegen.ts", "package-lock.json"],
      output: "src/resolvers/types.generated.ts",
      run: () => runProgram("graphql-codegen", "--config", "codegen.ts"),
    },
  ],
  [
    {
      name: "server",
      goals: ["serve"],
      inputs: ["src", "package-lock.json", "scripts/build.mjs"],
      ignore: notCompiled,
      output: "dist/main.js",
      run: compileServer,
    },
    {
      name: "playground",
      goals: ["browse"],
      inputs: ["src/playground", "vite.config.ts", "package-lock.json"],
      output: "dist/playground/index.html",
      run: buildPlayground,
    },
  ],
];

/**
 * The server and the packages it needs in one file, which Node loads in half the time of a thousand. Types are checked
 * by `npm run types`.
 */
async function compileServer() {
  const { build, stop } = await import("esbuild");
  await build({
    absWorkingDir: root,
    entryPoints: ["src/main.ts"],
    outfile: "dist/main.js",
    bundle: true,
    format: "esm",
    platform: "node",
    target: "node20",
    // Packages that read files beside their own, and those that only imports of models need.
    external: [
      "@huggingface/*",
      "@electric-sql/*",
      "@prisma/schema-engine-wasm",
      "@prisma/client/runtime/query_compiler*",
      "pg-native",
    ],
    // Packages as ES modules where they come as such: what is not used of them is left out.
    mainFields: ["module", "main"],
    // Packages that are not ES modules ask for Node's own with this.
    banner: {
      js: `import { createRequire as requireFrom } from "node:module"; const require = requireFrom(import.meta.url);`,
    },
    // Half as much to read; names stay, and lines short, for stack traces.
    minifyWhitespace: true,
    minifySyntax: true,
    lineLimit: 120,
    logLevel: "warning",
  });
  await stop();
}

/** Put in place whole: a server that is running may look at any moment. */
async function buildPlayground() {
  const place = join(root, "dist/playground");
  const fresh = `${place}.new`;
  await runProgram("vite", "build", "--logLevel", "warn", "--outDir", fresh, "--emptyOutDir");
  rmSync(place, { recursive: true, force: true });
  renameSync(fresh, place);
}

function runProgram(command, ...args) {
  return new Promise((resolve, reject) => {
    const child = spawn(join(root, "node_modules/.bin", command), args, {
      cwd: root,
      stdio: ["ignore", "ignore", "pipe"],
      shell: process.platform === "win32",
    });
    let complaints = "";
    child.stderr.on("data", (text) => {
      complaints += text;
    });
    child.on("error", reject);
    child.on("exit", (status) =>
      status === 0 ? resolve() : reject(new Error(`${command} ${args.join(" ")} failed:\n${complaints}`)),
    );
  });
}

function listFiles(path) {
  const entries = statSync(join(root, path)).isDirectory()
    ? readdirSync(join(root, path), { withFileTypes: true })
    : null;
  if (entries === null) return [path];
  return entries
    .sort((left, right) => (left.name < right.name ? -1 : 1))
    .flatMap((entry) => (entry.isDirectory() ? listFiles(`${path}/${entry.name}`) : [`${path}/${entry.name}`]));
}

/** Changes whenever an input is written: sizes and times, which takes a tenth of reading them all. */
function fingerprint(step) {
  const hash = createHash("sha256").update(process.version);
  for (const path of step.inputs.flatMap(listFiles)) {
    if (step.ignore?.test(path)) continue;
    const { size, mtimeMs } = statSync(join(root, path));
    hash.update(`${path}\0${size}\0${mtimeMs}\0`);
  }
  return hash.digest("hex");
}

async function bringUpToDate(step) {
  const stamp = join(stamps, step.name.replaceAll(" ", "-"));
  const current = fingerprint(step);
  if (existsSync(join(root, step.output)) && existsSync(stamp) && readFileSync(stamp, "utf8") === current) return;
  rmSync(stamp, { force: true });
  const started = performance.now();
  await step.run();
  writeFileSync(stamp, current);
  console.log(`Built: ${step.name}, ${((performance.now() - started) / 1000).toFixed(1)} s`);
}

/** Builds what is out of date for a goal, or everything. */
export async function buildFor(goal) {
  mkdirSync(stamps, { recursive: true });
  for (const stage of stages) {
    await Promise.all(stage.filter((step) => !goal || step.goals.includes(goal)).map(bringUpToDate));
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  buildFor(process.argv[2]).catch((error) => {
    console.error(error.message);
    process.exitCode = 1;
  });
}
