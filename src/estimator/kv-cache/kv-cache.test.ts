import { describe, expect, it } from "vitest";
import type { Attention, Block } from "../architecture/architecture.js";
import { F16_CACHE } from "./cache-type.js";
import { fullCells, windowCells } from "./cell-counts.js";
import { blockCaches, type CacheSettings } from "./layer-caches.js";
import { groupCaches, growthPerToken } from "./summarize-cache.js";

const SETTINGS: CacheSettings = {
  contextTokens: 131_072,
  sequences: 1,
  unified: true,
  swaFull: false,
  ubatchTokens: 512,
  typeK: F16_CACHE,
  typeV: F16_CACHE,
};
const MIB = 2 ** 20;
const HIDDEN = 4096;

function block(attention: Attention): Block {
  return { attention, tensors: [] };
}
function bytesOf(described: Block, settings = SETTINGS): number {
  return blockCaches(described, HIDDEN, settings).reduce((sum, cache) => sum + cache.bytes, 0);
}

describe("cells", () => {
  it("are padded to 256 and shared by all sequences when unified", () => {
    expect(fullCells({ ...SETTINGS, contextTokens: 1000 })).toEqual({ cells: 1024, streams: 1 });
    expect(fullCells({ ...SETTINGS, contextTokens: 1000, sequences: 4 })).toEqual({ cells: 4096, streams: 1 });
    expect(fullCells({ ...SETTINGS, contextTokens: 1000, sequences: 4, unified: false })).toEqual({
      cells: 1024,
      streams: 4,
    });
  });

  it("of a window hold it and one microbatch, for each sequence of a shared buffer", () => {
    expect(windowCells(1024, SETTINGS).cells).toBe(1536);
    expect(windowCells(128, SETTINGS).cells).toBe(768);
    expect(windowCells(128, { ...SETTINGS, sequences: 4, contextTokens: 8192 }).cells).toBe(1024);
    expect(windowCells(128, { ...SETTINGS, sequences: 4, unified: false })).toEqual({ cells: 768, streams: 4 });
    expect(windowCells(4096, { ...SETTINGS, contextTokens: 2048 }).cells).toBe(2048);
    expect(windowCells(128, { ...SETTINGS, swaFull: true }).cells).toBe(131_072);
  });
});

describe("caches of a layer", () => {
  it("grouped attention: Llama-3.1-8B has 512 MiB a layer at 131,072 tokens", () => {
    expect(bytesOf(block({ kind: "grouped", heads: 32, kvHeads: 8, keyDim: 128, valueDim: 128 }))).toBe(512 * MIB);
  });

  const latent = block({
    kind: "latent",
    heads: 128,
    queryRank: 1536,
    kvRank: 512,
    ropeDim: 64,
    nopeDim: 128,
    valueDim: 128,
  });

  it("latent attention: 576 values a token and layer, no V; 70,272 bytes over DeepSeek-V3's 61 layers", () => {
    const caches = blockCaches(latent, HIDDEN, SETTINGS);
    expect(growthPerToken(new Array(61).fill(caches), 131_072)).toBe(70_272);
    expect(61 * bytesOf(latent)).toBe(9_210_691_584);
  });

  it("latent attention at q8_0: 4,666.5 MiB over 61 layers", () => {
    const q8 = { slug: "q8_0", blockElements: 32, blockBytes: 34 };
    expect((61 * bytesOf(latent, { ...SETTINGS, typeK: q8, typeV: q8 })) / MIB).toBe(4666.5);
  });

  it("Gemma-3-27B: 10 full and 52 sliding layers", () => {
    const shape = { kind: "grouped", heads: 32, kvHeads: 16, keyDim: 128, valueDim: 128 } as const;
    const sliding = block({ ...shape, window: { kind: "sliding", size: 1024 } });
    expect((10 * bytesOf(block(shape)) + 52 * bytesOf(sliding)) / MIB).toBe(10_864);
  });

  it("recurrent state does not follow the context", () => {
    const net: Block = {
      recurrent: { kind: "gated-delta-net", keyHeads: 16, keyDim: 128, valueHeads: 48, valueDim: 128, convKernel: 4 },
      tensors: [],
    };
    const short = bytesOf(net, { ...SETTINGS, contextTokens: 256 });
    expect(bytesOf(net)).toBe(short);
    // Qwen3.5-27B: 149.62 MiB over 48 layers and one sequence.
    expect((48 * short) / MIB).toBeCloseTo(149.625, 3);
    expect(bytesOf(net, { ...SETTINGS, sequences: 4, contextTokens: 256 })).toBe(4 * short);
  });

  it("DeepSeek-V4: window, compressed entries, index keys and compressor state", () => {
    const attention = {
      kind: "compressed",
      heads: 64,
      keyDim: 512,
      ropeDim: 64,
      queryRank: 1024,
      outputGroups: 8,
      outputRank: 1024,
      window: { kind: "sliding", size: 128 },
    } as const;
    const settings = { ...SETTINGS, contextTokens: 8192 };
    const layers = [
      ...new Array(2).fill(blockCaches(block({ ...attention, compressRatio: 0 }), HIDDEN, settings)),
      ...new Array(21).fill(
        blockCaches(
          block({ ...attention, compressRatio: 4, indexer: { heads: 64, keyDim: 128, topK: 512 } }),
          HIDDEN,
          settings,
        ),
      ),
      ...new Array(20).fill(blockCaches(block({ ...attention, compressRatio: 128 }), HIDDEN, settings)),
    ];
    // llama.cpp, July 2026 build: 101.3906 MiB at 8192 tokens.
    expect(groupCaches(layers).reduce((sum, group) => sum + group.bytes, 0) / MIB).toBeCloseTo(101.3906, 4);
  });

  it("shared and uncached layers own none", () => {
    const shape = { kind: "grouped", heads: 8, kvHeads: 2, keyDim: 256, valueDim: 256 } as const;
    expect(bytesOf(block({ ...shape, sharesCache: true }))).toBe(0);
    expect(bytesOf(block({ ...shape, uncached: true }))).toBe(0);
  });
});
