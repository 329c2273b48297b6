import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { SMALL_ARCHITECTURE } from "../fixtures/small-seed.js";
import { type Editor, startEditors } from "./setup/start-editor.js";

const sources = [{ title: "made up", url: "https://example.org/facts" }];
const ref = (slug: string) => ({ slug });

interface Sample {
  /** A whole row by the API's names, but for its slug. */
  input: Record<string, unknown>;
  /** A field that may change, its new value and, where it may be cleared, that. */
  change: Record<string, unknown>;
  /** A value that cannot be, and the field that is blamed. */
  wrong: [input: Record<string, unknown>, field: string[], code?: string];
  /** Fields that say the row is as it was given. */
  shown: string;
  expected: Record<string, unknown>;
}

const samples: Record<string, Sample> = {
  Runtime: {
    input: { name: "Engine", engineVersion: "1.0", constants: { a: 1 }, summary: "An engine.", sources },
    change: { engineVersion: "1.1" },
    wrong: [{ constants: [1] }, ["constants"]],
    shown: "name engineVersion constants",
    expected: { name: "Engine", engineVersion: "1.0", constants: { a: 1 } },
  },
  QuantFormat: {
    input: {
      name: "Q5",
      family: "GGUF",
      bitsPerWeight: 5.5,
      scheme: { kind: "ggml", fileType: "Q5_K_M" },
      qualityRank: 5,
      runtimes: [ref("llama-cpp")],
      summary: "Five bits.",
      sources,
    },
    change: { bitsPerWeight: 5.6 },
    wrong: [{ scheme: { kind: "ggml", fileType: "Q5_9" } }, ["scheme", "fileType"]],
    shown: "family bitsPerWeight scheme runtimes { slug }",
    expected: { family: "GGUF", scheme: { kind: "ggml", fileType: "Q5_K_M" }, runtimes: [{ slug: "llama-cpp" }] },
  },
  KvCacheType: {
    input: {
      name: "Q4_0",
      blockElements: 32,
      blockBytes: 18,
      bitsPerValue: 4.5,
      runtimes: [ref("llama-cpp")],
      summary: "Four bits.",
      sources,
    },
    change: { name: "Q4" },
    wrong: [{ runtimes: [ref("llama-cpp"), ref("lama-cpp")] }, ["runtimes", "1", "slug"], "NOT_FOUND"],
    shown: "blockElements blockBytes runtimes { slug }",
    expected: { blockElements: 32, blockBytes: 18, runtimes: [{ slug: "llama-cpp" }] },
  },
  System: {
    input: {
      name: "Box",
      provider: "Nobody",
      kind: "BOX",
      gpu: ref("card-24gb"),
      gpuCount: 4,
      scaleUpDomainGpus: 4,
      hostMemoryGib: 64,
      maxNodes: 2,
      usdPerHour: 1.25,
      sources,
    },
    change: { usdPerHour: null },
    wrong: [{ gpu: { id: "bm9wZQ" } }, ["gpu", "id"], "NOT_FOUND"],
    shown: "gpu { slug } gpuCount hostMemory { gib } usdPerHour",
    expected: { gpu: { slug: "card-24gb" }, gpuCount: 4, hostMemory: { gib: 64 }, usdPerHour: 1.25 },
  },
  Model: {
    input: { name: "Small 2", family: "small", vendor: "Nobody", architecture: SMALL_ARCHITECTURE, sources },
    change: { licence: "MIT" },
    wrong: [
      { architecture: { ...SMALL_ARCHITECTURE, blocks: {}, layers: ["dense"] } },
      ["architecture", "layers", "0"],
    ],
    shown: "parameters contextLength attention architecture",
    expected: { contextLength: 4_096, attention: "GROUPED_QUERY", architecture: SMALL_ARCHITECTURE },
  },
  ModelFile: {
    input: {
      model: ref("small-1"),
      quantFormat: ref("q8_0"),
      publisher: "nobody",
      repo: "nobody/small",
      quantName: "Q8_0",
      sizeBytes: 6_000_000_000,
      sources,
    },
    change: { quantFormat: null },
    wrong: [{ sizeBytes: 0 }, ["sizeBytes"]],
    shown: "model { slug } quantFormat { slug } size { bytes }",
    expected: { model: { slug: "small-1" }, quantFormat: { slug: "q8_0" }, size: { bytes: 6_000_000_000 } },
  },
  Scenario: {
    input: {
      title: "Small",
      question: "How much?",
      model: ref("small-1"),
      quantFormat: ref("q8_0"),
      context: 2_048,
      answer: "It needs {{ estimate.total | gib }} with {{ model.name }}.",
      explanation: "So.",
      verdict: "Yes.",
      faq: [{ question: "Why?", answer: "Because." }],
      sources,
    },
    change: { verdict: "No." },
    wrong: [{ answer: "It needs {{ estimate.nonsense }}." }, ["answer"]],
    shown: "sequences settings answer templates { answer faq { question } }",
    expected: {
      sequences: 1,
      settings: {},
      answer: expect.stringMatching(/^It needs [\d.]+ .*Small 1\.$/),
      templates: {
        answer: "It needs {{ estimate.total | gib }} with {{ model.name }}.",
        faq: [{ question: "Why?" }],
      },
    },
  },
  Measurement: {
    input: {
      kind: "SPEED",
      runtime: ref("llama-cpp"),
      modelName: "Small 1",
      model: ref("small-1"),
      gpu: ref("card-24gb"),
      context: 512,
      settings: {},
      measured: { tokens_per_second: 12.5 },
      sources,
    },
    change: { context: null, gpuCount: 2 },
    wrong: [{ measured: {} }, ["measured"]],
    shown: "kind runtime { slug } model { slug } context measured",
    expected: { kind: "SPEED", runtime: { slug: "llama-cpp" }, context: 512, measured: { tokens_per_second: 12.5 } },
  },
};

