import { describe, expect, it } from "vitest";
import { createSmallSeed, SMALL_ARCHITECTURE } from "../../../../test/fixtures/small-seed.js";
import { checkRow } from "./check-row.js";
import { ENTITIES, type EntityName, type EntityRules } from "./entities.js";

function rulesOf(entity: EntityName): EntityRules {
  const rules = ENTITIES.find((candidate) => candidate.entity === entity);
  if (!rules) throw new Error(`no rules for ${entity}`);
  return rules;
}

/** What is wrong with a valid row after some of its fields were replaced: "path: message" each. */
function problemsOf(entity: EntityName, changes: Record<string, unknown>): string[] {
  const [row] = createSmallSeed()[entity];
  const checked = checkRow(rulesOf(entity), { ...row, ...changes });
  return checked.ok ? [] : checked.problems.map(({ path, message }) => `${path.join(".")}: ${message}`);
}

describe("checkRow", () => {
  it.each(ENTITIES.map(({ entity }) => entity))("takes a valid row of %s", (entity) => {
    expect(problemsOf(entity, {})).toEqual([]);
  });

  it("fills in null for what may be absent, and defaults", () => {
    const checked = checkRow(rulesOf("gpus"), createSmallSeed().gpus[0]);
    expect(checked.ok && checked.input).toMatchObject({ tdpWatts: null, notes: null, usdPerHour: null });
    const scenario = checkRow(rulesOf("scenarios"), createSmallSeed().scenarios[0]);
    expect(scenario.ok && scenario.input).toMatchObject({ sequences: 1, settings: {} });
  });

  it("refuses what the database cannot hold, at any depth", () => {
    expect(problemsOf("gpus", { notes: "a\0b" })).toEqual([expect.stringMatching(/^notes: .*NUL/)]);
    expect(problemsOf("measurements", { settings: { deep: [{ text: "\ud800" }], "k\0": 1 } })).toEqual([
      expect.stringMatching(/^settings\.deep\.0\.text: .*surrogate/),
      expect.stringMatching(/^settings: .*key/),
    ]);
    expect(problemsOf("gpus", { notes: "\u{1f600} שלום" })).toEqual([]);
  });

  it("refuses the key that would get lost on the way, at any depth", () => {
    const hostile: unknown = JSON.parse('{"a": 1, "deep": [{"__proto__": {"x": 1}}], "__proto__": {"y": 2}}');
    expect(problemsOf("measurements", { settings: hostile })).toEqual([
      'settings.deep.0: must not have the key "__proto__"',
      'settings: must not have the key "__proto__"',
    ]);
    const named = { constructor: { prototype: 1 }, toString: "x" };
    expect(checkRow(rulesOf("runtimes"), { ...createSmallSeed().runtimes[0], constants: named })).toMatchObject({
      ok: true,
      input: { constants: named },
    });
  });

  it("tells everything that is wrong at once", () => {
    expect(
      problemsOf("gpus", {
        slug: "Not A Slug",
        memoryNominalGib: -3,
        vendor: undefined,
        supportsFp8: "yes",
        color: "green",
      }),
    ).toEqual([
      'slug: must be lower-case letters and digits, joined by single ".", "_" or "-"; it is "Not A Slug"',
      "vendor: is missing; it must be a string",
      "memoryNominalGib: must be greater than 0; it is -3",
      'supportsFp8: must be a boolean; it is "yes"',
      "color: is not a field of a GPU",
    ]);
  });

  it.each(["", "UPPER", "two words", "a--b", "-a", "a-", "a/b", "ä", "a".repeat(121), "a\n"])(
    "refuses the slug %j",
    (slug) => {
      expect(problemsOf("runtimes", { slug })).toHaveLength(1);
    },
  );

  it.each(["a", "llama-3.1-8b", "q4_k_m", "gpt-oss-120b", "0x"])("takes the slug %j", (slug) => {
    expect(problemsOf("runtimes", { slug })).toEqual([]);
  });

  it.each([
    [[], "sources: must name at least one source; it is []"],
    [undefined, "sources: is missing; it must be an array"],
    [[{ title: "" }], 'sources.0.title: must not be empty; it is ""'],
    [
      [{ title: "a", url: "http://example.org" }],
      'sources.0.url: must be an address that begins with "https://"; it is "http://example.org"',
    ],
    [
      [{ title: "a", url: "javascript:alert(1)" }],
      'sources.0.url: must be an address that begins with "https://"; it is "javascript:alert(1)"',
    ],
    [
      [{ title: "a", link: "https://example.org" }],
      'sources.0: has unknown fields: link; it is {"title":"a","link":"https://example.org"}',
    ],
  ])("refuses the sources %j", (sources, problem) => {
    expect(problemsOf("systems", { sources })).toEqual([problem]);
  });

  it.each([
    ["systems", "gpuCount", 0, "must be at least 1; it is 0"],
    ["systems", "gpuCount", 1.5, "must be a whole number; it is 1.5"],
    ["systems", "gpuCount", "8", 'must be a whole number; it is "8"'],
    ["systems", "gpuCount", 1_025, "must be at most 1024; it is 1025"],
    ["systems", "hostMemoryGib", 2 ** 21, "must be at most 1048576 GiB; it is 2097152"],
    ["gpus", "memoryNominalGib", 81_920, "must be at most 4096 GiB; it is 81920"],
    ["systems", "usdPerHour", -1, "must not be negative; it is -1"],
    ["systems", "kind", "LAPTOP", 'must be one of CLOUD, BOX; it is "LAPTOP"'],
    ["modelFiles", "sizeBytes", 0, "must be at least 1; it is 0"],
    ["modelFiles", "sizeBytes", 2 ** 53, "must be a whole number below 2^53; it is 9007199254740992"],
    ["scenarios", "context", 0, "must be at least 1; it is 0"],
    ["scenarios", "context", 2 ** 31, "must be at most 2147483647; it is 2147483648"],
    ["scenarios", "sequences", 0, "must be at least 1; it is 0"],
    ["scenarios", "answer", "", 'must not be empty; it is ""'],
    ["measurements", "measured", {}, "must have at least one figure"],
    ["measurements", "contextTokens", "4K", 'must be a whole number; it is "4K"'],
    [
      "measurements",
      "observedOn",
      "2026-13",
      'must be a date such as "2024-12-26", "2024-12" or "2024"; it is "2026-13"',
    ],
    [
      "models",
      "huggingFaceRepo",
      "https://huggingface.co/a/b",
      'must be a repository such as "owner/model", without the site; it is "https://huggingface.co/a/b"',
    ],
    ["gpus", "memoryUsableMib", 24_565, "must not exceed what is visible, 24564 MiB; it is 24565"],
    ["gpus", "memoryVisibleMib", 24_577, "must not exceed the nominal memory, 24576 MiB; it is 24577"],
    ["gpus", "name", "two\nlines", 'must be one line without control characters; it is "two\\nlines"'],
    ["gpus", "name", "\u200b\u202e", 'must have something in it that can be seen; it is "\u200b\u202e"'],
    ["gpus", "streetPriceAsOf", "2026-02-29", 'must be a day of the calendar; it is "2026-02-29"'],
    ["gpus", "usdPerHourAsOf", "2026-04-31", 'must be a day of the calendar; it is "2026-04-31"'],
    ["kvCacheTypes", "runtimes", [], "must name at least one runtime; it is []"],
    ["kvCacheTypes", "runtimes", ["llama-cpp", "llama-cpp"], "must not name a runtime twice"],
  ] as [EntityName, string, unknown, string][])("refuses %s with %s %j", (entity, field, value, message) => {
    expect(problemsOf(entity, { [field]: value })).toEqual([`${field}: ${message}`]);
  });

  it.each([null, 1, "text", [], undefined])("refuses %j as a row", (row) => {
    const checked = checkRow(rulesOf("gpus"), row);
    expect(checked.ok).toBe(false);
  });
});

