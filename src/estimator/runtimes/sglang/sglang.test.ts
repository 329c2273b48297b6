import { describe, expect, it } from "vitest";
import {
  architectureOf,
  cards,
  constantsOf,
  GIB,
  madeUp,
  requestOf,
  schemeOf,
} from "../../../../test/fixtures/serving-requests.js";
import { estimate } from "../../estimate.js";
import type { EstimateRequest } from "../../estimate.types.js";
import { EstimateError } from "../../estimate-error.js";
import { estimateSglang, type SglangMemory } from "./estimate-sglang.js";
import { readSglangConstants } from "./read-sglang-constants.js";
import type { SglangSettings } from "./sglang.types.js";

const CONSTANTS = constantsOf("sglang");
const settingsOf = (settings: Partial<SglangSettings> = {}): SglangSettings => ({
  tensorParallel: 1,
  pipelineParallel: 1,
  expertParallel: false,
  dataParallelAttention: false,
  ...settings,
});
const run = (request: EstimateRequest, settings: Partial<SglangSettings> = {}, version?: string): SglangMemory =>
  estimateSglang(request, settingsOf(settings), readSglangConstants(CONSTANTS, version));
const within = (actual: number, expected: number): number => Math.abs(actual / expected - 1);
const FP8_CACHE = { slug: "fp8", blockElements: 1, blockBytes: 1 };

describe("start-up logs", () => {
  // SGLang prints "GB" for GiB. QwQ-32B on four L4 (March 2025) has the shape of Qwen3-32B but for 40 heads.
  it("fraction given: QwQ-32B over four L4 keeps 46,611 tokens", () => {
    const dense = { size: 27_648, gated: true };
    const qwq = {
      ...madeUp({ feedForward: dense }, { heads: 40 }),
      hiddenSize: 5120,
      vocabularySize: 152_064,
      layers: new Array<string>(64).fill("layer"),
    };
    const request = requestOf(qwq, { devices: cards(4, 22.05, "L4 24GB") });
    const memory = run(request, { tensorParallel: 4, memFractionStatic: 0.85, chunkedPrefillSize: 2048 }, "0.4");
    expect(memory.rates.full).toBe(65_536);
    expect(within(memory.pool?.tokens ?? 0, 46_611)).toBeLessThan(0.05);
  });

  it("fraction by size of card: Qwen3-30B-A3B-FP8 on an H100 keeps 392,920 tokens", () => {
    const request = requestOf(architectureOf("qwen3-30b-a3b"), { scheme: schemeOf("fp8"), devices: cards(1, 79.19) });
    const memory = run(request);
    expect(memory.fraction).toBeCloseTo(0.834, 3);
    expect(within((memory.parts[0]?.weights ?? 0) / GIB, 29.15)).toBeLessThan(0.01);
    expect(within(memory.pool?.tokens ?? 0, 392_920)).toBeLessThan(0.03);
  });

  it("fraction by number of devices in 0.4: Llama-3.1-8B on an H100 keeps 442,750 tokens", () => {
    const request = requestOf(architectureOf("meta-llama-3.1-8b"), { devices: cards(1, 79.19) });
    const memory = run(request, {}, "0.4");
    expect(memory.fraction).toBe(0.88);
    expect(within(memory.pool?.tokens ?? 0, 442_750)).toBeLessThan(0.02);
  });

  it("a latent cache is whole on each device: DeepSeek-R1 over eight H200 keeps about 509,000 tokens", () => {
    const request = requestOf(architectureOf("deepseek-v3"), { scheme: schemeOf("fp8"), devices: cards(8, 139.8) });
    const memory = run(request, { tensorParallel: 8, memFractionStatic: 0.82, chunkedPrefillSize: 32_768 });
    expect(memory.rates.full).toBe(70_272);
    expect(within(memory.pool?.tokens ?? 0, 509_000)).toBeLessThan(0.03);
  });

  it("0.4.6 clones the shared expert for each device: DeepSeek-R1 over eight MI308X takes 81.66 GiB", () => {
    const request = requestOf(architectureOf("deepseek-v3"), { scheme: schemeOf("fp8") });
    const weights = (version: string): number => run(request, { tensorParallel: 8 }, version).parts[0]?.weights ?? 0;
    expect(within(weights("0.4.6") / GIB, 81.66)).toBeLessThan(0.005);
    // Of 58 shared experts of 3 x 7168 x 2048 weights, seven eighths are held besides.
    expect(weights("0.4.6") - weights("0.5")).toBeCloseTo((7 / 8) * 58 * 3 * 7168 * 2048 * (1 + 4 / 128 ** 2), -7);
    expect(weights("0.4.4")).toBe(weights("0.4.7"));
  });

  it("rotary tables are in single precision: Llama-3.1-8B takes 15.02 GiB", () => {
    const request = requestOf(architectureOf("meta-llama-3.1-8b"));
    expect(within((run(request).parts[0]?.weights ?? 0) / GIB, 15.02)).toBeLessThan(0.001);
  });

  it("index keys in every layer: GLM-5.2 takes 55,224 bytes a token", () => {
    const request = requestOf(architectureOf("glm-5.2"), { cacheTypeK: FP8_CACHE });
    expect(run(request, { tensorParallel: 8 }).rates.full).toBe(78 * (576 + 132));
  });
});

