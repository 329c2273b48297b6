import { describe, expect, it } from "vitest";
import { recordStatements } from "../setup/databases.js";
import { serveSeed } from "./setup/seeded-server.js";
import type { Answer } from "./setup/start-server.js";

const seeded = serveSeed();

const llama = { model: { slug: "llama-3.1-8b" }, quant: "q4_k_m" };
/** Shape of Llama 3.1 8B, as its config.json has it. */
const config = {
  architectures: ["LlamaForCausalLM"],
  model_type: "llama",
  hidden_size: 4096,
  intermediate_size: 14_336,
  num_attention_heads: 32,
  num_hidden_layers: 32,
  num_key_value_heads: 8,
  max_position_embeddings: 131_072,
  vocab_size: 128_256,
  rms_norm_eps: 1e-5,
  rope_theta: 500_000,
  rope_scaling: {
    factor: 8,
    high_freq_factor: 4,
    low_freq_factor: 1,
    original_max_position_embeddings: 8192,
    rope_type: "llama3",
  },
  tie_word_embeddings: false,
  torch_dtype: "bfloat16",
};

async function estimate(input: Record<string, unknown>, fields = "total { bytes }") {
  return seeded.server.query(`query ($input: EstimateInput!) { estimate(input: $input) { ${fields} } }`, { input });
}

describe("estimate", () => {
  it("is the same by slug, by id, by config.json as an object or as its text, and as a field of the model", async () => {
    const { data } = await seeded.server.query(
      `{ model(slug: "llama-3.1-8b") { id estimate(quant: "q4_k_m", context: 16384) { total { bytes } } } }`,
    );
    const totals = await Promise.all(
      [
        { slug: "llama-3.1-8b" },
        { id: data.model.id },
        { huggingFaceConfig: config },
        { huggingFaceConfig: JSON.stringify(config) },
      ].map(async (model) => (await estimate({ model, quant: "q4_k_m", context: 16_384 })).data.estimate.total.bytes),
    );
    expect(new Set([...totals, data.model.estimate.total.bytes]).size).toBe(1);
  });

  it.each<[string, Record<string, unknown>, string[]]>([
    ["an unknown model", { model: { slug: "llama-3.1-8" } }, ["model", "slug"]],
    ["an id of nothing", { model: { id: "garbage" } }, ["model", "id"]],
    ["an unknown format", { quant: "q4km" }, ["quant"]],
    ["a prototype's name for a format", { quant: "__proto__" }, ["quant"]],
    ["no context", { context: 0 }, ["context"]],
    ["a negative context", { context: -8192 }, ["context"]],
    ["a context above 2^31", { context: 2 ** 31 }, ["context"]],
    ["no sequences", { sequences: 0 }, ["sequences"]],
    ["an unknown cache type", { cacheTypeK: "q9_0" }, ["cacheTypeK"]],
    [
      "quantized V without flash attention",
      { cacheTypeV: "q8_0", runtime: { llamaCpp: { flashAttention: false } } },
      ["cacheTypeV"],
    ],
    ["an unknown card", { hardware: { gpus: [{ gpu: "h1000" }] } }, ["hardware", "gpus", "0", "gpu"]],
    ["no cards", { hardware: { gpus: [] } }, ["hardware", "gpus"]],
    [
      "a count of none",
      { hardware: { gpus: [{ gpu: "nvidia-rtx-3090-24gb", count: 0 }] } },
      ["hardware", "gpus", "0", "count"],
    ],
    ["an unknown system", { hardware: { system: "nope" } }, ["hardware", "system"]],
    ["a negative share", { runtime: { ruleOfThumb: { overhead: -1 } } }, ["runtime", "ruleOfThumb", "overhead"]],
    ["no microbatch", { runtime: { llamaCpp: { ubatchSize: 0 } } }, ["runtime", "llamaCpp", "ubatchSize"]],
    [
      "a truncated config.json",
      { model: { huggingFaceConfig: JSON.stringify(config).slice(0, 90) } },
      ["model", "huggingFaceConfig"],
    ],
    [
      "a config.json of 5 MB",
      { model: { huggingFaceConfig: { ...config, padding: "x".repeat(5_000_000) } } },
      ["model", "huggingFaceConfig"],
    ],
    ["a config.json that is a list", { model: { huggingFaceConfig: [] } }, ["model", "huggingFaceConfig"]],
    ["a config.json that is null", { model: { huggingFaceConfig: "null" } }, ["model", "huggingFaceConfig"]],
    [
      "text for a number",
      { model: { huggingFaceConfig: { ...config, hidden_size: "4096" } } },
      ["model", "huggingFaceConfig", "hidden_size"],
    ],
    [
      "an architecture that is not modelled",
      { model: { huggingFaceConfig: { ...config, architectures: ["NopeForCausalLM"], model_type: "nope" } } },
      ["model", "huggingFaceConfig", "model_type"],
    ],
  ])("refuses %s, naming the argument", async (_, wrong, argument) => {
    const { errors } = await estimate({ ...llama, ...wrong });
    expect(errors).toHaveLength(1);
    expect(errors?.[0]?.extensions).toMatchObject({ code: "BAD_USER_INPUT", argument: ["input", ...argument] });
    expect(errors?.[0]?.message).toMatch(/^.{15,1000}$/s);
    expect((await seeded.server.query("{ __typename }")).errors).toBeUndefined();
  });

  it("names the architecture that is not modelled", async () => {
    const { errors } = await estimate({
      model: { huggingFaceConfig: { ...config, architectures: ["NopeForCausalLM"], model_type: "nope" } },
      quant: "q4_k_m",
    });
    expect(errors?.[0]?.message).toMatch(/nope/i);
  });

  it("refuses a deeply nested config.json without harm", async () => {
    const depth = 20_000;
    const query = `query ($c: JSON) { estimate(input: { model: { huggingFaceConfig: $c }, quant: "q4_k_m" }) { fits } }`;
    const response = await fetch(`${seeded.server.url}/graphql`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: `{"query":${JSON.stringify(query)},"variables":{"c":${'{"text_config":'.repeat(depth)}1${"}".repeat(depth)}}}`,
    });
    const { errors } = (await response.json()) as Answer;
    expect(errors?.[0]?.extensions).toMatchObject({
      code: "BAD_USER_INPUT",
      argument: ["input", "model", "huggingFaceConfig"],
    });
  });

  it("of one model that cannot be estimated does not spoil the others' in a list", async () => {
    const { data, errors } = await seeded.server.query(
      `{ models(first: 100) { nodes { slug estimate(quant: "q4_k_m") { total { bytes } } } } }`,
    );
    expect(data.models.nodes).toHaveLength(100);
    const failed = data.models.nodes.filter((node: { estimate: unknown }) => node.estimate === null);
    expect(errors ?? []).toHaveLength(failed.length);
    expect((errors ?? []).every((error) => error.extensions.code === "BAD_USER_INPUT")).toBe(true);
    expect(failed.length).toBeLessThan(20);
  });

  it("warns of a context above the trained one", async () => {
    const { data } = await estimate({ ...llama, context: 262_144 }, "warnings { code message }");
    expect(data.estimate.warnings).toContainEqual({
      code: "CONTEXT_ABOVE_TRAINED",
      message: expect.stringMatching(/131,?072/),
    });
  });
});

