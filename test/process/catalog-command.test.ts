import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openDatabase } from "../../src/data/database.js";
import { SECTION_FILES } from "../../src/services/catalogue-files/section-files.js";
import { ADMIN_TOKEN, type Editor, startEditors } from "../api/setup/start-editor.js";
import { createSmallSeed, writeSeed } from "../fixtures/small-seed.js";
import { createTestTarget } from "../setup/databases.js";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
/** Several processes, each of which compiles its sources. */
const TEST_MS = 300_000;

interface Ended {
  code: number | null;
  output: string;
  errors: string;
}

/** Runs the command with these settings and nothing of this process's own. */
function run(settings: Record<string, string>, ...args: string[]): Promise<Ended> {
  const { PATH = "", HOME = "" } = process.env;
  const child = spawn(process.execPath, ["--import", "tsx", "scripts/catalog.ts", ...args], {
    cwd: ROOT,
    env: { PATH, HOME, ...settings },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const ended: Ended = { code: null, output: "", errors: "" };
  child.stdout.on("data", (chunk: Buffer) => {
    ended.output += chunk.toString();
  });
  child.stderr.on("data", (chunk: Buffer) => {
    ended.errors += chunk.toString();
  });
  return new Promise((resolve) => child.on("close", (code) => resolve({ ...ended, code })));
}

describe("npm run catalog", () => {
  const folder = mkdtempSync(join(tmpdir(), "vramql-catalog-"));
  const from = (name: string) => join(folder, name);
  let editor: Editor;
  let stop: () => Promise<void>;
  beforeAll(async () => {
    const started = await startEditors("embedded");
    editor = started.editors[0];
    stop = started.stop;
    await writeSeed(from("small"), createSmallSeed());
  });
  afterAll(async () => {
    await stop();
    rmSync(folder, { recursive: true, force: true });
  });

  it(
    "exports, shows differences and imports through a server that runs",
    async () => {
      const remote = ["--url", `${editor.url}/graphql`];
      const file = from("backup.json");
      expect(await run({}, "export", file, ...remote)).toMatchObject({ code: 0, output: `written: ${file}\n` });
      expect(await run({}, "diff", file, ...remote, "--token", ADMIN_TOKEN)).toMatchObject({ code: 0 });

      writeFileSync(file, readFileSync(file, "utf8").replace('"notes": null', '"notes": "from a file"'));
      const diff = await run({ ADMIN_TOKEN }, "diff", file, ...remote);
      expect(diff.code).toBe(1);
      expect(diff.output).toContain('~ GPU card-24gb\n    notes: null -> "from a file"\n');
      expect(editor.source.current().gpus.bySlug.get("card-24gb")?.notes).toBeNull();
      expect(await run({}, "import", file, ...remote)).toMatchObject({
        code: 2,
        errors: expect.stringContaining("role ADMIN"),
      });
      expect(await run({ ADMIN_TOKEN }, "import", file, ...remote)).toMatchObject({ code: 0 });
      expect(editor.source.current().gpus.bySlug.get("card-24gb")?.notes).toBe("from a file");
    },
    TEST_MS,
  );

  it(
    "does the same on a database, from and to a folder",
    async () => {
      const target = await createTestTarget("postgres");
      if (target.kind !== "postgres") throw new Error("a PostgreSQL was asked for");
      const settings = { DATABASE_URL: target.url };
      expect(await run(settings, "export", from("empty.json"))).toMatchObject({
        code: 2,
        errors: expect.stringContaining("The catalogue is empty."),
      });
      // The small seed's runtime has no constants to compute with, which edits may not leave so.
      const runtimes = createSmallSeed().runtimes.map((row) => ({ ...row, slug: "my-engine" }));
      writeFileSync(from("runtimes.json"), JSON.stringify({ runtimes }));
      expect(await run(settings, "import", from("runtimes.json"), "--json")).toMatchObject({
        code: 0,
        output: expect.stringContaining('"added": 1'),
      });
      expect(await run(settings, "export", from("copy"))).toMatchObject({ code: 0 });
      expect(readdirSync(from("copy")).sort()).toEqual(Object.values(SECTION_FILES).sort());
      writeFileSync(from("copy/gpus.json"), '[{"slug": "card"');
      expect(await run(settings, "import", from("copy"))).toMatchObject({
        code: 2,
        errors: expect.stringContaining("gpus.json: is not JSON"),
      });
    },
    TEST_MS,
  );

  it(
    "says how to ask the server that has the embedded database open",
    async () => {
      const held = from("data");
      const database = await openDatabase({ kind: "embedded", folder: held });
      try {
        expect(await run({ DATA_DIR: held }, "diff", from("small"))).toMatchObject({
          code: 2,
          errors: expect.stringContaining("--url http://localhost:4000"),
        });
      } finally {
        await database.close();
      }
    },
    TEST_MS,
  );

  it(
    "refuses what it does not know",
    async () => {
      expect(await run({}, "exprot", "x")).toMatchObject({ code: 2, errors: expect.stringContaining("Usage:") });
    },
    TEST_MS,
  );
});