describe("pools", () => {
  it("window layers keep 0.8 of the tokens, as MiMo-V2-Flash's log has it: 300,288 of 375,360", () => {
    const request = requestOf(architectureOf("mimo-v2-flash"), { scheme: schemeOf("fp8"), devices: cards(4, 140) });
    const { pool, rates } = run(request, { tensorParallel: 4 });
    expect(rates.windowed).toBeGreaterThan(rates.full);
    expect(pool?.tokens).toBe(Math.floor((pool?.bytesPerDevice ?? 0) / (rates.full + 0.8 * rates.windowed)));
  });

  it("data-parallel attention shares sequences instead of heads", () => {
    const architecture = architectureOf("deepseek-v3");
    const request = requestOf(architecture, { scheme: schemeOf("fp8"), sequences: 16 });
    const shared = run(request, { tensorParallel: 8, expertParallel: true });
    const parallel = run(request, { tensorParallel: 8, expertParallel: true, dataParallelAttention: true });
    expect(parallel.parts[0]?.kvCache).toBe((shared.parts[0]?.kvCache ?? 0) / 8);
    expect(parallel.parts[0]?.weights ?? 0).toBeGreaterThan(shared.parts[0]?.weights ?? 0);
  });

  it("fits exactly as long as the pool holds the sequences", () => {
    const estimateOf = (sequences: number) =>
      estimate({
        ...requestOf(madeUp(), { devices: cards(2, 40), sequences }),
        runtime: {
          kind: "sglang",
          settings: settingsOf({ tensorParallel: 2 }),
          constants: readSglangConstants(CONSTANTS),
        },
      });
    const most = Math.floor(estimateOf(1).pool?.maxConcurrency ?? 0);
    expect(most).toBeGreaterThan(1);
    expect(estimateOf(most).fits).toBe(true);
    expect(estimateOf(most + 1).fits).toBe(false);
    const result = estimateOf(2);
    expect(result.kvCache.groups.reduce((sum, group) => sum + group.bytes, 0)).toBe(result.kvCache.bytes);
    expect(result.steps.every(({ formula, result: text }) => !/NaN|undefined|Infinity/.test(formula + text))).toBe(
      true,
    );
  });
});

describe("what the pools cannot hold", () => {
  it("hybrids are short of states before they are short of tokens", () => {
    const request = requestOf(architectureOf("qwen3.5-27b"), { contextTokens: 256, devices: cards(1, 79.19) });
    const { pool, rates } = run(request);
    const slots = Math.floor(((pool?.bytesPerDevice ?? 0) * 0.9) / 1.9 / rates.state);
    expect(pool?.maxConcurrency).toBe(slots);
  });

  it("models without a cache have no pool", () => {
    const encoder = madeUp({}, { uncached: true });
    expect(run(requestOf(encoder, { devices: cards(1, 40) })).pool).toBeNull();
  });
});

describe("bad input", () => {
  it.each([
    ["memFractionStatic", { memFractionStatic: 1.2 }],
    ["chunkedPrefillSize", { chunkedPrefillSize: -1 }],
    ["cudaGraphMaxBatch", { cudaGraphMaxBatch: 0.5 }],
    ["tensorParallel", { tensorParallel: 5 }],
  ] as const)("refuses a wrong %s by its path", (name, settings) => {
    const path = (): readonly string[] => {
      try {
        run(requestOf(madeUp()), settings);
      } catch (error) {
        if (error instanceof EstimateError) return error.path;
      }
      return [];
    };
    expect(path()).toEqual(["runtime", name]);
  });

  it("refuses an unknown version with those known", () => {
    expect(() => readSglangConstants(CONSTANTS, "0.3")).toThrow(/0\.4, 0\.4\.5, 0\.4\.7, 0\.5/);
    expect(readSglangConstants(CONSTANTS, "0.5.13")).toEqual(readSglangConstants(CONSTANTS));
  });

  it("a card smaller than the reserve has an empty pool", () => {
    const memory = run(requestOf(madeUp(), { devices: cards(1, 2) }));
    expect(memory.pool).toMatchObject({ bytesPerDevice: 0, tokens: 0 });
  });
});
