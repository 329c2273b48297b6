// Builds what is out of date: generated code, the compiled server and the playground.
//
//   node scripts/build.mjs             everything
//   node scripts/build.mjs generate    only what the type checker and the tests need
//
// A step runs when the content of its inputs differs from the last successful run, or its output is gone;
// `npm ci`, `npm start` and `npm test` call this, so nobody has to know the order.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const stamps = join(root, "node_modules/.cache/vramql-build");

const steps = [
  {
    name: "prisma client",
    group: "generate",
    inputs: ["prisma/schema.prisma", "prisma.config.ts", "package-lock.json"],
    output: "src/data/prisma/client.ts",
    commands: [["prisma", "generate"]],
  },
  {
    name: "resolver types",
    group: "generate",
    inputs: ["schema.graphql", "codegen.ts", "package-lock.json"],
    output: "src/resolvers/types.generated.ts",
    commands: [["graphql-codegen", "--config", "codegen.ts"]],
  },
  {
    name: "server",
    group: "compile",
    inputs: [
      "src",
      "schema.graphql",
      "prisma/schema.prisma",
      "tsconfig.json",
      "tsconfig.build.json",
      "package-lock.json",
    ],
    ignore: /^src\/(playground|data\/prisma)\/|\.test\.ts$/,
    output: "dist/main.js",
    commands: [["tsc", "--project", "tsconfig.build.json"]],
  },
  {
    name: "playground",
    group: "compile",
    inputs: ["src/playground", "vite.config.ts", "package-lock.json"],
    output: "dist/playground/index.html",
    commands: [["vite", "build", "--logLevel", "warn"]],
  },
];

function listFiles(path) {
  const absolute = join(root, path);
  if (!existsSync(absolute)) return [];
  if (statSync(absolute).isFile()) return [path];
  return readdirSync(absolute)
    .sort()
    .flatMap((name) => listFiles(`${path}/${name}`));
}

function fingerprint(step) {
  const hash = createHash("sha256").update(process.version);
  for (const path of step.inputs.flatMap(listFiles)) {
    if (step.ignore?.test(path)) continue;
    hash
      .update(path)
      .update("\0")
      .update(readFileSync(join(root, path)));
  }
  return hash.digest("hex");
}

function run([command, ...args]) {
  const { status, error } = spawnSync(join(root, "node_modules/.bin", command), args, {
    cwd: root,
    stdio: ["ignore", "ignore", "inherit"],
    shell: process.platform === "win32",
  });
  if (error) throw error;
  if (status !== 0) {
    console.error(`build: ${command} ${args.join(" ")} failed; run it by itself to see its output`);
    process.exit(status ?? 1);
  }
}

const only = process.argv[2];
mkdirSync(stamps, { recursive: true });
for (const step of steps) {
  if (only && step.group !== only) continue;
  const stamp = join(stamps, step.name.replaceAll(" ", "-"));
  const current = fingerprint(step);
  const upToDate = existsSync(join(root, step.output)) && existsSync(stamp) && readFileSync(stamp, "utf8") === current;
  if (upToDate) continue;
  rmSync(stamp, { force: true });
  const started = performance.now();
  process.stdout.write(`build: ${step.name} ... `);
  for (const command of step.commands) run(command);
  writeFileSync(stamp, current);
  console.log(`${((performance.now() - started) / 1000).toFixed(1)} s`);
}
