import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Editor, startEditors } from "./setup/start-editor.js";

/** Fields of meta-llama/Meta-Llama-3.1-8B's config.json that its shape follows from. */
const LLAMA_8B = {
  architectures: ["LlamaForCausalLM"],
  model_type: "llama",
  hidden_size: 4096,
  intermediate_size: 14336,
  num_attention_heads: 32,
  num_hidden_layers: 32,
  num_key_value_heads: 8,
  vocab_size: 128256,
  max_position_embeddings: 131072,
  rope_theta: 500000,
  tie_word_embeddings: false,
};
/** Elements of its tensors, as Hugging Face shows them. */
const LLAMA_8B_PARAMETERS = 8_030_261_248;

const IMPORT = /* GraphQL */ `
  mutation ($input: ImportModelInput!, $comment: String, $dryRun: Boolean! = false) {
    importModel(input: $input, comment: $comment, dryRun: $dryRun) {
      model {
        id slug name family vendor licence releasedOn huggingFaceRepo parameters contextLength publishedParameters
        parametersNote version sources { title url }
      }
      modelFiles { slug }
      diffs { entity operation slug fields { field before after } change { id comment } }
      found {
        source modelType parameters activeParameters checkpoint { method scheme quantFormat { slug } } notes
      }
      userErrors { code field message }
      catalogVersion
    }
  }
`;

let editor: Editor;
let stop: () => Promise<void>;

beforeAll(async () => {
  const started = await startEditors("embedded");
  [editor] = started.editors;
  stop = started.stop;
});
afterAll(() => stop());

async function importModel(input: object, more: object = {}) {
  const { data, errors } = await editor.edit(IMPORT, { input, ...more });
  expect(errors).toBeUndefined();
  return data.importModel;
}

