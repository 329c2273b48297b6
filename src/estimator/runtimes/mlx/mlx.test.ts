import { describe, expect, it } from "vitest";
import { catalogue } from "../../../../test/fixtures/local-runtimes/catalogue.js";
import { estimate } from "../../estimate.js";
import type { Device, EstimateRequest } from "../../estimate.types.js";
import type { MlxSettings } from "./mlx.types.js";
import { readMlxConstants } from "./read-mlx-constants.js";

const MIB = 2 ** 20;
const ROW = catalogue.constants("mlx");

function run(
  model: string,
  format: string,
  change: Partial<EstimateRequest> = {},
  settings: MlxSettings = {},
  version?: string,
) {
  return estimate({
    architecture: catalogue.architecture(model),
    scheme: catalogue.scheme(format),
    contextTokens: 8192,
    sequences: 1,
    ...change,
    runtime: { kind: "mlx", settings, constants: readMlxConstants(ROW, version) },
  });
}

describe("peak memory of mlx_lm.benchmark, 2048 tokens of prompt and 128 generated", () => {
  // mlx-lm 0.28.2 on an M4 Max, mlx_lm/BENCHMARKS.md; GB of 10^9 bytes.
  it.each([
    ["qwen3-4b-instruct-2507", "mlx-5bit", 3.86],
    ["qwen3-4b-instruct-2507", "mlx-4bit-g32", 3.603],
    ["qwen3-30b-a3b-instruct-2507", "mlx-6bit", 25.82],
    ["qwen3-30b-a3b-instruct-2507", "mlx-5bit", 22.01],
  ])("%s in %s: %d GB", (model, format, gigabytes) => {
    const { total } = run(model, format, { contextTokens: 2176 }, {}, "mlx-lm 0.28.2");
    expect(total / (gigabytes * 1e9)).toBeGreaterThan(0.999);
    expect(total / (gigabytes * 1e9)).toBeLessThan(1.02);
  });

  // Rapid-MLX, docs/benchmarks/llm.md, M4 Max 128 GB, short prompts of a length that is not stated; GiB.
  it.each([
    ["qwen3-0.6b", "mlx-8bit", 0.68],
    ["llama-3.2-1b-instruct", "mlx-4bit", 0.69],
    ["llama-3.2-3b-instruct", "mlx-4bit", 1.79],
    ["qwen3-30b-a3b", "mlx-4bit", 16.05],
    ["nvidia-nemotron-3-nano-30b-a3b", "mlx-6bit", 23.98],
  ])("short prompt, %s in %s: %d GiB", (model, format, gibibytes) => {
    const { total } = run(model, format, { contextTokens: 32 });
    expect(total / (gibibytes * 2 ** 30)).toBeGreaterThan(0.98);
    expect(total / (gibibytes * 2 ** 30)).toBeLessThan(1.06);
  });
});

describe("the cache", () => {
  it("grows by 256 entries", () => {
    expect(run("qwen3-4b", "mlx-4bit", { contextTokens: 2176 }).kvCache.bytes).toBe(2304 * 147_456);
    expect(run("qwen3-4b", "mlx-4bit", { contextTokens: 2176 }).warnings.map((warning) => warning.code)).toEqual([
      "CONTEXT_PADDED",
    ]);
  });

  it("keeps a window and one prefill step of layers with a window", () => {
    const { groups } = run("gemma-3-27b-it", "mlx-4bit", { contextTokens: 32_768 }, { prefillStepSize: 512 }).kvCache;
    expect(groups.map(({ kind, layers, cells }) => [kind, layers, cells])).toEqual([
      ["SLIDING_WINDOW", 52, 1023 + 512],
      ["FULL", 10, 32_768],
    ]);
  });

  it("stores the latent of MLA, every head's keys and values in versions before", () => {
    const latent = run("deepseek-v3", "mlx-4bit", { contextTokens: 8192 });
    expect(latent.kvCache.bytes).toBe(8192 * 70_272);
    const expanded = run("deepseek-v3", "mlx-4bit", { contextTokens: 8192 }, {}, "mlx-lm 0.28.2");
    expect(expanded.kvCache.bytes).toBe(8192 * 61 * 128 * 320 * 2);
  });

  it("packs K and V in groups of 64 when asked", () => {
    const type = catalogue.cacheType("mlx-kv-4bit");
    const packed = run("qwen3-4b", "mlx-4bit", { cacheTypeK: type });
    expect(packed.kvCache.bytes).toBe((8192 * 147_456 * 36) / 128);
    expect(packed.warnings.map((warning) => warning.code)).toEqual(["RULE_UNCERTAIN"]);
  });
});

describe("results of a prefill step", () => {
  it("stay within what ten command buffers hold, and are all layers' at most", () => {
    expect(run("qwen3-4b", "mlx-4bit").compute).toBeLessThan(752 * MIB);
    expect(run("qwen3-4b", "mlx-4bit", {}, { prefillStepSize: 64 }).compute).toBeLessThan(400 * MIB);
  });

  it("hold the scores where no fused kernel takes the heads", () => {
    // 16 heads of 256 values in gemma-2-9b-it: no kernel of that width.
    const { compute, warnings } = run("gemma-2-9b-it", "mlx-4bit", { contextTokens: 8192 });
    expect(compute).toBeGreaterThan(2 * 16 * 2048 * 8192 * 2);
    expect(warnings.map((warning) => warning.code)).toEqual(["RULE_UNCERTAIN"]);
    expect(run("qwen3-4b", "mlx-4bit").warnings).toEqual([]);
  });
});

describe("devices and refusals", () => {
  const mac: Device = { name: "apple-m4-max-64gb", capacityBytes: 55_662_790_000 };

  it("fits what Metal lets one process use", () => {
    expect(run("qwen3-32b", "mlx-8bit", { devices: [mac] }).fits).toBe(true);
    expect(run("qwen3-32b", "bf16", { devices: [mac] }).fits).toBe(false);
  });

  it("shares layers evenly over several Macs, embedding and output on each", () => {
    const two = run("qwen3-32b", "bf16", { devices: [mac, mac] });
    expect(two.devices.map((device) => device.layers)).toEqual([32, 32]);
    const one = run("qwen3-32b", "bf16").devices[0]?.weights ?? 0;
    const sum = two.devices.reduce((total, device) => total + device.weights, 0);
    expect(sum - one).toBe(2 * 151_936 * 5120 * 2 + 5120 * 4);
  });

  it.each([
    ["q4_k_m", true],
    ["gptq-int4", true],
    ["exl3-4bpw", true],
    ["mlx-mxfp4", false],
    ["bf16", false],
  ])("%s: not loadable %s", (format, expected) => {
    const codes = run("qwen3-0.6b", format).warnings.map((warning) => warning.code);
    expect(codes.includes("QUANT_FORMAT_NOT_LOADABLE")).toBe(expected);
  });

  it("names what is wrong", () => {
    expect(() => run("qwen3-0.6b", "mlx-4bit", {}, { prefillStepSize: 0 })).toThrow("prefillStepSize must be");
    expect(() => run("qwen3-0.6b", "mlx-4bit", { devices: [] })).toThrow("needs a device");
    expect(() => readMlxConstants({})).toThrow("constants.prefillStepTokens of MLX's row is missing");
    expect(() => readMlxConstants({ ...ROW, fusedHeadDims: "64" })).toThrow(
      'constants.fusedHeadDims of MLX\'s row is "64"',
    );
  });
});
