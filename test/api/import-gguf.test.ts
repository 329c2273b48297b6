import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { architectureFromConfig } from "../../src/estimator/architecture/from-config.js";
import type { GgufHeader } from "../../src/estimator/architecture/gguf/gguf-header.js";
import { describeAsGguf } from "../fixtures/gguf-header.js";
import { writeGguf } from "../setup/gguf-file.js";
import { type Editor, startEditors } from "./setup/start-editor.js";

/** Qwen3 in small: norms of queries and keys, tied embeddings. */
const CONFIG = {
  architectures: ["Qwen3ForCausalLM"],
  model_type: "qwen3",
  hidden_size: 1024,
  intermediate_size: 3072,
  num_attention_heads: 16,
  num_hidden_layers: 4,
  num_key_value_heads: 8,
  head_dim: 128,
  vocab_size: 151_936,
  max_position_embeddings: 40_960,
  tie_word_embeddings: true,
};
/** 151,936 x 1024 + 4 (2 x 1024 x 2048 + 2 x 1024 x 1024 + 3 x 1024 x 3072 + 2 x 1024 + 2 x 128) + 1024 */
const PARAMETERS = 218_507_264;

const described = describeAsGguf(architectureFromConfig(CONFIG));
const file = writeGguf(described, 151_936);

const IMPORT = /* GraphQL */ `
  mutation ($input: ImportModelInput!) {
    importModel(input: $input) {
      model { slug name parameters contextLength ggufArchitecture }
      modelFiles { slug fileName size { bytes } quantName }
      diffs { operation slug }
      found { source parameters files { size { bytes } note modelFile { slug } } notes }
      userErrors { code field message }
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

async function importHeader(ggufHeader: object, more: object = {}) {
  const { data, errors } = await editor.edit(IMPORT, { input: { source: { ggufHeader }, vendor: "Alibaba", ...more } });
  expect(errors).toBeUndefined();
  return data.importModel;
}

describe("importModel of a GGUF header", () => {
  it("describes the model by the file's first bytes, and the file by its list of tensors", async () => {
    const base64 = file.header.toString("base64");
    const source = { base64, fileName: "Qwen3-Mini-Q8_0.gguf", repo: "me/Qwen3-Mini-GGUF" };
    const { model, modelFiles, userErrors } = await importHeader(source, { slug: "qwen3-mini", name: "Qwen3 Mini" });
    expect(userErrors).toEqual([]);
    expect(model).toEqual({
      slug: "qwen3-mini",
      name: "Qwen3 Mini",
      parameters: PARAMETERS,
      contextLength: 40_960,
      ggufArchitecture: "qwen3",
    });
    expect(modelFiles).toEqual([
      {
        slug: "qwen3-mini-me-q8_0",
        fileName: "Qwen3-Mini-Q8_0.gguf",
        size: { bytes: file.sizeBytes },
        quantName: "Q8_0",
      },
    ]);
  });

  it("changes nothing of a model that is there: a file knows less than a config", async () => {
    const { diffs, found, userErrors } = await importHeader({ json: described }, { slug: "qwen3-mini" });
    expect({ diffs, userErrors }).toEqual({ diffs: [], userErrors: [] });
    expect(found.files).toMatchObject([{ modelFile: null, note: expect.stringContaining("give repo") }]);
  });

  const with_ = (changes: Record<string, unknown>): GgufHeader =>
    ({ ...described, metadata: { ...described.metadata, ...changes } }) as GgufHeader;
  const bytes = (header: Buffer) => ({ base64: header.toString("base64") });
  it.each<[string, object, string, string[], RegExp]>([
    ["neither bytes nor JSON", {}, "INVALID", [], /either base64/],
    ["both", { base64: "AA==", json: described }, "INVALID", [], /either base64/],
    ["what is no base64", { base64: "GGUF!" }, "INVALID", ["base64"], /must be base64/],
    ["nothing", { base64: "" }, "INVALID", ["base64"], /no GGUF file/],
    ["another file's bytes", bytes(Buffer.from("PK  and so on")), "INVALID", ["base64"], /no GGUF file/],
    [
      "a header that is cut off in its tokenizer",
      bytes(file.header.subarray(0, 500_000)),
      "INVALID",
      ["base64"],
      /cut off/,
    ],
    ["a header that is cut off in its tensors", bytes(file.header.subarray(0, -500)), "INVALID", ["base64"], /cut off/],
    [
      "a version that is none",
      bytes(Buffer.concat([Buffer.from("GGUF"), Buffer.alloc(40, 9)])),
      "INVALID",
      ["base64"],
      /version/,
    ],
    ["JSON that is cut off", { json: '{"metadata": ' }, "INVALID", ["json"], /cut off/],
    ["no tensors", { json: { metadata: described.metadata } }, "INVALID", ["json", "tensors"], /tensors/],
    [
      "a shape that is none",
      { json: { ...described, tensors: [{ name: "a", shape: [0] }] } },
      "INVALID",
      ["json", "tensors", "0", "shape", "0"],
      /shape/,
    ],
    [
      "an architecture that is not known",
      { json: with_({ "general.architecture": "none" }) },
      "NOT_MODELLED",
      [],
      /"none" are not read/,
    ],
    [
      "a prototype for an architecture",
      { json: with_({ "general.architecture": "__proto__" }) },
      "NOT_MODELLED",
      [],
      /not read/,
    ],
    [
      "no architecture",
      { json: with_({ "general.architecture": 7 }) },
      "INVALID",
      [],
      /general\.architecture is missing/,
    ],
    ["an absurd number of layers", { json: with_({ "qwen3.block_count": 1e12 }) }, "INVALID", [], /num_hidden_layers/],
    [
      "other widths than its tensors have",
      { json: with_({ "qwen3.attention.head_count_kv": 4 }) },
      "NOT_MODELLED",
      [],
      /blk\.0\.attn_k\.weight is 1024 x 1024, not 1024 x 512/,
    ],
    ["one of several shards", { json: with_({ "split.count": 3 }) }, "INVALID", [], /one of 3/],
    [
      "a repository that is none",
      { json: described, repo: "https://example.org" },
      "INVALID",
      ["repo"],
      /must be the name/,
    ],
  ])("refuses %s", async (_, header, code, path, message) => {
    const { model, userErrors } = await importHeader(header, { slug: "other" });
    expect(userErrors).toMatchObject([{ code, field: ["input", "source", "ggufHeader", ...path] }]);
    expect(userErrors[0].message).toMatch(message);
    expect(model).toBeNull();
  });
});
