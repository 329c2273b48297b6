import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { architectureFromConfig } from "./architecture/from-config.js";
import { createEqualSets, estimate } from "./estimate.js";
import type { Device, EstimateRequest, LlamaCppSettings } from "./estimate.types.js";
import { largestFittingContext } from "./fit/largest-context.js";
import type { QuantScheme } from "./quantization/scheme.js";

const MIB = 2 ** 20;
const load = (name: string) =>
  architectureFromConfig(
    JSON.parse(readFileSync(new URL(`../../test/fixtures/configs/${name}.json`, import.meta.url), "utf8")),
  );
const SCHEME: QuantScheme = { kind: "ggml", fileType: "Q4_K_M" };
const SETTINGS: LlamaCppSettings = {
  ubatchSize: 512,
  batchSize: 2048,
  flashAttention: true,
  outputRows: 512,
  kvUnified: true,
  swaFull: false,
  cpuMoeLayers: 0,
  splitMode: "LAYER",
};
const MODELS = [
  "deepseek-v3",
  "meta-llama-3.1-8b",
  "gemma-3-27b-it",
  "qwen3-30b-a3b",
  "qwen3.5-27b",
  "gpt-oss-120b",
].map((name) => [name, load(name)] as const);
const deepSeek = load("deepseek-v3");
const UNLIMITED: Device = { name: "unlimited", capacityBytes: null };
/** What CUDA can allocate on an H100 80GB, and a CUDA context. */
const H100: Device = { name: "h100", capacityBytes: 81_081 * MIB, reserveBytes: 550 * MIB };

function request(change: Partial<EstimateRequest> = {}, settings: Partial<LlamaCppSettings> = {}): EstimateRequest {
  return {
    architecture: deepSeek,
    scheme: SCHEME,
    contextTokens: 131_072,
    sequences: 1,
    runtime: { kind: "llama-cpp", settings: { ...SETTINGS, ...settings } },
    ...change,
  };
}

describe("DeepSeek-V3 at Q4_K_M with 131,072 tokens", () => {
  it("on one device without limit", () => {
    const memory = estimate(request());
    expect(memory.devices).toHaveLength(1);
    expect((memory.devices[0]?.weights ?? 0) / MIB).toBeCloseTo(385_253.52, 1);
    expect(memory.kvCache.bytes).toBe(9_210_691_584);
    expect(memory.kvCache.bytesPerToken).toBe(70_272);
    expect(memory.compute / MIB).toBeCloseTo(506, 1);
    expect(memory.host.weights / MIB).toBeCloseTo(497.1, 1);
    expect(memory.host.compute / MIB).toBeCloseTo(156, 1);
    expect(memory.fits).toBeNull();
    expect(memory.maxContextTokens).toBeNull();
    expect(memory.warnings).toEqual([]);
  });

  it("over six H100: the layers llama.cpp gives each, and the fullest card decides", () => {
    const memory = estimate(request({ devices: new Array<Device>(6).fill(H100) }));
    expect(memory.devices.map((device) => device.kvCache / MIB)).toEqual([1584, 1440, 1584, 1440, 1440, 1296]);
    for (const device of memory.devices) {
      expect(device.compute / MIB).toBeGreaterThanOrEqual(960);
      expect(device.compute / MIB).toBeLessThanOrEqual(1000);
    }
    const fullest = Math.max(...memory.devices.map((device) => device.total)) / MIB;
    expect(fullest).toBeGreaterThan(74_240);
    expect(fullest).toBeLessThan(74_280);
    expect(memory.fits).toBe(true);
  });

  it("six H100 are the smallest set of them", () => {
    const sets = createEqualSets(request());
    const fits = [4, 5, 6, 7].map((count) => sets(H100, count)?.fits);
    expect(fits).toEqual([false, false, true, true]);
    expect(sets(UNLIMITED, 5)?.fits).toBeNull();
  });

  it("steps name the figures and the source of each rule", () => {
    const { steps } = estimate(request());
    const text = steps.map((step) => `${step.title}: ${step.formula} = ${step.result} (${step.source})`).join("\n");
    for (const part of [
      "671,026,419,200 parameters",
      "61 layers x 131,072 cells x 1,152 bytes",
      "9,210,691,584 bytes",
    ]) {
      expect(text).toContain(part);
    }
    expect(text).not.toMatch(/undefined|NaN|\[object/);
  });
});

describe("every estimate", () => {
  const settings = fc.record({
    model: fc.constantFrom(...MODELS),
    context: fc.integer({ min: 1, max: 200_000 }),
    sequences: fc.integer({ min: 1, max: 8 }),
    devices: fc.integer({ min: 0, max: 8 }),
    gpuLayers: fc.option(fc.integer({ min: 0, max: 100 }), { nil: undefined }),
    cpuMoeLayers: fc.integer({ min: 0, max: 70 }),
    flashAttention: fc.boolean(),
    kvUnified: fc.boolean(),
  });

  it("adds up, and loses no weight and no cache by splitting", () => {
    fc.assert(
      fc.property(settings, ({ model, context, sequences, devices, gpuLayers, cpuMoeLayers, ...flags }) => {
        const memory = estimate(
          request(
            {
              architecture: model[1],
              contextTokens: context,
              sequences,
              devices: new Array<Device>(devices).fill(UNLIMITED),
            },
            { ...flags, cpuMoeLayers, ...(gpuLayers === undefined ? {} : { gpuLayers }) },
          ),
        );
        for (const device of memory.devices) {
          expect(device.total).toBe(device.weights + device.kvCache + device.compute + device.overhead);
          expect(device.compute).toBeGreaterThanOrEqual(0);
        }
        expect(memory.total).toBe(memory.devices.reduce((sum, device) => sum + device.total, 0));
        const weights = memory.devices.reduce((sum, device) => sum + device.weights, memory.host.weights);
        expect(weights).toBeGreaterThanOrEqual(estimate(request({ architecture: model[1], devices: [] })).host.weights);
        const cache = memory.devices.reduce((sum, device) => sum + device.kvCache, memory.host.kvCache);
        expect(cache).toBe(memory.kvCache.bytes);
      }),
      { numRuns: 60 },
    );
  });

  it("never needs less for more context", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...MODELS),
        fc.integer({ min: 1, max: 150_000 }),
        fc.integer({ min: 1, max: 50_000 }),
        fc.integer({ min: 1, max: 4 }),
        ([, architecture], context, more, count) => {
          const devices = new Array<Device>(count).fill(UNLIMITED);
          const less = estimate(request({ architecture, contextTokens: context, devices }));
          const longer = estimate(request({ architecture, contextTokens: context + more, devices }));
          expect(longer.kvCache.bytes).toBeGreaterThanOrEqual(less.kvCache.bytes);
          expect(longer.total).toBeGreaterThanOrEqual(less.total * 0.999);
        },
      ),
      { numRuns: 60 },
    );
  });
});

