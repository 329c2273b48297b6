import { describe, expect, it } from "vitest";
import { recordStatements } from "../setup/databases.js";
import { serveSeed } from "./setup/seeded-server.js";

const seeded = serveSeed();

const query = `query ($input: CompareInput!) { compare(input: $input) {
  axes { dimension label values { index label } }
  cells { model quant context hardware runtime modelLabel quantLabel contextTokens hardwareLabel runtimeLabel
    outcome { __typename ... on Estimate { total { bytes } fits } ... on EstimateFailure { code message field } } } } }`;

const ask = (input: Record<string, unknown>) => seeded.server.query(query, { input });

const input = {
  models: [{ slug: "llama-3.1-8b" }, { slug: "qwen3-30b-a3b" }],
  quants: ["q4_k_m", "q8_0"],
  contexts: [8192, 32_768],
  hardware: [
    { gpus: [{ gpu: "nvidia-rtx-3090-24gb", count: 1 }] },
    {
      gpus: [
        { gpu: "nvidia-rtx-3090-24gb", count: 1 },
        { gpu: "nvidia-rtx-4090-24gb", count: 2 },
      ],
    },
  ],
};

interface Cell {
  model: number;
  quant: number;
  context: number;
  hardware: number | null;
  runtime: number | null;
  modelLabel: string;
  outcome: { __typename: string; total?: { bytes: number }; fits?: boolean; field?: string[]; message?: string };
}

