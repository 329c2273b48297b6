import { describe, expect, it } from "vitest";
import { SMALL_ARCHITECTURE } from "../../../../test/fixtures/small-seed.js";
import type { Architecture, Block } from "../../../estimator/architecture/architecture.js";
import { classifyAttention, deriveModelColumns } from "./model-columns.js";

const grouped = (heads: number, kvHeads: number): Block => ({
  attention: { kind: "grouped", heads, kvHeads, keyDim: 8, valueDim: 8 },
  tensors: [],
});
const recurrent: Block = {
  recurrent: { kind: "mamba2", innerSize: 128, stateSize: 16, heads: 8, groups: 1, convKernel: 4 },
  tensors: [],
};
const latent = { kind: "latent", heads: 8, queryRank: null, kvRank: 16, ropeDim: 4, nopeDim: 8, valueDim: 8 } as const;

function withLayers(layers: Block[], changes: Partial<Architecture> = {}): Architecture {
  const blocks = Object.fromEntries(layers.map((block, index) => [`b${index}`, block]));
  return { ...SMALL_ARCHITECTURE, blocks, layers: Object.keys(blocks), ...changes };
}

describe("deriveModelColumns", () => {
  it("counts parameters tensor by tensor", () => {
    // Embedding and output 2 x 64 x 1000, final norm 64; a layer: q and o 2 x 64 x 64, k and v 2 x 64 x 16,
    // gate, up and down 3 x 64 x 128, two norms.
    const parameters = 2 * 64_000 + 64 + 2 * (2 * 4_096 + 2 * 1_024 + 3 * 8_192 + 128);
    expect(deriveModelColumns(SMALL_ARCHITECTURE)).toEqual({
      parameters,
      activeParameters: parameters,
      contextLength: 4_096,
      attention: "GROUPED_QUERY",
      experts: 0,
      architectureVersion: 1,
    });
  });

  it("counts only the experts that a token passes as active", () => {
    const experts = { count: 8, used: 2, size: 32, gated: true };
    const columns = deriveModelColumns(withLayers([{ ...grouped(8, 2), experts }]));
    // Three matrices of 64 x 32 an expert, of which 6 of 8 are idle.
    expect(columns.parameters - columns.activeParameters).toBe(6 * 3 * 64 * 32);
    expect(columns.experts).toBe(8);
  });
});

describe("classifyAttention", () => {
  it.each([
    ["MULTI_HEAD", [grouped(8, 8)]],
    ["GROUPED_QUERY", [grouped(8, 2)]],
    ["MULTI_QUERY", [grouped(8, 1)]],
    ["GROUPED_QUERY", [grouped(8, 8), grouped(8, 2), grouped(8, 2)]],
    [
      "SLIDING_WINDOW",
      [
        {
          attention: {
            kind: "grouped",
            heads: 8,
            kvHeads: 2,
            keyDim: 8,
            valueDim: 8,
            window: { kind: "sliding", size: 128 },
          },
          tensors: [],
        },
        grouped(8, 2),
      ],
    ],
    ["LATENT", [{ attention: latent, tensors: [] }]],
    ["SPARSE_LATENT", [{ attention: { ...latent, indexer: { heads: 4, keyDim: 8, topK: 64 } }, tensors: [] }]],
    ["HYBRID", [recurrent, grouped(8, 2)]],
    ["RECURRENT", [recurrent, recurrent]],
  ] as [string, Block[]][])("%s", (kind, layers) => {
    expect(classifyAttention(withLayers(layers))).toBe(kind);
  });

  it("is ENCODER without an output", () => {
    expect(classifyAttention(withLayers([grouped(8, 8)], { hasOutput: false }))).toBe("ENCODER");
  });
});
