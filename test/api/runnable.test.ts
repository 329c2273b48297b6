import { describe, expect, it } from "vitest";
import { recordStatements } from "../setup/databases.js";
import { serveSeed } from "./setup/seeded-server.js";
import type { Answer } from "./setup/start-server.js";

const seeded = serveSeed();

const card = { gpus: [{ gpu: "nvidia-rtx-4090-24gb", count: 1 }] };
const mixed = {
  gpus: [
    { gpu: "nvidia-rtx-3090-24gb", count: 1 },
    { gpu: "nvidia-rtx-4060-ti-16gb", count: 2 },
  ],
};
const eight = { gpus: [{ gpu: "nvidia-h100-sxm5-80gb", count: 8 }] };

/** A draft model of the vocabulary of the Llama 3 models alone. */
const extras = {
  lora: { rank: 16 },
  draftModel: { model: { slug: "llama-3.2-1b-instruct" }, quant: "q8_0" },
  displayReserveMib: 600,
};

const size = "{ bytes }";
const fields = `model { slug parameters contextLength releasedOn } quantFormat { slug qualityRank bitsPerWeight }
  context total ${size} headroom ${size} maxContext`;

interface Row {
  model: { slug: string; parameters: number; contextLength: number; releasedOn: string | null };
  quantFormat: { slug: string; qualityRank: number; bitsPerWeight: number };
  context: number;
  total: { bytes: number };
  headroom: { bytes: number };
  maxContext: number;
}

interface Page {
  nodes: Row[];
  totalCount: number;
  reason: string | null;
  nearest: { message: string; shortBy: { bytes: number }; model: { slug: string }; quantFormat: { slug: string } }[];
  pageInfo: { hasNextPage: boolean; endCursor: string | null };
}

function ask(variables: Record<string, unknown>, selection = `nodes { ${fields} }`): Promise<Answer> {
  return seeded.server.query(
    `query ($hardware: HardwareInput!, $settings: RunnableSettings, $filter: RunnableFilter, $sort: RunnableSort, $first: Int, $after: String) {
      runnable(hardware: $hardware, settings: $settings, filter: $filter, sort: $sort, first: $first, after: $after) {
        totalCount reason pageInfo { hasNextPage endCursor } ${selection} } }`,
    { hardware: card, ...variables },
  );
}

async function find(variables: Record<string, unknown>, selection?: string): Promise<Page> {
  const { data, errors } = await ask(variables, selection);
  expect(errors).toBeUndefined();
  return data.runnable;
}

/** Every page of a list. */
async function findAll(variables: Record<string, unknown>, selection?: string): Promise<Row[]> {
  const rows: Row[] = [];
  let after: string | null = null;
  do {
    const page: Page = await find({ first: 100, ...variables, after }, selection);
    rows.push(...page.nodes);
    after = page.pageInfo.hasNextPage ? page.pageInfo.endCursor : null;
  } while (after !== null);
  return rows;
}

const nameOf = ({ model, quantFormat }: Pick<Row, "model" | "quantFormat">) => `${model.slug} ${quantFormat.slug}`;

/** Models of very different kinds: dense, mixture, latent, hybrid, with published files. */
const models = [
  "llama-3.1-8b-instruct",
  "llama-3.1-70b-instruct",
  "qwen3-30b-a3b",
  "deepseek-v2-lite",
  "gemma-3-27b-it",
  "gpt-oss-20b",
];