describe("the rules of a runtime", () => {
  it("refuse constants that the engine of this slug cannot be computed with", () => {
    const constants = { speed: { basis: "made up" } };
    expect(problemsOf("runtimes", { constants })).toEqual([
      expect.stringMatching(/^constants: cannot be used: .*llama-cpp.*[^.]$/),
    ]);
    expect(problemsOf("runtimes", { slug: "vllm", constants: {} })).toEqual([
      expect.stringMatching(/^constants: cannot be used: /),
    ]);
    expect(problemsOf("runtimes", { slug: "another-engine", constants })).toEqual([]);
  });
});

describe("the rules of a model", () => {
  it("name the place in its architecture", () => {
    const architecture = { ...SMALL_ARCHITECTURE, layers: ["dense", "sparse"] };
    expect(problemsOf("models", { architecture })).toEqual([
      'architecture.layers.1: cannot be used: layers[1] names the block "sparse", which is not in blocks',
    ]);
    expect(problemsOf("models", { architecture: { ...SMALL_ARCHITECTURE, hiddenSize: "64" } })).toEqual([
      expect.stringMatching(/^architecture\.hiddenSize: /),
    ]);
    expect(problemsOf("models", { architecture: undefined })).toEqual([expect.stringMatching(/^architecture: /)]);
  });

  it("do not take columns that are computed", () => {
    expect(problemsOf("models", { parameters: 7, attention: "LATENT" })).toEqual([
      "parameters: is not a field of a model",
    ]);
  });
});

describe("the rules of a quantization's scheme", () => {
  const uniform = {
    kind: "uniform",
    type: "int4-g128",
    weightBits: 4,
    scales: [{ per: "group", groupSize: 128, bits: 16 }],
    quantizedRoles: ["ATTENTION", "FEED_FORWARD"],
    restBits: 16,
  };

  it("take every kind", () => {
    expect(problemsOf("quantFormats", { scheme: uniform })).toEqual([]);
    const table = {
      ...uniform,
      scales: [{ per: "tensor", bits: 512 }],
      overrides: [{ type: "fp8", weightBits: 8, scales: [], roles: ["ATTENTION"] }],
    };
    expect(problemsOf("quantFormats", { scheme: table })).toEqual([]);
    const average = {
      kind: "average",
      type: "exl2",
      bitsPerWeight: 4.25,
      outputBits: 6,
      quantizedRoles: ["EXPERTS"],
      restBits: 16,
    };
    expect(problemsOf("quantFormats", { scheme: average })).toEqual([]);
  });

  it.each([
    [{ kind: "magic" }, /^scheme\.kind: names an unknown kind/],
    [{ kind: "ggml", fileType: "Q4_K_XL" }, /^scheme\.fileType: must be a file type of llama-quantize/],
    [{ kind: "ggml", fileType: "Q4_K_M", outputType: "Q9_9" }, /^scheme\.outputType: must be a ggml type/],
    [{ ...uniform, quantizedRoles: ["HEADS"] }, /^scheme\.quantizedRoles\.0: must be one of TOKEN_EMBEDDING/],
    [{ ...uniform, scales: [{ per: "group", bits: 16 }] }, /^scheme\.scales\.0\.groupSize: is missing/],
    [{ ...uniform, weightBits: 0 }, /^scheme\.weightBits: must be greater than 0/],
    [null, /^scheme: /],
  ])("refuse %j", (scheme, problem) => {
    expect(problemsOf("quantFormats", { scheme })).toEqual([expect.stringMatching(problem)]);
  });
});
