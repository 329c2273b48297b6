import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { Agent, request as sendRequest } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { buildASTSchema } from "graphql";
import { afterAll, beforeAll, expect, it } from "vitest";
import { readSchema } from "../../src/server.js";
import { encodeChangeId, encodeGlobalId } from "../../src/services/catalogue/global-ids.js";
import { SECTION_FILES } from "../../src/services/catalogue-files/section-files.js";
import { loadSeed } from "../../src/services/seeding/load-seed.js";
import { SEED_FOLDER } from "../../src/services/seeding/read-seed.js";
import { ADMIN_TOKEN, type Editor, serve } from "../api/setup/start-editor.js";
import { type SeedRows, writeSeed } from "../fixtures/small-seed.js";
import { openTestDatabase, type TestDatabase } from "../setup/databases.js";
import { drawDocument } from "./fuzz/documents.js";
import { type DrawnRequest, damage, drawHostileDocument, drawHostileRequest } from "./fuzz/hostile.js";
import { createRandom } from "./fuzz/random.js";
import type { Pools } from "./fuzz/values.js";

/** Requests; each is drawn from FUZZ_SEED plus its number, so that `FUZZ_SEED=<its seed> FUZZ_OPERATIONS=1` repeats it. */
const OPERATIONS = Number(process.env.FUZZ_OPERATIONS ?? 10_000);
const SEED = Number(process.env.FUZZ_SEED ?? 1);
/** Sent at once; heavy ones wait for each other, and sixteen of one client may. */
const AT_ONCE = 8;
/** The server's own limit is half a minute: who has heard nothing by then never will. */
const HANG_MS = 60_000;
const SUITE_MS = 15 * 60_000;
/**
 * What the server keeps by its own bounds, both of which such requests fill: 32 MiB of persisted queries and 64 MiB of
 * answers; what the last catalogue versions keep, and what was edited, is as much again as the answers.
 */
const MAX_GROWTH_BYTES = (32 + 64 + 64) * 2 ** 20;
/** The first requests fill caches and have code compiled. */
const WARM_UP_SHARE = 0.2;
const OPERATIONS_TO_SEE_GROWTH = 5_000;

/** Models of every kind of layer. */
const MODELS = [
  "llama-3.2-11b-vision-instruct",
  "deepseek-r1",
  "jamba-v0.1",
  "gemma-3-270m",
  "qwen3-235b-a22b",
  "mamba-1.4b-hf",
  "gpt-oss-120b",
];
const GPUS = 12;
const ROWS = 8;
const CONFIGS = 12;

const schema = buildASTSchema(readSchema());
const agent = new Agent({ keepAlive: true, maxSockets: AT_ONCE });
let test: TestDatabase;
let editor: Editor;
let pools: Pools;

/** A part of the catalogue: small, so that ten thousand searches of it take a minute. */
async function readRows(): Promise<SeedRows> {
  const rows = {} as SeedRows;
  for (const [entity, file] of Object.entries(SECTION_FILES)) {
    rows[entity as keyof SeedRows] = JSON.parse(await readFile(join(SEED_FOLDER, file), "utf8"));
  }
  const slugs = (of: Record<string, unknown>[]) => new Set(of.map(({ slug }) => slug));
  const isIn = (set: Set<unknown>, value: unknown) => value === null || value === undefined || set.has(value);
  rows.models = rows.models.filter(({ slug }) => MODELS.includes(String(slug)));
  rows.gpus = rows.gpus.filter((_, index) => index % Math.floor(rows.gpus.length / GPUS) === 0);
  const [models, gpus] = [slugs(rows.models), slugs(rows.gpus)];
  rows.systems = rows.systems.filter(({ gpu }) => gpus.has(gpu)).slice(0, ROWS);
  rows.modelFiles = rows.modelFiles.filter(({ model }) => models.has(model)).slice(0, ROWS);
  // Their texts speak of other rows, too.
  const text = { answer: "{{ estimate.total | gib }}", explanation: "So it is.", verdict: "Fine.", faq: [] };
  rows.scenarios = rows.scenarios
    .filter(({ model }) => models.has(model))
    .slice(0, ROWS)
    .map((row) => ({ ...row, ...text, settings: {} }));
  rows.measurements = rows.measurements
    .filter(({ model, gpu }) => isIn(models, model) && isIn(gpus, gpu))
    .slice(0, ROWS * ROWS);
  return rows;
}

