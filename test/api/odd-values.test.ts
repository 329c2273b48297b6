import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { DATABASE_KINDS } from "../setup/databases.js";
import { type Editor, startEditors } from "./setup/start-editor.js";

const CREATE = `mutation ($input: CreateRuntimeInput!, $comment: String) {
  createRuntime(input: $input, comment: $comment) {
    runtime { slug name summary constants version }
    diffs { change { id comment } }
    userErrors { message field code }
  }
}`;

describe.each(DATABASE_KINDS)("odd values (%s)", (kind) => {
  let editor: Editor;
  let stop: () => Promise<void>;
  let count = 0;
  beforeAll(async () => {
    const started = await startEditors(kind);
    editor = started.editors[0];
    stop = started.stop;
  });
  afterAll(() => stop());

  async function create(values: Record<string, unknown>, comment?: string) {
    const input = {
      slug: `engine-${++count}`,
      name: "Engine",
      engineVersion: "1",
      constants: {},
      summary: "x",
      sources: [{ title: "made up" }],
      ...values,
    };
    const { data, errors } = await editor.edit(CREATE, { input, ...(comment === undefined ? {} : { comment }) });
    expect(errors).toBeUndefined();
    return data.createRuntime;
  }

  it.each([
    "🦙 Llama 👩‍👩‍👧",
    "נמל אמת ‏abc",
    'Robert\'); DROP TABLE "Runtime"; --',
    "{{ 7 | times: 6 }} {% include 'x' %}",
    "$1 $(id) `id` $7*6} \\' \\u0041",
    "<script>alert(1)</script>",
    "%s %n %00 ../../etc/passwd",
    "null",
    "constructor",
  ])("are kept to the letter: %s", async (text) => {
    const { runtime, userErrors, diffs } = await create(
      { name: text, summary: text, constants: { [text]: text, __proto__key: [text] } },
      text,
    );
    expect(userErrors).toEqual([]);
    expect(runtime).toMatchObject({ name: text, summary: text, constants: { [text]: text } });
    const { data } = await editor.query(
      `query ($slug: String!, $id: ID!) { runtime(slug: $slug) { name } node(id: $id) { ... on CatalogChange { comment after } } }`,
      { slug: runtime.slug, id: diffs[0].change.id },
    );
    expect(data).toMatchObject({ runtime: { name: text }, node: { comment: text, after: { name: text } } });
  });

  it("are found in the history by what they are, not as patterns", async () => {
    const find = async (search: string) => {
      const { data, errors } = await editor.query(
        `query ($search: String!) { catalogChanges(filter: { search: $search }) { totalCount } }`,
        { search },
      );
      expect(errors).toBeUndefined();
      return data.catalogChanges.totalCount;
    };
    expect(await find("🦙")).toBe(1);
    expect(await find("%s")).toBe(1);
    expect(await find("\\'")).toBe(1);
    expect(await find("a\0b")).toBe(0);
  });

  it.each([
    ["10,000 characters", { name: "x".repeat(10_000) }, "name"],
    ["NUL in a line", { name: "a\0b" }, "name"],
    ["NUL in a text", { summary: "a\0b" }, "summary"],
    ["NUL in JSON", { constants: { deep: ["a\0b"] } }, "constants.deep.0"],
    ["NUL in a key", { constants: { "a\0b": 1 } }, "constants"],
    ["a key that would get lost", { constants: JSON.parse('{"a": [{"__proto__": 1}]}') }, "constants.a.0"],
    ["nothing that can be seen", { name: "\u200b" }, "name"],
    ["half a surrogate pair", { summary: "a\ud83d" }, "summary"],
    ["only spaces", { name: "   " }, "name"],
    ["a number beyond the doubles", { constants: { a: [1e300 * 10, Number.NaN] } }, null],
  ])("are refused with the field: %s", async (_, values, field) => {
    const { runtime, userErrors } = await create(values);
    if (field === null) return expect(userErrors).toEqual([]);
    expect(runtime).toBeNull();
    const fields = userErrors.map(
      (error: { code: string; field: string[] }) => `${error.code} ${error.field.join(".")}`,
    );
    expect(fields).toContain(`INVALID input.${field}`);
  });

  it("of JSON within the query's text are refused as those of variables are", async () => {
    const create = async (constants: string) =>
      editor.edit(`mutation { createRuntime(input: { slug: "inline", name: "x", engineVersion: "1", summary: "x",
        sources: [{ title: "x" }], constants: ${constants} }) { userErrors { code field } } }`);
    expect((await create("{ __proto__: { a: 1 } }")).data.createRuntime.userErrors).toEqual([
      { code: "INVALID", field: ["input", "constants"] },
    ]);
    const deep = await create(`{ a: ${"[".repeat(150)}${"]".repeat(150)} }`);
    expect(deep.errors).toMatchObject([{ message: expect.stringMatching(/nested|deep/) }]);
  });

  it("of a comment are refused too", async () => {
    expect((await create({}, "a\ud83d")).userErrors).toMatchObject([
      { message: expect.stringContaining("surrogate"), field: ["comment"] },
    ]);
    expect((await create({}, "a\0b")).userErrors).toMatchObject([{ code: "INVALID", field: ["comment"] }]);
    expect((await create({}, "x".repeat(1_001))).userErrors).toMatchObject([{ code: "INVALID", field: ["comment"] }]);
  });

  it("of a bulk edit: more than 1,000 rows, one slug twice, nothing at all", async () => {
    const upsert = async (inputs: object[]) => {
      const { data, errors } = await editor.edit(
        `mutation ($inputs: [UpsertRuntimeInput!]!) { upsertRuntimes(inputs: $inputs) { runtimes { slug } userErrors { field code } } }`,
        { inputs },
      );
      expect(errors).toBeUndefined();
      return data.upsertRuntimes;
    };
    const row = (index: number) => ({
      slug: `many-${index}`,
      name: "x",
      engineVersion: "1",
      constants: {},
      summary: "x",
      sources: [{ title: "x" }],
    });
    const rows = Array.from({ length: 1_001 }, (_, index) => row(index));
    expect((await upsert(rows)).userErrors).toEqual([{ code: "TOO_MANY", field: ["inputs"] }]);
    expect((await upsert([row(1), row(2), row(1)])).userErrors).toEqual([
      { code: "TAKEN", field: ["inputs", "2", "slug"] },
    ]);
    expect(await upsert([])).toEqual({ runtimes: [], userErrors: [] });
    expect((await upsert(rows.slice(1))).runtimes).toHaveLength(1_000);
    const stale = await upsert([
      { slug: "many-5", name: "y", expectedVersion: 7 },
      { slug: "many-6", name: "" },
    ]);
    expect(stale.userErrors).toEqual([
      { code: "STALE", field: ["inputs", "0", "expectedVersion"] },
      { code: "INVALID", field: ["inputs", "1", "name"] },
    ]);
    expect(stale.runtimes).toEqual([{ slug: "many-5" }]);
  }, 60_000);
});
