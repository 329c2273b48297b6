import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { DATABASE_KINDS } from "../setup/databases.js";
import { type Editor, startEditors } from "./setup/start-editor.js";

const sources = [{ title: "made up" }];

const card = (slug: string) => ({
  slug,
  name: "Card 48GB",
  vendor: "NVIDIA",
  architecture: "Ada",
  class: "WORKSTATION",
  form: "PCIE",
  memoryGib: 48,
  memoryType: "GDDR6",
  supportsBf16: true,
  supportsFp8: true,
  supportsFp4: false,
  sources,
});

/** What every payload is asked for besides its row. */
const REST = `
  diffs { entity rowId slug operation fields { field before after } change { id operation actor { name role } comment requestId } }
  userErrors { message field code }
  catalogVersion`;

const CREATE = `mutation ($input: CreateGpuInput!, $dryRun: Boolean! = false, $comment: String) {
  result: createGpu(input: $input, dryRun: $dryRun, comment: $comment) {
    gpu { id slug name memory { gib } usdPerHour version createdAt archivedAt sources { title url } }
    ${REST}
  }
}`;
const UPDATE = `mutation ($id: ID!, $input: UpdateGpuInput!, $expectedVersion: Int!, $dryRun: Boolean! = false) {
  result: updateGpu(id: $id, input: $input, expectedVersion: $expectedVersion, dryRun: $dryRun) {
    gpu { id slug name usdPerHour tdpWatts version systems { nodes { slug } } }
    ${REST}
  }
}`;
const FIND = `query ($slug: String!) { gpu(slug: $slug) { id version name usdPerHour archivedAt } catalogVersion }`;

/** A mutation of one row by id and version that takes nothing else. */
function byVersion(name: string): string {
  return `mutation ($id: ID!, $expectedVersion: Int!) {
    result: ${name}(id: $id, expectedVersion: $expectedVersion) { gpu { slug version archivedAt } ${REST} }
  }`;
}

