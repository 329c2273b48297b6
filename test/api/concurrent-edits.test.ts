import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openDatabase } from "../../src/data/database.js";
import { loadCatalogue } from "../../src/data/load-catalogue.js";
import { migrate } from "../../src/data/migrate.js";
import { DATABASE_KINDS } from "../setup/databases.js";
import { startPostgresServer } from "../setup/postgres-server.js";
import { type Editor, serve, startEditors } from "./setup/start-editor.js";

const sources = [{ title: "made up" }];

const kvType = (slug: string, more: object = {}) => ({
  slug,
  name: slug,
  blockElements: 32,
  blockBytes: 18,
  bitsPerValue: 4.5,
  runtimes: [{ slug: "llama-cpp" }],
  summary: "Four bits.",
  sources,
  ...more,
});

const UPSERT = `mutation ($inputs: [UpsertKvCacheTypeInput!]!) {
  result: upsertKvCacheTypes(inputs: $inputs) { kvCacheTypes { slug version } userErrors { message field code } catalogVersion }
}`;
const UPDATE = `mutation ($id: ID!, $input: UpdateGpuInput!, $v: Int!) {
  result: updateGpu(id: $id, input: $input, expectedVersion: $v) { gpu { name version } userErrors { code } catalogVersion }
}`;
const GPU = `{ gpu(slug: "card-24gb") { id version name history { totalCount } } catalogVersion }`;

describe("two servers over one PostgreSQL", () => {
  let editors: [Editor, ...Editor[]];
  let other: Editor;
  let stop: () => Promise<void>;
  beforeAll(async () => {
    const started = await startEditors("postgres", 2);
    editors = started.editors;
    [, other = editors[0]] = editors;
    stop = started.stop;
  });
  afterAll(() => stop());

  it("let one of two editors of one row win, and show the other the row", async () => {
    const { gpu } = (await editors[0].query(GPU)).data;
    for (let round = 0; round < 10; round++) {
      const v = gpu.version + round;
      const answers = await Promise.all(
        [editors[0], other].map((editor, index) =>
          editor.edit(UPDATE, { id: gpu.id, v, input: { name: `Round ${round} of ${index}` } }),
        ),
      );
      const results = answers.map(({ data }) => data.result);
      const winners = results.filter(({ userErrors }) => userErrors.length === 0);
      const losers = results.filter(({ userErrors }) => userErrors[0]?.code === "STALE");
      expect([winners.length, losers.length]).toEqual([1, 1]);
      expect(losers[0].gpu).toEqual(winners[0].gpu);
      expect(winners[0].gpu.version).toBe(v + 1);
    }
    const { data } = await other.query(GPU);
    expect(data.gpu.history.totalCount).toBe(10);
  });

  it("show an edit of the other at once to whoever asks for its version", async () => {
    for (let round = 0; round < 5; round++) {
      const { gpu } = (await editors[0].query(GPU)).data;
      const { data } = await editors[0].edit(UPDATE, { id: gpu.id, v: gpu.version, input: { name: `Fresh ${round}` } });
      const headers = { "x-min-catalog-version": String(data.result.catalogVersion) };
      const seen = await other.query(GPU, {}, headers);
      expect(seen.data).toMatchObject({ gpu: { name: `Fresh ${round}` }, catalogVersion: data.result.catalogVersion });
    }
  });

  it("say so when a version does not come", async () => {
    const response = await fetch(`${other.url}/graphql?minCatalogVersion=999999&query={catalogVersion}`, {
      headers: { "apollo-require-preflight": "1" },
    });
    expect(response.status).toBe(503);
    expect(response.headers.get("retry-after")).toBe("1");
    const { errors } = (await response.json()) as { errors: { extensions: unknown }[] };
    expect(errors[0]?.extensions).toMatchObject({ code: "CATALOG_VERSION_NOT_REACHED", minCatalogVersion: 999_999 });
    const wrong = await other.query("{ catalogVersion }", {}, { "x-min-catalog-version": "soon" });
    expect(wrong.errors?.[0]?.extensions).toMatchObject({ code: "BAD_USER_INPUT", argument: ["minCatalogVersion"] });
  });

  it("notice a row that somebody changed in the database itself", async () => {
    const { gpu } = (await editors[0].query(GPU)).data;
    await other.database.prisma.$executeRaw`
      UPDATE "Gpu" SET "name" = 'by hand', "version" = "version" + 1 WHERE "slug" = 'card-24gb'`;
    const { data } = await editors[0].edit(UPDATE, { id: gpu.id, v: gpu.version, input: { notes: "x" } });
    expect(data.result).toMatchObject({
      gpu: { name: "by hand", version: gpu.version + 1 },
      userErrors: [{ code: "STALE" }],
    });
  });
});