let editor: Editor;
let stop: () => Promise<void>;
beforeAll(async () => {
  const started = await startEditors("embedded");
  editor = started.editors[0];
  stop = started.stop;
});
afterAll(() => stop());

/** Everything that one entity's mutations do, by the same definition for all. */
describe.each(Object.entries(samples))("editing a %s", (type, { input, change, wrong, shown, expected }) => {
  const field = type.charAt(0).toLowerCase() + type.slice(1);
  const slug = `edited-${field.toLowerCase()}`;
  const rest = `diffs { operation fields { field before after } change { id } } userErrors { message field code } catalogVersion`;
  const payload = `{ ${field} { id slug version archivedAt ${shown} } ${rest} }`;

  async function mutate(mutation: string, variables: Record<string, unknown>) {
    const { data, errors } = await editor.edit(mutation, variables);
    expect(errors).toBeUndefined();
    return data.result;
  }
  const create = (values: object) =>
    mutate(`mutation ($input: Create${type}Input!) { result: create${type}(input: $input) ${payload} }`, {
      input: values,
    });
  const byVersion = (verb: string, of: string) => (id: string, expectedVersion: number) =>
    mutate(`mutation ($id: ID!, $v: Int!) { result: ${verb}${type}(id: $id, expectedVersion: $v) ${of} }`, {
      id,
      v: expectedVersion,
    });

  it("goes through its whole life, and its history tells it", async () => {
    const made = await create({ ...input, slug });
    expect(made.userErrors).toEqual([]);
    expect(made[field]).toMatchObject({ slug, version: 1, ...expected });
    const { id } = made[field];

    const updated = await mutate(
      `mutation ($id: ID!, $input: Update${type}Input!) { result: update${type}(id: $id, input: $input, expectedVersion: 1) ${payload} }`,
      { id, input: change },
    );
    expect(updated).toMatchObject({ userErrors: [], [field]: { version: 2 } });
    expect(
      updated.diffs[0].fields.map((entry: { field: string; after: unknown }) => [entry.field, entry.after]),
    ).toEqual(expect.arrayContaining(Object.entries(change)));

    const archived = await byVersion("archive", payload)(id, 2);
    expect(archived[field]).toMatchObject({ version: 3, archivedAt: expect.any(String) });
    const restored = await byVersion("restore", payload)(id, 3);
    expect(restored[field]).toMatchObject({ version: 4, archivedAt: null });
    const removed = await byVersion("delete", `{ deletedId ${rest} }`)(id, 4);
    expect(removed).toMatchObject({ deletedId: id, userErrors: [] });

    const { data } = await editor.query(
      `query ($row: ID!) { catalogChanges(filter: { row: $row }) { totalCount nodes { operation rowVersion slug row { id } } } }`,
      { row: id },
    );
    expect(data.catalogChanges).toEqual({
      totalCount: 5,
      nodes: ["DELETE", "RESTORE", "ARCHIVE", "UPDATE", "CREATE"].map((operation, index) => ({
        operation,
        rowVersion: Math.min(5 - index, 4),
        slug,
        row: null,
      })),
    });
  });

  it("is refused with the field at fault", async () => {
    const [values, path, code = "INVALID"] = wrong;
    const refused = await create({ ...input, slug, ...values });
    expect(refused[field]).toBeNull();
    expect(refused.userErrors).toEqual([{ code, field: ["input", ...path], message: expect.any(String) }]);
  });

  it("is added and changed in bulk, by slug", async () => {
    const upsert = (inputs: object[]) =>
      mutate(
        `mutation ($inputs: [Upsert${type}Input!]!) { result: upsert${type}s(inputs: $inputs) { ${field}s { id slug version } ${rest} } }`,
        { inputs },
      );
    const made = await upsert([
      { ...input, slug: `${slug}-1` },
      { ...input, slug: `${slug}-2` },
    ]);
    expect(made.userErrors).toEqual([]);
    const mixed = await upsert([
      { slug: `${slug}-1`, ...change },
      { slug: `${slug}-2` },
      { ...input, slug: `${slug}-3` },
    ]);
    expect(mixed.userErrors).toEqual([]);
    expect(mixed[`${field}s`].map(({ version }: { version: number }) => version)).toEqual([2, 1, 1]);
    expect(mixed.diffs.map(({ operation }: { operation: string }) => operation)).toEqual(["UPDATE", "CREATE"]);

    const [values, path, code = "INVALID"] = wrong;
    const refused = await upsert([
      { slug: `${slug}-1`, sources: [{ title: "another" }] },
      { slug: `${slug}-2`, ...values },
      { slug: `${slug}-9` },
    ]);
    expect(refused.userErrors).toEqual(
      expect.arrayContaining([
        { code, field: ["inputs", "1", ...path], message: expect.any(String) },
        { code: "INVALID", field: ["inputs", "2", "sources"], message: expect.stringContaining("missing") },
      ]),
    );
    expect(refused[`${field}s`]).toEqual([]);
    const { data } = await editor.query(
      `query ($slug: String!) { row: ${field === "modelFile" ? "model" : field}(slug: $slug) { version } }`,
      {
        slug: `${slug}-1`,
      },
    );
    if (field !== "modelFile") expect(data.row).toEqual({ version: 2 });
  });
});