describe.each(DATABASE_KINDS)("editing a GPU (%s)", (kind) => {
  let editor: Editor;
  let stop: () => Promise<void>;
  beforeAll(async () => {
    const started = await startEditors(kind);
    editor = started.editors[0];
    stop = started.stop;
  });
  afterAll(() => stop());

  // biome-ignore lint/suspicious/noExplicitAny: whatever was asked for
  async function result(query: string, variables: Record<string, unknown>): Promise<any> {
    const { data, errors } = await editor.edit(query, variables);
    expect(errors).toBeUndefined();
    return data.result;
  }
  const create = (slug: string, more: object = {}) => result(CREATE, { input: { ...card(slug), ...more } });

  it("is created, found at once, and its history says who", async () => {
    const before = editor.source.current().version;
    const made = await result(CREATE, { input: card("card-48gb"), comment: "new this week" });
    expect(made.userErrors).toEqual([]);
    expect(made.gpu).toMatchObject({ slug: "card-48gb", memory: { gib: 48 }, version: 1, archivedAt: null });
    expect(made.catalogVersion).toBe(before + 1);
    expect(made.diffs).toMatchObject([{ entity: "GPU", operation: "CREATE", slug: "card-48gb", rowId: made.gpu.id }]);
    expect(made.diffs[0].change).toMatchObject({
      actor: { name: "server administrator", role: "ADMIN" },
      comment: "new this week",
      requestId: expect.any(String),
    });
    const { data, headers } = await editor.query(FIND, { slug: "card-48gb" });
    expect(data).toMatchObject({ gpu: { id: made.gpu.id, version: 1 }, catalogVersion: before + 1 });
    expect(headers.get("x-catalog-version")).toBe(String(before + 1));
  });

  it("keeps what an update leaves out and clears what it sets to null", async () => {
    const { gpu } = await create("card-update", { usdPerHour: 1.5, tdpWatts: 300 });
    const updated = await result(UPDATE, {
      id: gpu.id,
      input: { usdPerHour: null, name: "Renamed" },
      expectedVersion: 1,
    });
    expect(updated.gpu).toMatchObject({ name: "Renamed", usdPerHour: null, tdpWatts: 300, version: 2 });
    expect(updated.diffs[0].fields).toEqual([
      { field: "name", before: "Card 48GB", after: "Renamed" },
      { field: "usdPerHour", before: 1.5, after: null },
    ]);
  });

  it("gets neither a version nor an entry when nothing changes", async () => {
    const { gpu, catalogVersion } = await create("card-same");
    const same = await result(UPDATE, {
      id: gpu.id,
      input: { memoryGib: undefined, vendor: "NVIDIA" },
      expectedVersion: 1,
    });
    expect(same).toMatchObject({ gpu: { version: 1 }, diffs: [], userErrors: [], catalogVersion });
  });

  it("tells a stale version and shows the row as it is now", async () => {
    const { gpu } = await create("card-stale");
    await result(UPDATE, { id: gpu.id, input: { name: "Second" }, expectedVersion: 1 });
    const stale = await result(UPDATE, { id: gpu.id, input: { name: "Third" }, expectedVersion: 1 });
    expect(stale.userErrors).toMatchObject([{ code: "STALE", field: ["expectedVersion"] }]);
    expect(stale.gpu).toMatchObject({ name: "Second", version: 2 });
    expect(stale.diffs).toEqual([]);
  });

  it("tells everything that is wrong at once, by the API's names, and saves nothing", async () => {
    const before = editor.source.current().version;
    const wrong = await result(CREATE, {
      input: {
        ...card("Not A Slug"),
        name: "two\nlines",
        memoryGib: -1,
        usableMemoryMib: 1e9,
        usdPerHour: -2,
        sources: [{ title: "" }, { title: "x", url: "ftp://x" }],
      },
    });
    expect(wrong.gpu).toBeNull();
    const fields = wrong.userErrors.map(({ field }: { field: string[] }) => field.join("."));
    expect(fields).toEqual(
      expect.arrayContaining([
        "input.slug",
        "input.name",
        "input.memoryGib",
        "input.usdPerHour",
        "input.sources.0.title",
        "input.sources.1.url",
      ]),
    );
    expect(new Set(wrong.userErrors.map(({ code }: { code: string }) => code))).toEqual(new Set(["INVALID"]));
    expect(editor.source.current().version).toBe(before);
  });

  it("refuses a slug that another row has, archived or not", async () => {
    const taken = await create("card-24gb");
    expect(taken.userErrors).toMatchObject([{ code: "TAKEN", field: ["input", "slug"] }]);
  });

  it("says that there is no such row", async () => {
    const missing = await result(UPDATE, { id: "bm9wZQ", input: { name: "x" }, expectedVersion: 1 });
    expect(missing).toMatchObject({ gpu: null, userErrors: [{ code: "NOT_FOUND", field: ["id"] }] });
    const system = await editor.query(`{ system(slug: "box-2") { id } }`);
    const other = await result(UPDATE, { id: system.data.system.id, input: { name: "x" }, expectedVersion: 1 });
    expect(other.userErrors).toMatchObject([{ code: "NOT_FOUND", field: ["id"] }]);
  });

  it("is archived and restored, each once", async () => {
    const { gpu } = await create("card-archive");
    const archived = await result(byVersion("archiveGpu"), { id: gpu.id, expectedVersion: 1 });
    expect(archived.gpu).toMatchObject({ version: 2, archivedAt: expect.any(String) });
    const lists = await editor.query(`{ gpus(filter: { search: "card-archive" }) { totalCount } }`);
    expect(lists.data.gpus.totalCount).toBe(0);
    const again = await result(byVersion("archiveGpu"), { id: gpu.id, expectedVersion: 2 });
    expect(again).toMatchObject({ gpu: { version: 2 }, diffs: [], userErrors: [] });
    const restored = await result(byVersion("restoreGpu"), { id: gpu.id, expectedVersion: 2 });
    expect(restored.gpu).toMatchObject({ version: 3, archivedAt: null });
    expect(restored.diffs).toMatchObject([{ operation: "RESTORE", fields: [{ field: "archivedAt", after: null }] }]);
  });

  it("is deleted only when nothing refers to it", async () => {
    const remove = `mutation ($id: ID!, $expectedVersion: Int!) {
      result: deleteGpu(id: $id, expectedVersion: $expectedVersion) { deletedId ${REST} }
    }`;
    const used = (await editor.query(FIND, { slug: "card-24gb" })).data.gpu;
    const refused = await result(remove, { id: used.id, expectedVersion: used.version });
    expect(refused).toMatchObject({ deletedId: null, userErrors: [{ code: "IN_USE", field: ["id"] }] });
    expect(refused.userErrors[0].message).toMatch(/box-2/);
    const { gpu } = await create("card-delete");
    const deleted = await result(remove, { id: gpu.id, expectedVersion: 1 });
    expect(deleted).toMatchObject({ deletedId: gpu.id, userErrors: [], diffs: [{ operation: "DELETE" }] });
    expect((await editor.query(FIND, { slug: "card-delete" })).data.gpu).toBeNull();
  });

  it("is rehearsed with the same checks and differences, and nothing written", async () => {
    const before = editor.source.current().version;
    const rehearsed = await result(CREATE, { input: card("card-rehearsal"), dryRun: true });
    expect(rehearsed).toMatchObject({ gpu: { slug: "card-rehearsal", memory: { gib: 48 } }, catalogVersion: before });
    expect(rehearsed.diffs).toMatchObject([{ operation: "CREATE", change: null }]);
    const refused = await result(CREATE, { input: { ...card("card-rehearsal"), memoryGib: 0 }, dryRun: true });
    expect(refused.userErrors).toMatchObject([{ code: "INVALID", field: ["input", "memoryGib"] }]);
    expect((await editor.query(FIND, { slug: "card-rehearsal" })).data.gpu).toBeNull();
    expect(await editor.database.prisma.catalogChange.count({ where: { slug: "card-rehearsal" } })).toBe(0);
    expect(editor.source.current().version).toBe(before);
  });

  it("has the same state in memory as a fresh load from the database", async () => {
    const { loadCatalogue } = await import("../../src/data/load-catalogue.js");
    expect(editor.source.current()).toEqual(await loadCatalogue(editor.database));
  });
});