describe("estimates", () => {
  const query = `query ($inputs: [EstimateInput!]!) { estimates(inputs: $inputs) {
    __typename ... on Estimate { total { bytes } } ... on EstimateFailure { code message field } } }`;

  it("keep the order, and one bad input does not spoil the others", async () => {
    const inputs = [llama, { ...llama, quant: "nope" }, { ...llama, context: 0 }, llama];
    const { data, errors } = await seeded.server.query(query, { inputs });
    expect(errors).toBeUndefined();
    expect(data.estimates.map((outcome: { __typename: string }) => outcome.__typename)).toEqual([
      "Estimate",
      "EstimateFailure",
      "EstimateFailure",
      "Estimate",
    ]);
    expect(data.estimates[1]).toMatchObject({ code: "BAD_USER_INPUT", field: ["inputs", "1", "quant"] });
    expect(data.estimates[2]).toMatchObject({ code: "BAD_USER_INPUT", field: ["inputs", "2", "context"] });
    expect(data.estimates[3]).toEqual(data.estimates[0]);
  });

  it("are none for none, and refused beyond a hundred", async () => {
    expect((await seeded.server.query(query, { inputs: [] })).data).toEqual({ estimates: [] });
    const { errors } = await seeded.server.query(query, { inputs: Array.from({ length: 101 }, () => llama) });
    expect(errors?.[0]?.extensions).toMatchObject({ code: "BAD_USER_INPUT", argument: ["inputs"] });
  });
});

interface Fit {
  gpu: { slug: string; vendor: string };
  count: number;
  system: { slug: string } | null;
  headroom: { bytes: number };
  usdPerHour: number | null;
}