describe("the largest context", () => {
  it("is the last one that fits", () => {
    const card: Device = { name: "24 GB", capacityBytes: 24_000 * MIB };
    const architecture = load("meta-llama-3.1-8b");
    const at = (contextTokens: number) => estimate(request({ architecture, contextTokens, devices: [card] }));
    const largest = at(8192).maxContextTokens ?? 0;
    expect(largest % 256).toBe(0);
    expect(at(largest).fits).toBe(true);
    expect(at(largest + 256).fits).toBe(false);
  });

  it("is 0 when nothing fits, and bounded when everything does", () => {
    expect(largestFittingContext(() => -1)).toBe(0);
    expect(largestFittingContext(() => 1)).toBe(2 ** 31 - 256);
    let asked = 0;
    expect(
      largestFittingContext((tokens) => {
        asked += 1;
        return 1e9 - tokens * 70_272 - (tokens > 8192 ? 1e8 : 0);
      }),
    ).toBe(Math.floor(9e8 / 70_272 / 256) * 256);
    expect(asked).toBeLessThan(40);
  });
});

describe("a model that llama.cpp has no architecture for", () => {
  const architecture = load("llama-3.2-11b-vision-instruct");

  it("is refused there with the reason, and answered elsewhere", () => {
    expect(architecture.ggufArchitecture).toBeNull();
    expect(() => estimate(request({ architecture }))).toThrow(
      expect.objectContaining({ code: "ARCHITECTURE_NOT_SUPPORTED", path: ["runtime"] }),
    );
    expect(() => estimate(request({ architecture }))).toThrow("llama.cpp does not load mllama");
    const runtime = { kind: "rule-of-thumb", overhead: 0 } as const;
    expect(estimate(request({ architecture, runtime })).total).toBeGreaterThan(0);
  });
});

describe("the rule of thumb", () => {
  it("is weights and plain cache and a share of both", () => {
    const memory = estimate(request({ runtime: { kind: "rule-of-thumb", overhead: 0.1 } }));
    expect(memory.total).toBeCloseTo(1.1 * (memory.weights.bytes + 9_210_691_584), -1);
    expect(() => estimate(request({ runtime: { kind: "rule-of-thumb", overhead: -1 } }))).toThrow("share");
    expect(() => estimate(request({ contextTokens: 0, runtime: { kind: "rule-of-thumb", overhead: 0 } }))).toThrow();
  });
});

describe("warnings", () => {
  const codes = (change: Partial<EstimateRequest>, settings: Partial<LlamaCppSettings> = {}) =>
    estimate(request(change, settings)).warnings.map((warning) => warning.code);

  it("say what was asked beyond the model, the cells or the file", () => {
    expect(codes({ contextTokens: 200_192 })).toEqual(["CONTEXT_ABOVE_TRAINED"]);
    expect(codes({ contextTokens: 1000 })).toEqual(["CONTEXT_PADDED"]);
    expect(codes({ contextTokens: 256 })).toEqual(["MICROBATCH_ABOVE_CONTEXT"]);
    expect(codes({ devices: [UNLIMITED] })).toEqual(["NO_DEVICE_CAPACITY"]);
    const checkpoint: QuantScheme = {
      kind: "average",
      type: "exl2",
      bitsPerWeight: 4,
      outputBits: 6,
      quantizedRoles: ["ATTENTION", "FEED_FORWARD"],
      restBits: 16,
    };
    expect(codes({ scheme: checkpoint })).toEqual(["QUANT_FORMAT_NOT_LOADABLE"]);
  });
});

describe("sets of equal devices", () => {
  it.each(MODELS)("%s: laid out once for all capacities, as each would be by itself", (_name, architecture) => {
    for (const settings of [{}, { cpuMoeLayers: 12 }, { gpuLayers: 20 }]) {
      const asked = request({ architecture, contextTokens: 16_384 }, settings);
      const sets = createEqualSets(asked);
      for (const capacityMib of [7_805, 24_124, 81_081, 143_155]) {
        const device: Device = { name: "card", capacityBytes: capacityMib * MIB, reserveBytes: 550 * MIB };
        for (const count of [1, 2, 3, 6, 8]) {
          const alone = estimate({ ...asked, devices: new Array<Device>(count).fill(device) });
          const { devices, fits, total, host } = alone;
          expect(sets(device, count)).toMatchObject({ devices, fits, total, host });
        }
      }
    }
  });
});