async function readPools(rows: SeedRows): Promise<Pools> {
  const slugs: Record<string, string[]> = {};
  const ids: Record<string, string[]> = {};
  for (const [entity, of] of Object.entries(rows)) {
    const singular = entity.slice(0, -1);
    slugs[singular] = of.map(({ slug }) => String(slug));
    const type = (singular[0]?.toUpperCase() + singular.slice(1)) as Parameters<typeof encodeGlobalId>[0];
    ids[singular] = editor.source.current()[entity as keyof SeedRows].rows.map(({ id }) => encodeGlobalId(type, id));
  }
  const aliases = { quant: "quantFormat", cacheType: "kvCacheType", draft: "model", file: "modelFile" };
  for (const [alias, of] of Object.entries(aliases)) slugs[alias] = slugs[of] ?? [];
  ids.change = [1, 2, 3, 40].map(encodeChangeId);
  const folder = new URL("../fixtures/configs/", import.meta.url);
  const files = (await readdir(folder)).filter((file) => file.endsWith(".json")).slice(0, CONFIGS);
  const configs = await Promise.all(
    files.map(async (file) => JSON.parse(await readFile(new URL(file, folder), "utf8"))),
  );
  const small = Object.fromEntries(Object.entries(rows).map(([entity, of]) => [entity, of.slice(0, 1)]));
  const parts = [...rows.models.map((row) => row.architecture), ...rows.quantFormats.map((row) => row.scheme)];
  return {
    slugs,
    ids,
    json: [{}, { formatVersion: 1, ...small }, ...configs, ...parts, ...rows.runtimes.map((row) => row.constants)],
  };
}

const asked = new Set<string>();

function draw(seed: number): DrawnRequest {
  const random = createRandom(seed);
  const kind = random.below(20);
  if (kind < 3) return drawHostileRequest(random);
  const options = {
    random,
    pools,
    schema,
    oddness: random.pick([0, 0, 0.02, 0.2]),
    onRootField: (name: string) => asked.add(name),
  };
  const isEdit = kind >= 13;
  const sound = () => drawDocument(options, isEdit ? "mutation" : "query");
  const { query, variables } = kind < 5 ? drawHostileDocument(random) : kind < 7 ? damage(random, sound()) : sound();
  const headers: Record<string, string> = { "content-type": "application/json" };
  if (isEdit || random.chance(0.2)) headers.authorization = `Bearer ${ADMIN_TOKEN}`;
  return {
    method: "POST",
    path: "/graphql",
    headers,
    body: `{"query":${JSON.stringify(query)},"variables":${variables}}`,
  };
}

interface Reply {
  status: number;
  text: string;
}

function send({ method, path, headers, body }: DrawnRequest): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const length = body === undefined ? {} : { "content-length": String(Buffer.byteLength(body)) };
    const request = sendRequest(editor.url, { method, path, agent, headers: { ...headers, ...length } }, (response) => {
      const parts: Buffer[] = [];
      response.on("data", (part: Buffer) => parts.push(part));
      response.on("end", () => resolve({ status: response.statusCode ?? 0, text: Buffer.concat(parts).toString() }));
      response.on("error", reject);
    });
    request.setTimeout(HANG_MS, () => request.destroy(new Error("no answer")));
    request.on("error", reject);
    request.end(body);
  });
}

/** Statuses without a body, and redirections. */
const BODILESS = new Set([204, 302, 304, 431]);
const BUSY = new Set(["OVERLOADED", "TIMEOUT"]);

interface Verdict {
  /** What is wrong; null for nothing. */
  fault: string | null;
  codes: string[];
  hasData: boolean;
}

