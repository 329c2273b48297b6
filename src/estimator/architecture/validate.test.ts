import { readdirSync, readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Architecture } from "./architecture.js";
import { ConfigError } from "./config-error.js";
import { architectureFromConfig } from "./from-config.js";
import { MAX_LAYERS } from "./limits.js";
import { assertArchitecture } from "./validate.js";

const FIXTURES = new URL("../../../test/fixtures/configs/", import.meta.url);
const architectures = readdirSync(FIXTURES).map((file) =>
  architectureFromConfig(JSON.parse(readFileSync(new URL(file, FIXTURES), "utf8"))),
);

const SMALL: Architecture = {
  schemaVersion: 1,
  modelType: "llama",
  ggufArchitecture: "llama",
  vocabularySize: 1000,
  hiddenSize: 64,
  contextLength: 2048,
  tiedEmbeddings: false,
  hasOutput: true,
  blocks: {
    dense: {
      attention: { kind: "grouped", heads: 4, kvHeads: 2, keyDim: 16, valueDim: 16 },
      feedForward: { size: 128, gated: true },
      tensors: [{ name: "attn_norm.weight", shape: [64], role: "NORM" }],
    },
  },
  layers: ["dense", "dense"],
  tensors: [],
};

/** The small description with one value replaced. */
function changed(path: (string | number)[], value: unknown): unknown {
  const copy = structuredClone(SMALL) as unknown as Record<string | number, never>;
  const owner = path.slice(0, -1).reduce<Record<string | number, never>>((inner, key) => inner[key] as never, copy);
  owner[path[path.length - 1] ?? ""] = value as never;
  return copy;
}

function refusalOf(value: unknown): ConfigError {
  try {
    assertArchitecture(value);
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
  throw new Error("The description was accepted.");
}

describe("assertArchitecture", () => {
  it("accepts every description that a config gives, also read back from JSON", () => {
    expect(assertArchitecture(SMALL)).toBe(SMALL);
    for (const architecture of architectures) {
      expect(() => assertArchitecture(JSON.parse(JSON.stringify(architecture)))).not.toThrow();
    }
  });

  it.each<[(string | number)[], unknown]>([
    [["schemaVersion"], 2],
    [["modelType"], undefined],
    [["vocabularySize"], 0],
    [["hiddenSize"], "64"],
    [["hiddenSize"], 1e9],
    [["contextLength"], 2 ** 31],
    [["tiedEmbeddings"], undefined],
    [["hasOutput"], 1],
    [["blocks"], []],
    [["blocks", "dense", "attention", "kind"], "global"],
    [["blocks", "dense", "attention", "heads"], 0],
    [["blocks", "dense", "attention", "kvHeads"], 3],
    [["blocks", "dense", "attention", "valueDim"], 1.5],
    [["blocks", "dense", "attention", "sharesCache"], "yes"],
    [["blocks", "dense", "feedForward", "size"], -1],
    [["blocks", "dense", "tensors"], undefined],
    [["blocks", "dense", "tensors", 0, "role"], "norm"],
    [["blocks", "dense", "tensors", 0, "shape"], undefined],
    [["blocks", "dense", "tensors", 0, "shape", 0], 0],
    [["layers"], []],
    [["layers", 1], "moe"],
    [["layers", 0], 7],
    [["layers"], Array(MAX_LAYERS + 1).fill("dense")],
    [["tensors"], undefined],
  ])("refuses %j as %j", (path, value) => {
    expect(refusalOf(changed(path, value))).toMatchObject({ code: "INVALID", path });
  });

  it("refuses a window of nothing, experts that contradict, and recurrent groups that do not divide", () => {
    const attention = ["blocks", "dense", "attention"];
    expect(refusalOf(changed([...attention, "window"], { kind: "sliding", size: 0 })).path).toEqual([
      ...attention,
      "window",
      "size",
    ]);
    const experts = ["blocks", "dense", "experts"];
    expect(refusalOf(changed(experts, { count: 4, used: 5, size: 8, gated: true })).path).toEqual([...experts, "used"]);
    const recurrent = ["blocks", "dense", "recurrent"];
    const mamba = { kind: "mamba2", innerSize: 10, stateSize: 4, heads: 2, groups: 3, convKernel: 4 };
    expect(refusalOf(changed(recurrent, mamba)).path).toEqual([...recurrent, "groups"]);
  });

  it("refuses what adds up to more parameters than any model has", () => {
    const wide = {
      ...SMALL,
      hiddenSize: 2 ** 24,
      blocks: { dense: { feedForward: { size: 2 ** 24, gated: true }, tensors: [] } },
    };
    expect(refusalOf(wide)).toMatchObject({ code: "INVALID", path: [] });
  });

  it("never throws anything but a ConfigError", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(refusalOf(value)).toBeInstanceOf(ConfigError);
      }),
    );
    const keys = fc.constantFrom(...Object.keys(SMALL));
    fc.assert(
      fc.property(keys, fc.anything({ maxDepth: 3 }), (key, value) => {
        try {
          assertArchitecture(changed([key], value));
        } catch (error) {
          expect(error).toBeInstanceOf(ConfigError);
        }
      }),
      { numRuns: 500 },
    );
  });
});