describe("importModel of a pasted config", () => {
  const input = { source: { config: JSON.stringify(LLAMA_8B) }, huggingFaceRepo: "meta-llama/Meta-Llama-3.1-8B" };

  it("rehearses: what was found and the whole row, and nothing is saved", async () => {
    const before = await editor.query("{ catalogVersion }");
    const { model, diffs, found, userErrors, catalogVersion } = await importModel(input, { dryRun: true });
    expect(userErrors).toEqual([]);
    expect(model).toMatchObject({
      slug: "llama-3.1-8b",
      name: "Llama 3.1 8B",
      family: "Llama",
      vendor: "meta-llama",
      parameters: LLAMA_8B_PARAMETERS,
      contextLength: 131_072,
      sources: [
        {
          title: "config.json of meta-llama/Meta-Llama-3.1-8B",
          url: "https://huggingface.co/meta-llama/Meta-Llama-3.1-8B",
        },
      ],
    });
    expect(found).toMatchObject({ modelType: "llama", parameters: LLAMA_8B_PARAMETERS, checkpoint: null, notes: [] });
    expect(diffs).toMatchObject([{ entity: "MODEL", operation: "CREATE", slug: "llama-3.1-8b", change: null }]);
    expect(catalogVersion).toBe(before.data.catalogVersion);
    expect((await editor.query('{ model(slug: "llama-3.1-8b") { id } }')).data.model).toBeNull();
  });

  it("adds the model with its history, and it can be estimated at once", async () => {
    const { model, diffs, userErrors } = await importModel({ ...input, vendor: "Meta" }, { comment: "new" });
    expect(userErrors).toEqual([]);
    expect(model).toMatchObject({ slug: "llama-3.1-8b", vendor: "Meta", version: 1 });
    expect(diffs).toMatchObject([{ operation: "CREATE", change: { comment: "new" } }]);
    const { data } = await editor.query(
      '{ estimate(input: { model: { slug: "llama-3.1-8b" }, quant: "q8_0" }) { weights { parameters } } }',
    );
    expect(data.estimate.weights.parameters).toBe(LLAMA_8B_PARAMETERS);
  });

  it("changes nothing when it is imported again", async () => {
    const { diffs, userErrors, model } = await importModel(input);
    expect({ diffs, userErrors }).toEqual({ diffs: [], userErrors: [] });
    expect(model).toMatchObject({ version: 1, vendor: "Meta" });
  });

  it("brings the model of the repository up to date and keeps what people wrote", async () => {
    const { model: before } = await importModel({
      ...input,
      licence: "Llama 3.1 Community License",
      parametersNote: "A note.",
    });
    const config = { ...LLAMA_8B, max_position_embeddings: 262_144 };
    const changed = { source: { config }, huggingFaceRepo: "meta-llama/meta-llama-3.1-8b" };
    const stale = await importModel({ ...changed, expectedVersion: before.version - 1 });
    expect(stale.userErrors).toMatchObject([{ code: "STALE", field: ["input", "expectedVersion"] }]);
    expect(stale.model.version).toBe(before.version);
    const { model, diffs } = await importModel({ ...changed, expectedVersion: before.version });
    expect(model).toMatchObject({
      slug: "llama-3.1-8b",
      vendor: "Meta",
      licence: "Llama 3.1 Community License",
      parametersNote: "A note.",
      contextLength: 262_144,
      version: before.version + 1,
    });
    expect(diffs).toHaveLength(1);
    expect(diffs[0].operation).toBe("UPDATE");
    const { data } = await editor.query("{ models { totalCount } }");
    expect(data.models.totalCount).toBe(2);
  });

  it("never doubles a model: a slug that is another repository's, or a repository under another slug, is refused", async () => {
    const { source } = input;
    const other = await importModel({ source, huggingFaceRepo: "somebody/Llama-3.1-8B" });
    expect(other.userErrors).toMatchObject([{ code: "TAKEN", field: ["input", "slug"] }]);
    const renamed = await importModel({ source, huggingFaceRepo: "meta-llama/Meta-Llama-3.1-8B", slug: "llama-8b" });
    expect(renamed.userErrors).toMatchObject([{ code: "TAKEN", field: ["input", "slug"] }]);
    expect(renamed.userErrors[0].message).toContain('"llama-3.1-8b"');
    const { model } = await importModel({ source, slug: "small-1" }, { dryRun: true });
    expect(model).toMatchObject({ slug: "small-1", name: "Small 1", parameters: LLAMA_8B_PARAMETERS });
  });

  it("tells how a quantized checkpoint is stored, and which format of the catalogue that is", async () => {
    const awq = {
      quant_method: "awq",
      bits: 4,
      group_size: 128,
      zero_point: true,
      modules_to_not_convert: ["lm_head"],
    };
    const known = await importModel(
      { source: { config: { ...LLAMA_8B, quantization_config: awq } }, slug: "a-1", name: "A 1", vendor: "A" },
      { dryRun: true },
    );
    expect(known.found.checkpoint).toMatchObject({ method: "awq", scheme: { kind: "uniform", weightBits: 4 } });
    const unknown = await importModel(
      {
        source: { config: { ...LLAMA_8B, quantization_config: { quant_method: "new" } } },
        slug: "a-1",
        name: "A 1",
        vendor: "A",
      },
      { dryRun: true },
    );
    expect(unknown.userErrors).toEqual([]);
    expect(unknown.found.checkpoint).toEqual({ method: "new", scheme: null, quantFormat: null });
    expect(unknown.found.notes[0]).toContain('"new"');
  });

  it("reads Python's numbers, and names of prototypes as any other", async () => {
    const text = JSON.stringify(LLAMA_8B).replace(
      "{",
      '{"__proto__": {"hidden_size": 1}, "constructor": 1, "time_step_limit": [0.0, Infinity], ',
    );
    const { model, userErrors } = await importModel(
      { source: { config: text }, slug: "a-1", name: "A", vendor: "A" },
      { dryRun: true },
    );
    expect(userErrors).toEqual([]);
    expect(model.parameters).toBe(LLAMA_8B_PARAMETERS);
    expect(({} as Record<string, unknown>).hidden_size).toBeUndefined();
  });

  it.each([
    ["text that is no JSON", "<html>", "INVALID", []],
    ["no text at all", "", "INVALID", []],
    ["nothing", null, "INVALID", []],
    ["a list", [LLAMA_8B], "INVALID", []],
    ["a config that is cut off", JSON.stringify(LLAMA_8B).slice(0, 100), "INVALID", []],
    [
      "an architecture that is not modelled",
      { ...LLAMA_8B, model_type: "none_such", architectures: [] },
      "NOT_MODELLED",
      ["model_type"],
    ],
    ["a missing field", { ...LLAMA_8B, hidden_size: undefined }, "INVALID", ["hidden_size"]],
    ["an absurd number", { ...LLAMA_8B, num_hidden_layers: 1e9 }, "INVALID", ["num_hidden_layers"]],
    ["text for a number", { ...LLAMA_8B, vocab_size: "many" }, "INVALID", ["vocab_size"]],
    ["more text than any config has", `{"a": "${"x".repeat(4_000_001)}"}`, "INVALID", []],
  ])("refuses %s and says where", async (_, config, code, path) => {
    const { data, errors } = await editor.edit(IMPORT, { input: { source: { config }, slug: "a-1" } });
    if (errors !== undefined) {
      // A member of a @oneOf that is null is refused by the language itself.
      expect(config).toBeNull();
      return;
    }
    const { model, found, userErrors } = data.importModel;
    expect({ model, found }).toEqual({ model: null, found: null });
    expect(userErrors).toMatchObject([{ code, field: ["input", "source", "config", ...path] }]);
  });

  it("asks for what names the model, and checks fields by the rules of every edit", async () => {
    const { source } = input;
    const nameless = await importModel({ source });
    expect(nameless.userErrors).toMatchObject([{ code: "INVALID", field: ["input", "slug"] }]);
    expect(nameless.found).toBeNull();
    const wrong = await importModel({
      source,
      slug: "Not A Slug",
      name: " A",
      releasedOn: "soon",
      huggingFaceRepo: "a",
    });
    expect(wrong.userErrors.map(({ field }: { field: string[] }) => field.join("."))).toEqual(
      expect.arrayContaining(["input.slug", "input.name", "input.releasedOn", "input.huggingFaceRepo"]),
    );
    expect(wrong.found.parameters).toBe(LLAMA_8B_PARAMETERS);
  });

  it("is for editors", async () => {
    const { errors } = await editor.query(IMPORT, { input });
    expect(errors?.[0]?.extensions.code).toBe("UNAUTHENTICATED");
  });
});