function judge({ method }: DrawnRequest, { status, text }: Reply): Verdict {
  if (status < 500 && (method === "HEAD" || BODILESS.has(status))) return { fault: null, codes: [], hasData: false };
  let answer: { data?: unknown; errors?: { extensions?: { code?: string } }[] };
  try {
    answer = JSON.parse(text);
  } catch {
    return { fault: `status ${status} and no JSON: ${text.slice(0, 200)}`, codes: [], hasData: false };
  }
  const codes = (answer.errors ?? []).map(({ extensions }) => extensions?.code ?? "none");
  const isBusy = status === 503 && codes.every((code) => BUSY.has(code));
  const isFault = (status >= 500 && !isBusy) || codes.includes("INTERNAL_SERVER_ERROR") || codes.includes("none");
  return { fault: isFault ? `status ${status}: ${text.slice(0, 1_000)}` : null, codes, hasData: answer.data != null };
}

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

function heapBytes(): number {
  test.statements.length = 0;
  collectGarbage();
  return process.memoryUsage().heapUsed;
}

beforeAll(async () => {
  test = await openTestDatabase("embedded");
  const folder = await mkdtemp(join(tmpdir(), "vramql-fuzz-"));
  const rows = await readRows();
  try {
    await writeSeed(folder, rows);
    await loadSeed(test.database, { folder });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  editor = await serve(test.database);
  pools = await readPools(rows);
});
afterAll(async () => {
  agent.destroy();
  await editor?.stop();
  await test?.database.close();
});

it(
  `${OPERATIONS} requests drawn from the schema get answers, and the server stays as it was`,
  async () => {
    const faults: string[] = [];
    const codes = new Map<string, number>();
    let withData = 0;
    let before = 0;
    const ask = async (seed: number) => {
      const request = draw(seed);
      const shown = () =>
        `seed ${seed}: ${request.method} ${request.path} ${JSON.stringify(request.headers)}\n${String(request.body).slice(0, 3_000)}`;
      try {
        const verdict = judge(request, await send(request));
        for (const code of verdict.codes) codes.set(code, (codes.get(code) ?? 0) + 1);
        if (verdict.hasData) withData++;
        if (verdict.fault !== null) faults.push(`${verdict.fault}\n${shown()}`);
      } catch (error) {
        faults.push(`${error}\n${shown()}`);
      }
    };
    for (let done = 0; done < OPERATIONS; done += AT_ONCE) {
      const seeds = Array.from({ length: Math.min(AT_ONCE, OPERATIONS - done) }, (_, index) => SEED + done + index);
      await Promise.all(seeds.map(ask));
      const { status, data } = await editor.query("{ __typename catalogVersion viewer { role } }");
      if (status !== 200 || data?.viewer.role !== "VIEWER")
        faults.push(`known query, behind seeds ${seeds}: ${status}`);
      if (before === 0 && done >= OPERATIONS * WARM_UP_SHARE) before = heapBytes();
    }
    const growth = heapBytes() - before;
    console.log(
      `${OPERATIONS} requests, ${withData} with data, heap ${(growth / 2 ** 20).toFixed(1)} MiB larger,`,
      Object.fromEntries(codes),
    );
    const logged = editor.logged.map(({ message, error }) => `${message}\n${(error as Error | undefined)?.stack}`);
    expect(`${faults.slice(0, 10).join("\n\n")}${logged.slice(0, 10).join("\n\n")}`).toBe("");
    expect(codes.get("OVERLOADED") ?? 0).toBe(0);
    expect(codes.get("TIMEOUT") ?? 0).toBe(0);
    if (OPERATIONS < OPERATIONS_TO_SEE_GROWTH) return;
    expect(growth).toBeLessThan(MAX_GROWTH_BYTES);
    // Else most requests would have been refused before any code of ours ran.
    expect(withData).toBeGreaterThan(OPERATIONS / 4);
    const roots = [schema.getQueryType(), schema.getMutationType()].flatMap((type) =>
      Object.keys(type?.getFields() ?? {}),
    );
    expect(roots.filter((name) => !asked.has(name))).toEqual([]);
  },
  SUITE_MS,
);