describe("hardware that fits", () => {
  const fields =
    "nodes { gpu { slug vendor class } count system { slug } headroom { bytes } usdPerHour usdToBuy } totalCount";

  async function hardware(args: string): Promise<{ nodes: Fit[]; totalCount: number }> {
    const list = args === "" ? "hardware" : `hardware(${args})`;
    const { data, errors } = await estimate({ ...llama, context: 131_072 }, `${list} { ${fields} }`);
    expect(errors).toBeUndefined();
    return data.estimate.hardware;
  }

  it("is the fewest cards first, each kind once, and every one has room", async () => {
    const { nodes, totalCount } = await hardware("filter: { kind: CARDS }, first: 100");
    expect(totalCount).toBeGreaterThan(50);
    expect(nodes.map((fit) => fit.count)).toEqual(nodes.map((fit) => fit.count).toSorted((a, b) => a - b));
    expect(new Set(nodes.map((fit) => fit.gpu.slug)).size).toBe(nodes.length);
    expect(nodes.every((fit) => fit.headroom.bytes >= 0 && fit.system === null)).toBe(true);
  });

  it("is no smaller set than fits: one card fewer does not", async () => {
    const { nodes } = await hardware(`filter: { gpu: ["nvidia-rtx-3090-24gb"], kind: CARDS }`);
    expect(nodes.map((fit) => fit.gpu.slug)).toEqual(["nvidia-rtx-3090-24gb"]);
    const count = nodes[0]?.count ?? 0;
    for (const [cards, fits] of [
      [count - 1, false],
      [count, true],
    ] as const) {
      if (cards < 1) continue;
      const gpus = [{ gpu: "nvidia-rtx-3090-24gb", count: cards }];
      const { data } = await estimate({ ...llama, context: 131_072, hardware: { gpus } }, "fits");
      expect(data.estimate.fits).toBe(fits);
    }
  });

  it("is filtered", async () => {
    const one = await hardware(`filter: { vendor: "amd", maxCount: 1, kind: CARDS }, first: 100`);
    expect(one.nodes.length).toBeGreaterThan(0);
    expect(one.nodes.every((fit) => fit.gpu.vendor === "AMD" && fit.count === 1)).toBe(true);
    const found = await hardware(`filter: { search: "aws h100" }, first: 100`);
    expect(found.nodes.length).toBeGreaterThan(0);
    expect(found.nodes.every((fit) => fit.system !== null)).toBe(true);
    const cheap = await hardware("filter: { usdPerHour: { lte: 3 } }, first: 100");
    expect(cheap.nodes.every((fit) => fit.usdPerHour !== null && fit.usdPerHour <= 3)).toBe(true);
  });

  it("is sorted, unknown prices last", async () => {
    const { nodes } = await hardware("sort: CHEAPEST, first: 100");
    const prices = nodes.flatMap((fit) => fit.usdPerHour ?? []);
    expect(prices.length).toBeGreaterThan(5);
    expect(nodes.slice(0, prices.length).map((fit) => fit.usdPerHour)).toEqual(prices.toSorted((a, b) => a - b));
    const roomy = await hardware("sort: MOST_HEADROOM, first: 20");
    const room = roomy.nodes.map((fit) => fit.headroom.bytes);
    expect(room).toEqual(room.toSorted((a, b) => b - a));
  });

  it("is paged without repeating anything", async () => {
    const seen: string[] = [];
    let after: string | null = null;
    let total = 0;
    for (let page = 0; page < 20; page++) {
      const { data } = await seeded.server.query(
        `query ($input: EstimateInput!, $after: String) { estimate(input: $input) { hardware(first: 100, after: $after) {
          totalCount nodes { gpu { slug } count system { slug } } pageInfo { hasNextPage endCursor } } } }`,
        { input: llama, after },
      );
      const { hardware: found } = data.estimate;
      total = found.totalCount;
      seen.push(...found.nodes.map((fit: Fit) => JSON.stringify(fit)));
      if (!found.pageInfo.hasNextPage) break;
      after = found.pageInfo.endCursor;
    }
    expect(seen).toHaveLength(total);
    expect(new Set(seen).size).toBe(total);
  });

  it("refuses unknown cards in its filter", async () => {
    const { errors } = await estimate(llama, `hardware(filter: { gpu: "h1000" }) { totalCount }`);
    expect(errors?.[0]).toMatchObject({
      path: ["estimate", "hardware"],
      extensions: { code: "BAD_USER_INPUT", argument: ["filter", "gpu", "0"] },
    });
  });
});

describe("a query", () => {
  it("runs no SQL", async () => {
    const statements = await recordStatements(seeded.database, async () => {
      const { errors } = await seeded.server.query(`{
        models(first: 5) { nodes { slug files { totalCount } scenarios { totalCount } } totalCount }
        scenarios(first: 2) { nodes { slug answer estimate { total { gib } } related { nodes { slug } } } }
      }`);
      expect(errors).toBeUndefined();
    });
    expect(statements).toEqual([]);
    expect(seeded.database.statements).not.toEqual([]);
  });
});