describe("compare", () => {
  it("says of every cell what an estimate says, in the order of the axes", async () => {
    const { data, errors } = await ask(input);
    expect(errors).toBeUndefined();
    const { cells, axes }: { cells: Cell[]; axes: { label: string; values: { label: string }[] }[] } = data.compare;
    expect(axes.map(({ label, values }) => [label, values.map((value) => value.label)])).toEqual([
      ["Model", ["Llama 3.1 8B", "Qwen3 30B A3B"]],
      ["Format", ["Q4_K_M", "Q8_0"]],
      ["Context", ["8,192 tokens", "32,768 tokens"]],
      [
        "Hardware",
        ["1 x NVIDIA GeForce RTX 3090 24GB", "1 x NVIDIA GeForce RTX 3090 24GB + 2 x NVIDIA GeForce RTX 4090 24GB"],
      ],
      ["Runtime", ["llama.cpp"]],
    ]);
    const inputs = input.models.flatMap((model) =>
      input.quants.flatMap((quant) =>
        input.contexts.flatMap((context) => input.hardware.map((hardware) => ({ model, quant, context, hardware }))),
      ),
    );
    const { data: single } = await seeded.server.query(
      "query ($inputs: [EstimateInput!]!) { estimates(inputs: $inputs) { __typename ... on Estimate { total { bytes } fits } } }",
      { inputs },
    );
    expect(cells.map(({ outcome }) => outcome)).toEqual(single.estimates);
    expect(cells.map(({ model, quant, context, hardware }) => [model, quant, context, hardware])).toEqual(
      [0, 1].flatMap((a) => [0, 1].flatMap((b) => [0, 1].flatMap((c) => [0, 1].map((d) => [a, b, c, d])))),
    );
    expect(cells[15]).toMatchObject({
      modelLabel: "Qwen3 30B A3B",
      quantLabel: "Q8_0",
      contextTokens: 32_768,
      runtime: null,
      runtimeLabel: "llama.cpp",
    });
  });

  it("tells what is wrong with a cell by its place in the input; the rest stands", async () => {
    const { data } = await ask({
      models: [{ slug: "llama-3.1-8b" }, { slug: "llama-3.1-9b" }, { huggingFaceConfig: { model_type: "nope" } }],
      quants: ["q4_k_m", "q4km"],
      contexts: [8192, 0],
      hardware: [{ gpus: [{ gpu: "nvidia-rtx-3090-24gb" }] }, { gpus: [{ gpu: "h1000" }] }],
      runtimes: [{ llamaCpp: {} }, { llamaCpp: { ubatchSize: 0 } }],
    });
    const cells: Cell[] = data.compare.cells;
    expect(cells).toHaveLength(48);
    const at = (...place: number[]) =>
      cells.find((cell) =>
        [cell.model, cell.quant, cell.context, cell.hardware, cell.runtime].every(
          (value, axis) => value === place[axis],
        ),
      )?.outcome;
    expect(at(0, 0, 0, 0, 0)).toMatchObject({ __typename: "Estimate", fits: true });
    expect(at(1, 0, 0, 0, 0)?.field).toEqual(["input", "models", "1", "slug"]);
    expect(at(2, 0, 0, 0, 0)?.field).toEqual(["input", "models", "2", "huggingFaceConfig", "model_type"]);
    expect(at(0, 1, 0, 0, 0)?.field).toEqual(["input", "quants", "1"]);
    expect(at(0, 0, 1, 0, 0)?.field).toEqual(["input", "contexts", "1"]);
    expect(at(0, 0, 0, 1, 0)?.field).toEqual(["input", "hardware", "1", "gpus", "0", "gpu"]);
    expect(at(0, 0, 0, 0, 1)?.field).toEqual(["input", "runtimes", "1", "llamaCpp", "ubatchSize"]);
    expect(cells.filter(({ outcome }) => outcome.__typename === "Estimate")).toHaveLength(1);
  });

  it("takes pasted configs, numbers equal labels, and has no places where nothing was given", async () => {
    const config = { model_type: "nope" };
    const { data } = await ask({
      models: [
        { huggingFaceConfig: config },
        { huggingFaceConfig: JSON.stringify(config) },
        { huggingFaceConfig: "{" },
      ],
      quants: ["q4_k_m"],
    });
    expect(data.compare.cells.map((cell: Cell) => cell.modelLabel)).toEqual(["nope", "nope (2)", "config.json"]);
    expect(data.compare.cells[0]).toMatchObject({
      hardware: null,
      runtime: null,
      contextTokens: 8192,
      hardwareLabel: "no limit",
    });
  });

  it.each<[string, Record<string, unknown>, string[]]>([
    ["no models", { models: [] }, ["input", "models"]],
    ["no formats", { quants: [] }, ["input", "quants"]],
    ["no contexts", { contexts: [] }, ["input", "contexts"]],
    ["an empty list of hardware", { hardware: [] }, ["input", "hardware"]],
    ["an empty list of runtimes", { runtimes: [] }, ["input", "runtimes"]],
    ["too many cells", { contexts: Array.from({ length: 26 }, (_, index) => 1024 * (index + 1)) }, ["input"]],
  ])("refuses %s, naming the argument", async (_, wrong, argument) => {
    const { errors } = await ask({ ...input, ...wrong });
    expect(errors).toHaveLength(1);
    expect(errors?.[0]?.extensions).toMatchObject({ code: "BAD_USER_INPUT", argument });
  });

  it("costs as much as its cells, in a variable or written out, and cannot be made to cost more than the limit", async () => {
    const counted = `query ($input: CompareInput!) { compare(input: $input) { cells { model } } }`;
    const cost = async (text: string, variables: Record<string, unknown>) =>
      (await seeded.server.query(text, variables, { "x-query-cost": "1" })).extensions?.cost;
    expect(await cost(counted, { input })).toMatchObject({ cost: 16 * 11 });
    const written = `{ compare(input: { models: [{ slug: "llama-3.1-8b" }], quants: ["q4_k_m", "q8_0"], contexts: 8192 }) {
      cells { model } } }`;
    expect(await cost(written, {})).toMatchObject({ cost: 2 * 11 });
    const { errors } = await seeded.server.query(counted, {
      input: { ...input, contexts: Array.from({ length: 5000 }, () => 8192) },
    });
    expect(errors?.[0]?.extensions.code).toBe("QUERY_TOO_COMPLEX");
  });

  it("runs no SQL", async () => {
    expect(await recordStatements(seeded.database, () => ask(input))).toEqual([]);
  });
});
