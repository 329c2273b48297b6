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
import { estimateTensorrtLlm, type TensorrtLlmMemory } from "./estimate-tensorrt-llm.js";
import { readTensorrtLlmConstants } from "./read-tensorrt-llm-constants.js";
import type { TensorrtLlmSettings } from "./tensorrt-llm.types.js";

const CONSTANTS = constantsOf("tensorrt-llm");
const settingsOf = (settings: Partial<TensorrtLlmSettings> = {}): TensorrtLlmSettings => ({
  tensorParallel: 1,
  pipelineParallel: 1,
  expertParallel: false,
  ...settings,
});
const run = (
  request: EstimateRequest,
  settings: Partial<TensorrtLlmSettings> = {},
  version?: string,
): TensorrtLlmMemory =>
  estimateTensorrtLlm(request, settingsOf(settings), readTensorrtLlmConstants(CONSTANTS, version));

describe("TensorRT-LLM", () => {
  it("8-bit Llama-2-7B on an A100 80GB keeps 132,608 tokens (TensorRT-LLM 0.8, issue 1400)", () => {
    const request = requestOf(architectureOf("llama-2-7b-hf"), {
      scheme: schemeOf("ct-w8a8"),
      devices: cards(1, 79.25, "A100 80GB"),
    });
    const memory = run(request, { maxBatchSize: 1, maxNumTokens: 4096 }, "0.8");
    expect(memory.rates.full).toBe(524_288);
    expect(Math.abs((memory.pool?.tokens ?? 0) / 132_608 - 1)).toBeLessThan(0.03);
    expect((memory.pool?.tokens ?? 0) % 64).toBe(0);
  });

  it("latents are whole on each device: 35,136 bytes a token with an 8-bit cache", () => {
    // Kimi-K2.5 has DeepSeek-V3's attention: 61 layers of 512 + 64.
    const request = requestOf(architectureOf("deepseek-v3"), {
      scheme: schemeOf("nvfp4"),
      cacheTypeK: { slug: "fp8", blockElements: 1, blockBytes: 1 },
    });
    expect(run(request, { tensorParallel: 8 }).rates.full).toBe(35_136);
  });

  it("spare layers go to the first stages", () => {
    expect(run(requestOf(madeUp()), { pipelineParallel: 4 }).stages.map(({ layers }) => layers)).toEqual([3, 3, 2, 2]);
  });

  it("the cache is the fraction of what is free, and fits exactly up to it", () => {
    const estimateOf = (sequences: number) =>
      estimate({
        ...requestOf(madeUp(), { devices: cards(2, 40), sequences }),
        runtime: {
          kind: "tensorrt-llm",
          settings: settingsOf({ tensorParallel: 2, freeGpuMemoryFraction: 0.5 }),
          constants: readTensorrtLlmConstants(CONSTANTS),
        },
      });
    const { pool, devices } = estimateOf(1);
    const [device] = devices;
    const free = 40 * GIB - (device?.weights ?? 0) - (device?.compute ?? 0) - (device?.overhead ?? 0);
    expect(pool?.bytesPerDevice).toBe(Math.floor(free / 2));
    const most = Math.floor(pool?.maxConcurrency ?? 0);
    expect(estimateOf(most).fits).toBe(true);
    expect(estimateOf(most + 1).fits).toBe(false);
    expect(estimateOf(2).steps.every(({ formula, result }) => !/NaN|undefined/.test(formula + result))).toBe(true);
  });

  it("refuses settings out of range and unknown versions", () => {
    expect(() => run(requestOf(madeUp()), { freeGpuMemoryFraction: 0 })).toThrow(/freeGpuMemoryFraction/);
    expect(() => run(requestOf(madeUp()), { maxBatchSize: 0 })).toThrow(/maxBatchSize/);
    expect(() => run(requestOf(madeUp()), { tensorParallel: 64 })).toThrow(/attention heads/);
    expect(() => readTensorrtLlmConstants(CONSTANTS, "0.1")).toThrow(/0\.5, 1\.0, 1\.3/);
  });
});
