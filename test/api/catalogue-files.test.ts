import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { loadCatalogue } from "../../src/data/load-catalogue.js";
import { exportDocument } from "../../src/services/catalogue-files/export-catalogue.js";
import { DATABASE_KINDS } from "../setup/databases.js";
import { type Editor, startEditors } from "./setup/start-editor.js";

const IMPORT = `mutation ($catalog: JSON!, $prune: Boolean! = false, $dryRun: Boolean! = false, $v: SafeInt, $comment: String) {
  result: importCatalog(catalog: $catalog, prune: $prune, dryRun: $dryRun, expectedCatalogVersion: $v, comment: $comment) {
    counts { added changed archived restored unchanged notInFile }
    diffs { entity slug operation fields { field before after } change { id comment actor { name } requestId } }
    userErrors { code field message }
    catalogVersion
  }
}`;
const NOTHING = { added: 0, changed: 0, archived: 0, restored: 0, unchanged: 0, notInFile: 0 };

type Row = Record<string, unknown>;
type Document = Record<string, Row[]>;

describe.each(DATABASE_KINDS)("importCatalog (%s)", (kind) => {
  let editor: Editor;
  let stop: () => Promise<void>;
  beforeAll(async () => {
    const started = await startEditors(kind);
    editor = started.editors[0];
    stop = started.stop;
  });
  afterAll(() => stop());

  async function exported(): Promise<Document> {
    const { data } = await editor.query("{ catalogExport }");
    return data.catalogExport;
  }
  async function run(catalog: unknown, variables: Row = {}, headers: Record<string, string> = {}) {
    const { data, errors } = await editor.edit(IMPORT, { catalog, ...variables }, headers);
    expect(errors).toBeUndefined();
    return data.result;
  }
  const gpu = (document: Document, slug = "card-24gb"): Row => {
    const row = document.gpus?.find((candidate) => candidate.slug === slug);
    if (row === undefined) throw new Error(`no ${slug}`);
    return row;
  };

  it("changes nothing, and no version, when the document is the export", async () => {
    const before = await editor.database.prisma.catalogVersion.findFirstOrThrow();
    const result = await run(await exported());
    expect(result).toMatchObject({ counts: { ...NOTHING, unchanged: 9 }, diffs: [], userErrors: [] });
    expect(await editor.database.prisma.catalogVersion.findFirstOrThrow()).toEqual(before);
    expect(await editor.database.prisma.catalogChange.count()).toBe(0);
  });

  it("adds, changes, archives and restores by slugs, each with its entry, in one version", async () => {
    const document = await exported();
    const version = editor.source.current().version;
    gpu(document).notes = "Now with a note.";
    document.gpus?.push({ ...gpu(document), slug: "card-48gb", name: "Card 48GB", memoryNominalGib: 48 });
    document.systems?.push({ ...document.systems[0], slug: "box-48", gpu: "card-48gb" });
    Object.assign(document.measurements?.[0] ?? {}, { archivedAt: "2026-03-01T12:00:00.000Z" });
    const rehearsal = await run(document, { dryRun: true });
    expect(rehearsal.counts).toEqual({ ...NOTHING, added: 2, changed: 1, archived: 1, unchanged: 7 });
    expect(editor.source.current().version).toBe(version);

    const result = await run(document, { comment: "from a fork" }, { "x-request-id": "import-1" });
    expect(result.userErrors).toEqual([]);
    expect(result.counts).toEqual(rehearsal.counts);
    expect(result.catalogVersion).toBe(version + 1);
    expect(result.diffs.map(({ entity, slug, operation }: Row) => [entity, slug, operation])).toEqual([
      ["GPU", "card-24gb", "UPDATE"],
      ["GPU", "card-48gb", "CREATE"],
      ["SYSTEM", "box-48", "CREATE"],
      ["MEASUREMENT", "m-1", "ARCHIVE"],
    ]);
    expect(result.diffs[0].fields).toEqual([{ field: "notes", before: null, after: "Now with a note." }]);
    for (const { change } of result.diffs) {
      expect(change).toMatchObject({
        comment: "from a fork",
        actor: { name: "server administrator" },
        requestId: "import-1",
      });
    }
    const { gpus, systems, measurements } = editor.source.current();
    expect(systems.bySlug.get("box-48")?.gpuId).toBe(gpus.bySlug.get("card-48gb")?.id);
    expect(measurements.bySlug.get("m-1")?.archivedAt?.toISOString()).toBe("2026-03-01T12:00:00.000Z");
    expect(await exported()).toEqual(sorted(document));
    expect(await loadCatalogue(editor.database)).toEqual(editor.source.current());

    // One change that has both fields and the mark, and is taken back as a whole.
    const again = await exported();
    gpu(again, "card-48gb").notes = "gone";
    gpu(again, "card-48gb").archivedAt = "2026-04-01T00:00:00.000Z";
    delete again.measurements?.[0]?.archivedAt;
    const both = await run(again);
    expect(both.counts).toMatchObject({ changed: 1, restored: 1 });
    const id = both.diffs[0].change.id;
    const revert = await editor.edit(
      `mutation ($id: ID!) { result: revertCatalogChange(id: $id) { userErrors { message } node { ... on Gpu { notes archivedAt } } } }`,
      { id },
    );
    expect(revert.data.result).toEqual({ userErrors: [], node: { notes: "Now with a note.", archivedAt: null } });
  });

  it("keeps rows that are not in the file, or archives them when asked, and leaves other sections alone", async () => {
    const { gpus = [] } = await exported();
    const only = { gpus: gpus.filter(({ slug }) => slug !== "card-48gb") };
    expect((await run(only)).counts).toEqual({ ...NOTHING, unchanged: 1, notInFile: 1 });
    expect((await run({})).counts).toEqual(NOTHING);
    const pruned = await run(only, { prune: true, dryRun: true });
    expect(pruned.counts).toEqual({ ...NOTHING, archived: 1, unchanged: 1 });
    expect(pruned.diffs).toMatchObject([{ slug: "card-48gb", operation: "ARCHIVE" }]);
  });

  it("is refused when somebody has edited since", async () => {
    const document = await exported();
    const v = editor.source.current().version;
    gpu(document).notes = `note ${v}`;
    expect(await run(document, { v })).toMatchObject({ userErrors: [], catalogVersion: v + 1 });
    gpu(document).notes = "another";
    expect((await run(document, { v })).userErrors).toMatchObject([
      { code: "STALE", field: ["expectedCatalogVersion"] },
    ]);
  });

  it("saves the whole of each of two imports at once", async () => {
    const document = await exported();
    const imports = ["one", "two"].map((name) => {
      const { gpus = [], systems = [] } = structuredClone(document);
      const mine = { ...gpus[0], slug: `card-${name}`, notes: name };
      return {
        gpus: [...gpus.map((row) => ({ ...row, notes: name })), mine],
        systems: systems.map((row) => ({ ...row, notes: name })),
      };
    });
    const [one, two] = await Promise.all(imports.map((each) => run(each)));
    expect([one.userErrors, two.userErrors]).toEqual([[], []]);
    expect(Math.abs(one.catalogVersion - two.catalogVersion)).toBe(1);
    const after = await exported();
    const last = one.catalogVersion > two.catalogVersion ? "one" : "two";
    const notes = [...(after.gpus ?? []), ...(after.systems ?? [])].map(({ slug, notes: text }) => [slug, text]);
    for (const [slug, text] of notes)
      if (slug !== "card-one" && slug !== "card-two") expect([slug, text]).toEqual([slug, last]);
    expect(gpu(after, "card-one").notes).toBe("one");
    expect(gpu(after, "card-two").notes).toBe("two");
  });

  it.each<[string, (document: Document) => unknown, object]>([
    [
      "no object",
      () => [1],
      { field: ["catalog"], message: expect.stringContaining("must be an object with a section") },
    ],
    [
      "an unknown section",
      (d) => ({ ...d, gpu: [] }),
      { field: ["catalog", "gpu"], message: expect.stringContaining("is not a section") },
    ],
    [
      "a name of prototypes",
      () => JSON.parse('{"constructor": [], "gpus": []}'),
      { field: ["catalog", "constructor"] },
    ],
    ["a prototype", () => JSON.parse('{"__proto__": {"gpus": []}}'), { field: ["catalog", "__proto__"] }],
    ["a later form", (d) => ({ ...d, formatVersion: 2 }), { field: ["catalog", "formatVersion"] }],
    ["a section that is no list", () => ({ gpus: {} }), { field: ["catalog", "gpus"] }],
    ["a row that is none", () => ({ gpus: ["card"] }), { field: ["catalog", "gpus", "0"] }],
    [
      "an unknown field",
      (d) => ({ gpus: [{ ...d.gpus?.[0], colour: "red" }] }),
      { field: ["catalog", "gpus", "0", "colour"] },
    ],
    [
      "a wrong value",
      (d) => ({ gpus: [{ ...d.gpus?.[0], tdpWatts: -1 }] }),
      { field: ["catalog", "gpus", "0", "tdpWatts"], message: "tdpWatts must be at least 1; it is -1." },
    ],
    ["NUL", (d) => ({ gpus: [{ ...d.gpus?.[0], notes: "a\0b" }] }), { field: ["catalog", "gpus", "0", "notes"] }],
    [
      "a slug twice",
      (d) => ({ gpus: [d.gpus?.[0], d.gpus?.[0]] }),
      { field: ["catalog", "gpus", "1", "slug"], message: "slug is the slug of row 1 too." },
    ],
    [
      "a reference to nothing",
      (d) => ({ systems: [{ ...d.systems?.[0], gpu: "card-2" }] }),
      { code: "NOT_FOUND", field: ["catalog", "systems", "0", "gpu"] },
    ],
    [
      "a scenario that cannot be rendered",
      (d) => ({ scenarios: [{ ...d.scenarios?.[0], answer: "{{ nothing }}" }] }),
      { field: ["catalog", "scenarios", "0", "answer"] },
    ],
    [
      "a mark that is no moment",
      (d) => ({ gpus: [{ ...d.gpus?.[0], archivedAt: "yesterday" }] }),
      { field: ["catalog", "gpus", "0", "archivedAt"] },
    ],
    [
      "too many rows",
      () => ({ gpus: Array.from({ length: 200_000 }, () => ({})) }),
      { code: "TOO_MANY", field: ["catalog"] },
    ],
  ])("refuses %s and saves nothing", async (_, change, error) => {
    const version = editor.source.current().version;
    const { userErrors, counts } = await run(change(await exported()));
    expect(userErrors[0]).toMatchObject({ code: "INVALID", ...error });
    expect(counts).toEqual(NOTHING);
    expect(editor.source.current().version).toBe(version);
  });

  it("tells a hundred things that are wrong, and that there are more", async () => {
    const { userErrors } = await run({ gpus: Array.from({ length: 3_000 }, (_, index) => ({ slug: `c-${index}` })) });
    expect(userErrors).toHaveLength(101);
    expect(userErrors[100].message).toBe("There is more wrong than these 100 things.");
  });

  it("saves nothing of an import that the database refuses in the end", async () => {
    const before = await loadCatalogue(editor.database);
    const document = await exported();
    gpu(document).notes = "never";
    Object.assign(document.measurements?.[0] ?? {}, { notes: "refused" });
    const { prisma } = editor.database;
    await prisma.$executeRaw`ALTER TABLE "Measurement" ADD CONSTRAINT "never" CHECK ("notes" IS NULL)`;
    const { errors } = await editor.edit(IMPORT, { catalog: document });
    await prisma.$executeRaw`ALTER TABLE "Measurement" DROP CONSTRAINT "never"`;
    expect(errors?.[0]?.extensions.code).toBe("INTERNAL_SERVER_ERROR");
    expect(await loadCatalogue(editor.database)).toEqual(before);
    expect((await run(document)).counts).toMatchObject({ changed: 2 });
  });

  it("is for administrators", async () => {
    const { errors } = await editor.query(IMPORT, { catalog: {} });
    expect(errors?.[0]?.extensions.code).toBe("UNAUTHENTICATED");
  });

  it("is read as a file, compressed where that is asked for, and not again while it is the same", async () => {
    const url = `${editor.url}/catalog.json`;
    const response = await fetch(url);
    expect(await response.text()).toBe(await exportDocument(editor.source.current()));
    expect(response.headers.get("content-encoding")).toBe("gzip");
    expect(response.headers.get("x-catalog-version")).toBe(String(editor.source.current().version));
    const etag = response.headers.get("etag") ?? "";
    expect((await fetch(url, { headers: { "if-none-match": etag } })).status).toBe(304);
    expect((await fetch(url, { method: "POST" })).status).toBe(405);
    expect((await fetch(url, { headers: { "x-min-catalog-version": "x" } })).status).toBe(400);
    const { data } = await editor.query("{ catalogExport(entities: [GPU]) }");
    expect(data.catalogExport).toEqual({ formatVersion: 1, gpus: (await exported()).gpus });
  });
});

/** Rows by slug, as exports have them. */
function sorted({ formatVersion, ...sections }: Document): unknown {
  const order = (rows: Row[]) => [...rows].sort((left, right) => (String(left.slug) < String(right.slug) ? -1 : 1));
  return {
    formatVersion,
    ...Object.fromEntries(Object.entries(sections).map(([name, rows]) => [name, order(rows)])),
  };
}