describe("what an edit would do to others", () => {
  it("keeps a row whose slug a template names from getting another one", async () => {
    const gpu = (await editor.query(`{ gpu(slug: "card-24gb") { id version } }`)).data.gpu;
    const answer = `{% assign set = "card-24gb" | smallest_set %}{{ set.count }}.`;
    const { data } = await editor.edit(
      `mutation ($input: CreateScenarioInput!) { createScenario(input: $input) { userErrors { message field } } }`,
      { input: { ...samples.Scenario?.input, slug: "names-a-card", answer } },
    );
    expect(data.createScenario.userErrors).toEqual([]);
    const renamed = await editor.edit(
      `mutation ($id: ID!, $v: Int!) { updateGpu(id: $id, expectedVersion: $v, input: { slug: "card-x" }) { userErrors { message field code } } }`,
      { id: gpu.id, v: gpu.version },
    );
    expect(renamed.data.updateGpu.userErrors).toEqual([
      { code: "IN_USE", field: ["input", "slug"], message: expect.stringContaining("names-a-card") },
    ]);
  });

  it("keeps the slug of an engine, and constants that it can be computed with", async () => {
    const runtime = (await editor.query(`{ runtime(slug: "llama-cpp") { id version } }`)).data.runtime;
    const renamed = await editor.edit(
      `mutation ($id: ID!, $v: Int!) { updateRuntime(id: $id, expectedVersion: $v, input: { slug: "other" }) { userErrors { field code } } }`,
      { id: runtime.id, v: runtime.version },
    );
    expect(renamed.data.updateRuntime.userErrors).toEqual([{ code: "IN_USE", field: ["input", "slug"] }]);
    const bare = await editor.edit(
      `mutation { createRuntime(input: { slug: "vllm", name: "vLLM", engineVersion: "1", constants: {}, summary: "x", sources: [{ title: "x" }] }) { userErrors { field code } } }`,
    );
    expect(bare.data.createRuntime.userErrors).toEqual([{ code: "INVALID", field: ["input", "constants"] }]);
  });

  it("refuses an architecture that would leave a scenario without its answer", async () => {
    const answer = `{{ estimate.total | gib }} {% assign set = "card-24gb" | smallest_set %}{{ set.count }}.`;
    const made = await editor.edit(
      `mutation ($input: CreateScenarioInput!) { createScenario(input: $input) { userErrors { message field } } }`,
      { input: { ...samples.Scenario?.input, slug: "needs-to-fit", answer } },
    );
    expect(made.data.createScenario.userErrors).toEqual([]);
    const model = (await editor.query(`{ model(slug: "small-1") { id version architecture } }`)).data.model;
    const huge = structuredClone(model.architecture);
    Object.assign(huge.blocks.dense.attention, {
      heads: 2 ** 16,
      kvHeads: 2 ** 16,
      keyDim: 2 ** 14,
      valueDim: 2 ** 14,
    });
    const { data } = await editor.edit(
      `mutation ($id: ID!, $v: Int!, $a: JSON!) { updateModel(id: $id, expectedVersion: $v, input: { architecture: $a }) { model { slug } userErrors { message field code } } }`,
      { id: model.id, v: model.version, a: huge },
    );
    expect(data.updateModel).toMatchObject({
      model: null,
      userErrors: expect.arrayContaining([
        { code: "IN_USE", field: ["input"], message: expect.stringMatching(/"needs-to-fit".*no set of Card 24GB/) },
      ]),
    });
  });
});