describe("runnable", () => {
  it.each<[string, Record<string, unknown>, Record<string, unknown>]>([
    ["one card", card, {}],
    ["a mixed set and a quantized cache", mixed, { context: 32_768, sequences: 2, cacheTypeK: "q8_0" }],
    ["vLLM on eight cards", eight, { runtime: { vllm: {} } }],
    ["a draft model, adapters and a display", card, { context: 16_384, extras }],
    ["MLX on unified memory", { gpus: [{ gpu: "apple-m4-max-128gb", count: 1 }] }, { runtime: { mlx: {} } }],
  ])("lists exactly what estimates say fits: %s", async (_, hardware, settings) => {
    const setup = { hardware, settings };
    const rows = await findAll(
      { ...setup, filter: { model: models } },
      `nodes { ${fields} plan { kind tensor pipeline expertParallel layersPerDevice }
        estimate { fits total ${size} maxContext devices { free ${size} } warnings { code } } }`,
    );
    expect(rows.length).toBeGreaterThan(10);
    for (const row of rows as (Row & { estimate: Record<string, unknown> })[]) {
      expect(row.estimate).toMatchObject({ fits: true, total: row.total, maxContext: row.maxContext });
      const free = (row.estimate.devices as { free: { bytes: number } }[]).map((device) => device.free.bytes);
      expect(Math.min(...free)).toBe(row.headroom.bytes);
      expect(row.estimate.warnings).not.toContainEqual({ code: "QUANT_FORMAT_NOT_LOADABLE" });
    }

    // Every pair of the models and the runtime's formats again, asked of `estimates`.
    const runtime = (settings as { runtime?: object }).runtime;
    const engine = runtime === undefined ? "llama-cpp" : (Object.keys(runtime)[0] ?? "");
    const { data } = await seeded.server.query(
      `query ($engine: String!) { runtime(slug: $engine) { quantFormats(first: 100) { nodes { slug } } } }`,
      { engine },
    );
    const formats: string[] = data.runtime.quantFormats.nodes.map(({ slug }: { slug: string }) => slug);
    const listed = new Map(rows.map((row) => [nameOf(row), row]));
    const pairs = models.flatMap((slug) => formats.map((quant) => ({ slug, quant })));
    for (const part of [pairs.slice(0, 100), pairs.slice(100, 200), pairs.slice(200, 300)]) {
      const inputs = part.map(({ slug, quant }) => ({ model: { slug }, quant, hardware, ...settings }));
      const { data: answer } = await seeded.server.query(
        `query ($inputs: [EstimateInput!]!) { estimates(inputs: $inputs) { ... on Estimate { fits total ${size} } } }`,
        { inputs },
      );
      part.forEach(({ slug, quant }, index) => {
        const outcome = answer.estimates[index];
        const row = listed.get(`${slug} ${quant}`);
        // On several cards a serving engine is given a split of its own choice: see the rows' own estimates.
        if (engine === "vllm") return;
        expect([slug, quant, outcome.fits ?? false]).toEqual([slug, quant, row !== undefined]);
        if (row !== undefined) expect(outcome.total).toEqual(row.total);
      });
    }
  });

  it("gives serving engines the widest legal split that fits", async () => {
    const { nodes } = await find(
      {
        hardware: eight,
        settings: { runtime: { vllm: { tensorParallel: 3 } } },
        filter: { model: "qwen3-235b-a22b", quantFormat: ["bf16", "fp8"] },
      },
      "nodes { quantFormat { slug } plan { tensor pipeline expertParallel } estimate { fits } }",
    );
    // 1536 / 8 is no multiple of FP8's blocks of 128, so that experts stay whole there.
    expect(nodes).toEqual([
      {
        quantFormat: { slug: "bf16" },
        plan: { tensor: 8, pipeline: 1, expertParallel: false },
        estimate: { fits: true },
      },
      {
        quantFormat: { slug: "fp8" },
        plan: { tensor: 8, pipeline: 1, expertParallel: true },
        estimate: { fits: true },
      },
    ]);
  });

  it("with one format a model lists the best that passes the other conditions", async () => {
    const filter = { model: models, quantFamily: "GGUF" };
    const all = await findAll({ filter });
    const best = await findAll({ filter: { ...filter, bestFormatOnly: true } });
    const expected = new Map<string, Row>();
    for (const row of all) {
      const known = expected.get(row.model.slug);
      if (known === undefined || row.quantFormat.qualityRank > known.quantFormat.qualityRank)
        expected.set(row.model.slug, row);
    }
    expect(best.map(nameOf).sort()).toEqual([...expected.values()].map(nameOf).sort());
    const roomy = await findAll({ filter: { ...filter, bestFormatOnly: true, minContext: 100_000 } });
    for (const row of roomy) {
      expect(row.maxContext).toBeGreaterThanOrEqual(100_000);
      const better = all.filter(
        ({ model, quantFormat }) =>
          model.slug === row.model.slug && quantFormat.qualityRank > row.quantFormat.qualityRank,
      );
      expect(better.every(({ maxContext }) => maxContext < 100_000)).toBe(true);
    }
    expect(roomy.length).toBeGreaterThan(0);
  });

  it.each<[string, (row: Row) => (number | string)[]]>([
    [
      "BALANCED",
      ({ model, quantFormat }) => [
        -Number(quantFormat.bitsPerWeight >= 4),
        -model.parameters,
        -quantFormat.qualityRank,
      ],
    ],
    ["LARGEST_MODEL", ({ model, quantFormat }) => [-model.parameters, -quantFormat.qualityRank]],
    ["BEST_QUALITY", ({ model, quantFormat }) => [-quantFormat.qualityRank, -model.parameters]],
    ["MOST_CONTEXT", ({ model, maxContext }) => [-Math.min(maxContext, model.contextLength), -model.parameters]],
    ["MOST_HEADROOM", ({ headroom }) => [-headroom.bytes]],
    ["SMALLEST", ({ total }) => [total.bytes]],
  ])("sorts by %s, over pages of any size", async (sort, keysOf) => {
    const filter = { model: models, bitsPerWeight: { gte: 2 } };
    const rows = await findAll({ sort, filter, first: 37 });
    const expected = rows.toSorted((a, b) => {
      const [left, right] = [keysOf(a), keysOf(b)];
      const at = left.findIndex((value, index) => value !== right[index]);
      return at === -1 ? 0 : (left[at] ?? 0) < (right[at] ?? 0) ? -1 : 1;
    });
    expect(rows.map(nameOf)).toEqual(expected.map(nameOf));
    expect(new Set(rows.map(nameOf)).size).toBe(rows.length);
    expect((await find({ filter })).totalCount).toBe(rows.length);
  });

  it.each<[string, Record<string, unknown>, Record<string, unknown>]>([
    ["llama.cpp on unequal cards", mixed, {}],
    ["llama.cpp beside a draft model", card, { extras }],
    ["llama.cpp with experts in host memory", card, { runtime: { llamaCpp: { cpuMoeLayers: 4 } } }],
    ["vLLM on eight cards", eight, { sequences: 16, runtime: { vllm: {} } }],
  ])("sorts by speed, which is the estimate's, and by which tokens cost: %s", async (_, hardware, settings) => {
    const speed =
      "speed { throughput { value } prefill { value } timeToFirstToken { value } decode { low high } limit }";
    const cost = "cost { usdPerHour usdPerMillionOutputTokens breakEvenMonths }";
    const rows = (await findAll(
      {
        hardware,
        settings,
        sort: "FASTEST",
        filter: { model: models, quantFormat: ["q4_k_m", "q8_0", "bf16", "fp8"] },
      },
      `nodes { ${fields} ${speed} ${cost} estimate { ${speed} ${cost} } }`,
    )) as (Row & { speed: Record<string, { value: number }>; cost: Record<string, number>; estimate: object })[];
    expect(rows.length).toBeGreaterThan(1);
    for (const { speed, cost, estimate } of rows) expect({ speed, cost }).toEqual(estimate);
    const rates = rows.map(({ speed }) => speed.throughput?.value ?? 0);
    expect(rates).toEqual(rates.toSorted((a, b) => b - a));
    expect(rates.at(-1)).toBeGreaterThan(0);
    for (const { cost, speed } of rows) {
      expect(cost.usdPerMillionOutputTokens).toBeCloseTo(
        ((cost.usdPerHour ?? 0) / 3600 / (speed.throughput?.value ?? 0)) * 1e6,
        6,
      );
    }
  });

  it("takes arguments of speed, and refuses those that make no sense", async () => {
    const { nodes } = await find(
      { filter: { model: "llama-3.1-8b", quantFormat: "q4_k_m" } },
      "nodes { short: speed(depth: 0) { decode { value } } long: speed(depth: 8192) { decode { value } } }",
    );
    const [{ short, long }] = nodes as unknown as [Record<"short" | "long", { decode: { value: number } }>];
    expect(short.decode.value).toBeGreaterThan(long.decode.value);
    const { errors } = await ask({ filter: { model: "llama-3.1-8b" } }, "nodes { speed(depth: -1) { limit } }");
    expect(errors?.[0]?.extensions).toMatchObject({ code: "BAD_USER_INPUT", argument: ["depth"] });
  });

  it("leaves out models that cannot have what is to stand beside them", async () => {
    const slugs = async (beside: object) => {
      const filter = { model: [...models, "deepseek-v3", "qwen3.5-9b"], bestFormatOnly: true };
      const page = await find({ hardware: eight, settings: { extras: beside }, filter });
      return page.nodes.map(({ model }) => model.slug).sort();
    };
    expect(await slugs({ draftModel: extras.draftModel })).toEqual(["llama-3.1-70b-instruct", "llama-3.1-8b-instruct"]);
    expect(await slugs({ predictionHead: {} })).toEqual(["deepseek-v3", "qwen3.5-9b"]);
    expect(await slugs({ vision: {} })).toEqual(["gemma-3-27b-it", "qwen3.5-9b"]);
  });

  it("sorts by release, unknown months last, and refuses a cursor of another order", async () => {
    const page = await find({ sort: "NEWEST", filter: { model: models, bestFormatOnly: true }, first: 2 });
    const months = page.nodes.map(({ model }) => model.releasedOn ?? "");
    expect(months).toEqual(months.toSorted().reverse());
    const { errors } = await ask({ sort: "SMALLEST", filter: { model: models }, after: page.pageInfo.endCursor });
    expect(errors?.[0]?.extensions).toMatchObject({ code: "BAD_USER_INPUT", argument: ["after"] });
  });

  it("leaves out models trained for less, or caps them at what they were trained for", async () => {
    const filter = { model: ["llama-2-7b-chat-hf", "llama-3.1-8b"], quantFormat: "q4_k_m" };
    const left = await find({ filter });
    expect(left.nodes.map(({ model }) => model.slug)).toEqual(["llama-3.1-8b"]);
    const { nodes } = await find({ filter, settings: { shortContext: "CAP" } });
    expect(nodes.map(({ model, context }) => [model.slug, context])).toEqual([
      ["llama-3.1-8b", 8192],
      ["llama-2-7b-chat-hf", 4096],
    ]);
  });

  it.each<[string, Record<string, unknown>, RegExp]>([
    ["no such model", { filter: { search: "nothing is called this" } }, /No model .*search/],
    ["a family of none", { filter: { family: "Llama 9" } }, /No model .*family/],
    ["formats of other engines", { filter: { quantFormat: "fp8" } }, /llama\.cpp loads: .*q4_k_m/],
    ["too little training", { filter: { model: "llama-2-7b-chat-hf" } }, /trained for less than 8,192 tokens/],
    ["too large", { filter: { model: "deepseek-v3" } }, /DeepSeek V3 in \S+ with 8,192 tokens is [\d.]+ GiB too large/],
    ["too little headroom", { filter: { model: models, minHeadroomGib: 30 } }, /none leaves 30 GiB free/],
    ["too little context", { filter: { model: models, minContext: 2e9 } }, /none allows 2,000,000,000 tokens/],
    [
      "an engine that does not run on the card",
      {
        hardware: { gpus: [{ gpu: "nvidia-v100-32gb-sxm2", count: 8 }] },
        settings: { runtime: { vllm: {} } },
        filter: { model: "llama-3.1-8b" },
      },
      /no kernels for any model on .*V100.*: it needs compute capability 7\.5/,
    ],
    [
      "formats without kernels on the card",
      {
        hardware: eight,
        settings: { runtime: { tensorrtLlm: {} } },
        filter: { model: "llama-3.1-8b", quantFormat: "nvfp4" },
      },
      /no kernels for NVFP4 weights on .*H100.*: they need compute capability 10\.0/,
    ],
    [
      "a draft model of another vocabulary",
      { settings: { extras }, filter: { model: ["gpt-oss-20b", "gemma-3-27b-it"] } },
      /leaves out 2 of 2: .*another vocabulary: 128,256 tokens/,
    ],
    [
      "no prediction blocks, or too large",
      { settings: { extras: { predictionHead: {} } }, filter: { model: ["deepseek-v3", "llama-3.1-8b"] } },
      /too large .*leaves out 1 of 2: .*prediction blocks/,
    ],
    [
      "no legal split",
      {
        hardware: { gpus: [{ gpu: "nvidia-h100-sxm5-80gb", count: 97 }] },
        settings: { runtime: { vllm: {} } },
        filter: { model: models },
      },
      /vLLM takes none of the models/,
    ],
  ])("is empty with the reason: %s", async (_, variables, reason) => {
    const page = await find(variables);
    expect(page).toMatchObject({ nodes: [], totalCount: 0 });
    expect(page.reason).toMatch(reason);
  });

  it("says what comes nearest, and by how much", async () => {
    const filter = {
      model: ["llama-3.1-70b-instruct", "deepseek-v3", "llama-3.1-8b"],
      quantFormat: ["q4_k_m", "q8_0"],
    };
    const page = await find(
      { filter },
      `nodes { model { slug } } nearest { message shortBy ${size} model { slug } quantFormat { slug } }`,
    );
    expect(page.reason).toBeNull();
    expect(page.nearest.map(nameOf as never)).toEqual(["llama-3.1-70b-instruct q4_k_m", "deepseek-v3 q4_k_m"]);
    const { data } = await seeded.server.query(
      `query ($input: EstimateInput!) { estimate(input: $input) { fits devices { free ${size} } } }`,
      { input: { model: { slug: "llama-3.1-70b-instruct" }, quant: "q4_k_m", hardware: card } },
    );
    const missing = -data.estimate.devices[0].free.bytes;
    // What the driver holds is missing as well.
    expect(page.nearest[0]?.shortBy.bytes).toBeGreaterThanOrEqual(missing);
    expect(page.nearest[0]?.shortBy.bytes).toBeLessThan(missing + 2 ** 30);
  });

  it.each<[string, Record<string, unknown>, string[]]>([
    ["an unknown card", { hardware: { gpus: [{ gpu: "h1000" }] } }, ["hardware", "gpus", "0", "gpu"]],
    [
      "a version that the engine never had",
      { hardware: card, settings: { runtime: { mlx: { version: "2024-12" } } } },
      ["settings", "runtime", "mlx", "version"],
    ],
    [
      "no card",
      { hardware: { gpus: [{ gpu: "nvidia-rtx-4090-24gb", count: 0 }] } },
      ["hardware", "gpus", "0", "count"],
    ],
    [
      "a million cards",
      { hardware: { gpus: [{ gpu: "nvidia-rtx-4090-24gb", count: 1_000_000 }] } },
      ["hardware", "gpus", "0", "count"],
    ],
    ["an unknown system", { hardware: { system: "nope" } }, ["hardware", "system"]],
    ["no context", { settings: { context: 0 } }, ["settings", "context"]],
    ["no sequences", { settings: { sequences: 0 } }, ["settings", "sequences"]],
    ["an unknown cache type", { settings: { cacheTypeK: "q9" } }, ["settings", "cacheTypeK"]],
    [
      "no microbatch",
      { settings: { runtime: { llamaCpp: { ubatchSize: 0 } } }, filter: { model: models } },
      ["settings", "runtime", "llamaCpp", "ubatchSize"],
    ],
    ["adapters of no rank", { settings: { extras: { lora: { rank: 0 } } } }, ["settings", "extras", "lora", "rank"]],
    [
      "an unknown draft model",
      { settings: { extras: { draftModel: { model: { slug: "llama-0" }, quant: "q8_0" } } } },
      ["settings", "extras", "draftModel", "model", "slug"],
    ],
    [
      "less than no display",
      { settings: { extras: { displayReserveMib: -1 } } },
      ["settings", "extras", "displayReserveMib"],
    ],
    ["an unknown model", { filter: { model: ["llama-3.1-8b", "llama-3.1-9b"] } }, ["filter", "model", "1"]],
    ["an unknown format", { filter: { quantFormat: "q4km" } }, ["filter", "quantFormat", "0"]],
    ["a range of nothing", { filter: { parameters: { gte: 5, lte: 4 } } }, ["filter", "parameters"]],
    ["months of nothing", { filter: { releasedOn: { gte: "2025-02", lte: "2025-01" } } }, ["filter", "releasedOn"]],
    ["less than no headroom", { filter: { minHeadroomGib: -1 } }, ["filter", "minHeadroomGib"]],
    ["a context of none at least", { filter: { minContext: 0 } }, ["filter", "minContext"]],
    ["a page of a thousand", { first: 1000 }, ["first"]],
    ["a cursor that is none", { after: "cursor" }, ["after"]],
    ["a search of a novel", { filter: { search: "x".repeat(300) } }, ["filter", "search"]],
  ])("refuses %s, naming the argument", async (_, variables, argument) => {
    const { errors } = await ask(variables);
    expect(errors).toHaveLength(1);
    expect(errors?.[0]?.extensions).toMatchObject({ code: "BAD_USER_INPUT", argument });
    expect(errors?.[0]?.message).toMatch(/^.{15,1000}$/s);
  });

  it("names the nearest slugs", async () => {
    const { errors } = await ask({ filter: { model: "llama-3.1-9b" } });
    expect(errors?.[0]?.extensions.suggestions).toContain("llama-3.1-8b");
  });

  it("runs no SQL", async () => {
    const statements = await recordStatements(seeded.database, () =>
      find(
        { filter: { model: models }, first: 10 },
        `nodes { ${fields} model { files { totalCount } } estimate { weights { file { slug } } } } nearest { message }`,
      ),
    );
    expect(statements).toEqual([]);
  });
});