describe.each(DATABASE_KINDS)("50 bulk edits at once (%s)", (kind) => {
  it("all take effect, one after the other", async () => {
    const { editors, stop } = await startEditors(kind, kind === "postgres" ? 2 : 1);
    try {
      const [first] = editors;
      const before = first.source.current().version;
      const answers = await Promise.all(
        Array.from({ length: 50 }, (_, bulk) => {
          const own = Array.from({ length: 20 }, (_, index) => kvType(`bulk-${bulk}-${index}`));
          const shared = kvType("shared", { summary: `of ${bulk}` });
          const editor = editors[bulk % editors.length] ?? first;
          return editor.edit(UPSERT, { inputs: [...own, shared] });
        }),
      );
      for (const { data, errors } of answers) {
        expect(errors).toBeUndefined();
        expect(data.result.userErrors).toEqual([]);
      }
      const versions = answers.map(({ data }) => data.result.catalogVersion as number).sort((a, b) => a - b);
      expect(versions).toEqual(Array.from({ length: 50 }, (_, index) => before + 1 + index));
      const stored = await loadCatalogue(first.database);
      expect(stored.kvCacheTypes.rows.length).toBe(1 + 50 * 20 + 1);
      expect(stored.kvCacheTypes.bySlug.get("shared")?.version).toBe(50);
      expect(await first.database.prisma.catalogChange.count()).toBe(50 * 21);
      for (const editor of editors) {
        expect(await editor.source.reach(before + 50, 10_000)).toBe(true);
        expect(editor.source.current()).toEqual(stored);
      }
    } finally {
      await stop();
    }
  }, 120_000);
});

describe("a PostgreSQL that goes away", () => {
  it("leaves reading as it is, fails writing clearly, and is found again", async () => {
    const server = await startPostgresServer();
    const database = await openDatabase({ kind: "postgres", url: server.url("postgres") });
    let editor: Editor | undefined;
    try {
      await migrate(database);
      editor = await serve(database);
      const engine = { slug: "engine", name: "Engine", engineVersion: "1", constants: {}, summary: "x", sources };
      const create = (slug: string) =>
        editor?.edit(
          `mutation ($input: CreateRuntimeInput!) { result: createRuntime(input: $input) { userErrors { code } } }`,
          { input: { ...engine, slug } },
        );
      expect((await create("engine-1"))?.data.result.userErrors).toEqual([]);
      await server.kill();
      const failed = await create("engine-2");
      expect(failed?.errors?.[0]?.extensions.code).toBe("UNAVAILABLE");
      expect(failed?.errors?.[0]?.message).toMatch(/nothing was saved/);
      expect((await editor.query(`{ runtime(slug: "engine-1") { slug } }`)).data.runtime.slug).toBe("engine-1");
      const history = await editor.query(`{ catalogChanges { totalCount } }`);
      expect(history.errors?.[0]?.extensions.code).toBe("UNAVAILABLE");
      await server.start();
      await expect
        .poll(async () => (await create("engine-3"))?.data?.result.userErrors, { timeout: 20_000, interval: 200 })
        .toEqual([]);
      const { data } = await editor.query(`{ runtimes { nodes { slug } } catalogChanges { totalCount } }`);
      expect(data.runtimes.nodes.map(({ slug }: { slug: string }) => slug)).toEqual(["engine-1", "engine-3"]);
      expect(data.catalogChanges.totalCount).toBe(2);
    } finally {
      await editor?.stop();
      await database.close().catch(() => {});
      await server.remove();
    }
  }, 90_000);
});
