import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/**
 * A script and all it needs as one file in dist/, as `scripts/build.mjs` does it with the server: processes that start
 * fifty times should start quickly. Returns the file.
 */
export async function compileScript(script: URL, name: string): Promise<string> {
  const file = join(ROOT, `dist/${name}.js`);
  await build({
    absWorkingDir: ROOT,
    entryPoints: [fileURLToPath(script)],
    outfile: file,
    bundle: true,
    format: "esm",
    platform: "node",
    target: "node20",
    // Packages that read files beside their own.
    external: ["@electric-sql/*", "@prisma/schema-engine-wasm", "@prisma/client/runtime/query_compiler*", "pg-native"],
    mainFields: ["module", "main"],
    // Packages that are not ES modules ask for Node's own with this.
    banner: {
      js: `import { createRequire as requireFrom } from "node:module"; const require = requireFrom(import.meta.url);`,
    },
    logLevel: "warning",
  });
  return file;
}