describe("the best format of an estimate", () => {
  const query = `query ($input: EstimateInput!) { estimate(input: $input) {
    bestQuantFormat { quantFormat { slug } headroom ${size} estimate { fits total ${size} catalogVersion } } } }`;
  const best = async (input: Record<string, unknown>) => {
    const { data, errors } = await seeded.server.query(query, { input: { quant: "q2_k", ...input } });
    expect(errors).toBeUndefined();
    return data.estimate.bestQuantFormat;
  };

  it("is the first row of what the card can run, and no better one fits", async () => {
    for (const slug of models) {
      const found = await best({ model: { slug }, hardware: card });
      const { nodes } = await find({ filter: { model: slug, bestFormatOnly: true } });
      expect(found?.quantFormat.slug).toBe(nodes[0]?.quantFormat.slug);
      if (found === null) continue;
      expect(found).toMatchObject({ headroom: nodes[0]?.headroom, estimate: { fits: true, total: nodes[0]?.total } });
    }
  });

  it("is found for a pasted config, and for an engine that loads checkpoints", async () => {
    const huggingFaceConfig = {
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
      tie_word_embeddings: false,
      torch_dtype: "bfloat16",
    };
    const small = { gpus: [{ gpu: "nvidia-rtx-4060-ti-16gb", count: 1 }] };
    const model = { huggingFaceConfig };
    const inLlamaCpp = await best({ model, hardware: small, context: 32_768 });
    expect(inLlamaCpp).toMatchObject({ quantFormat: { slug: "q8_0" }, estimate: { fits: true } });
    const inVllm = await best({ model, hardware: small, quant: "bf16", runtime: { vllm: {} } });
    expect(inVllm?.quantFormat.slug).toMatch(/^(fp8|mxfp8|fp8-channel)$/);
  });

  it("is none without hardware, and where nothing fits", async () => {
    expect(await best({ model: { slug: "llama-3.1-8b" } })).toBeNull();
    expect(await best({ model: { slug: "deepseek-v3" }, hardware: card })).toBeNull();
  });
});
