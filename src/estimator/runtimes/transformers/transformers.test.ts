import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { catalogue } from "../../../../test/fixtures/local-runtimes/catalogue.js";
import { estimate } from "../../estimate.js";
import type { Device, EstimateRequest } from "../../estimate.types.js";
import { readTransformersConstants } from "./read-transformers-constants.js";
import type { TransformersSettings } from "./transformers.types.js";

type Peak = [model: string, format: string, prompt: number, generated: number, mib: number];
const PEAKS: Record<"withPrompt" | "afterPrompt", Peak[]> = JSON.parse(
  readFileSync(new URL("../../../../test/fixtures/local-runtimes/transformers-peaks.json", import.meta.url), "utf8"),
);
const MIB = 2 ** 20;
const GIB = 2 ** 30;
const ROW = catalogue.constants("transformers");

function run(
  model: string,
  format: string,
  change: Partial<EstimateRequest> = {},
  settings: Partial<TransformersSettings> = {},
  version?: string,
) {
  return estimate({
    architecture: catalogue.architecture(model),
    scheme: catalogue.scheme(format),
    contextTokens: 8192,
    sequences: 1,
    ...change,
    runtime: {
      kind: "transformers",
      settings: { attention: "FLASH_ATTENTION_2", ...settings },
      constants: readTransformersConstants(ROW, version),
    },
  });
}

function errors(peaks: readonly Peak[], version: string, prefillOf: (prompt: number) => number): number[] {
  return peaks.map(([model, format, prompt, generated, mib]) => {
    const context = { contextTokens: prompt + generated };
    return run(model, format, context, { prefillTokens: prefillOf(prompt) }, version).total / (mib * MIB) - 1;
  });
}

function quantile(values: readonly number[], share: number): number {
  const sorted = values.map(Math.abs).sort((a, b) => a - b);
  return sorted[Math.floor(share * (sorted.length - 1))] ?? Number.NaN;
}

describe("published peaks of generate()", () => {
  it("prompts of 1 to 30,720 tokens in one pass, transformers 4.46", () => {
    const found = errors(PEAKS.withPrompt, "4.46.0", (prompt) => prompt);
    expect(found).toHaveLength(48);
    expect(quantile(found, 0.5)).toBeLessThan(0.012);
    expect(quantile(found, 0.9)).toBeLessThan(0.05);
    // Two AWQ checkpoints hold a second embedding while they load: with one prompt token that is the peak.
    expect(found.filter((error) => error < -0.03)).toHaveLength(2);
  });

  it("figures without the prompt's activations, transformers 4.51", () => {
    const found = errors(PEAKS.afterPrompt, "4.51.3", () => 1);
    expect(found).toHaveLength(68);
    expect(quantile(found, 0.5)).toBeLessThan(0.004);
    expect(quantile(found, 0.95)).toBeLessThan(0.04);
  });

  it("keeps two copies of the cache before 4.36 (Qwen-72B-Chat on two A100: 144.69 GiB, Qwen's README of 2023)", () => {
    const two = { devices: new Array<Device>(2).fill({ name: "a100", capacityBytes: null }) };
    const memory = run("qwen-72b-chat", "bf16", { ...two, contextTokens: 2049 }, { prefillTokens: 1 }, "4.32");
    expect(memory.total / GIB / 144.69).toBeCloseTo(1, 2);
    const later = run("qwen-72b-chat", "bf16", { ...two, contextTokens: 2049 }, { prefillTokens: 1 }, "4.37");
    expect(memory.total - later.total).toBeGreaterThan(4.8 * GIB);
  });
});

describe("a forward pass", () => {
  it("takes 142,336 bytes per token of Qwen2.5-7B: three widths of the MLP and four of the stream", () => {
    const compute = (tokens: number) => run("qwen2.5-7b-instruct", "bf16", { contextTokens: tokens }).compute;
    expect(compute(16_384) - compute(8192)).toBe(8192 * 2 * (3 * 18_944 + 4 * 3584));
  });

  it("stores the scores with eager attention alone", () => {
    const [eager, sdpa, flash] = (["EAGER", "SDPA", "FLASH_ATTENTION_2"] as const).map(
      (attention) => run("qwen2.5-7b-instruct", "bf16", {}, { attention }).compute,
    ) as [number, number, number];
    // 28 heads, scores in bf16 and twice in single precision.
    expect(eager).toBeGreaterThan(28 * 8192 * 8192 * 10);
    expect(sdpa).toBeGreaterThanOrEqual(flash);
    expect(sdpa).toBeLessThan(2 * flash);
  });

  it("computes logits of the whole prompt in versions before 4.45", () => {
    const now = run("gemma-2-27b-it", "bf16", {}, {}, "4.46");
    const before = run("gemma-2-27b-it", "bf16", {}, {}, "4.44.2");
    expect(before.total - now.total).toBeGreaterThan(8192 * 256_000 * 4);
  });

  it("grows with the tokens of one pass only", () => {
    const chunked = run("qwen3-8b", "bf16", { contextTokens: 32_768 }, { prefillTokens: 512 });
    const whole = run("qwen3-8b", "bf16", { contextTokens: 32_768 });
    expect(chunked.kvCache.bytes).toBe(whole.kvCache.bytes);
    expect(whole.compute / chunked.compute).toBeGreaterThan(20);
  });
});

describe("the cache", () => {
  it("has no padding: 114,688 bytes per token of Qwen3-0.6B", () => {
    const memory = run("qwen3-0.6b", "bf16", { contextTokens: 2049 });
    expect(memory.kvCache.bytes).toBe(2049 * 114_688);
    expect(memory.kvCache.bytesPerToken).toBe(114_688);
  });

  it("holds full keys and values of latent attention: 128 heads x (192 + 128) values in 61 layers", () => {
    const memory = run("deepseek-v3", "bf16", { contextTokens: 1000 });
    expect(memory.kvCache.bytes).toBe(1000 * 61 * 128 * (192 + 128) * 2);
  });

  it("keeps a window and one pass of layers that have one, all tokens in versions before 4.56", () => {
    const change = { contextTokens: 32_768 };
    const groups = (version?: string) =>
      run("gemma-3-27b-it", "bf16", change, { prefillTokens: 512 }, version).kvCache.groups;
    expect(groups().find((group) => group.kind === "SLIDING_WINDOW")?.cells).toBe(1023 + 512);
    expect(groups("4.55").find((group) => group.kind === "SLIDING_WINDOW")?.cells).toBe(32_768);
  });
});

describe("several devices", () => {
  const card = (gib: number): Device => ({ name: "card", capacityBytes: gib * GIB, reserveBytes: 550 * MIB });

  it("cuts between layers, and the fullest device decides", () => {
    const memory = run("qwen3-32b", "bf16", { devices: [card(48), card(48)] });
    expect(memory.devices.map((device) => device.layers).reduce((a, b) => a + b)).toBe(64);
    expect(memory.devices.every((device) => device.weights > 24 * GIB)).toBe(true);
    expect(memory.fits).toBe(true);
    expect(run("qwen3-32b", "bf16", { devices: [card(24), card(24)] }).fits).toBe(false);
  });

  it("loses nothing whatever the number of devices", () => {
    const one = run("qwen3-30b-a3b", "bf16");
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 12 }), (count) => {
        const memory = run("qwen3-30b-a3b", "bf16", { devices: new Array<Device>(count).fill(card(80)) });
        const sum = (part: "weights" | "kvCache") => memory.devices.reduce((total, device) => total + device[part], 0);
        expect(sum("weights")).toBe(one.devices[0]?.weights);
        expect(sum("kvCache")).toBe(one.devices[0]?.kvCache);
      }),
      { numRuns: 12 },
    );
  });
});

describe("what is refused or warned of", () => {
  it.each([
    ["contextTokens", { contextTokens: 0 }, {}],
    ["sequences", { sequences: 1.5 }, {}],
    ["devices", { devices: [] }, {}],
    ["prefillTokens", {}, { prefillTokens: -1 }],
  ])("%s", (name, change, settings) => {
    let path: readonly string[] = [];
    try {
      run("qwen3-0.6b", "bf16", change, settings);
    } catch (error) {
      path = (error as { path: readonly string[] }).path;
    }
    expect(path.at(-1)).toBe(name);
  });

  it.each([
    ["q4_k_m", true],
    ["exl2-4bpw", true],
    ["mlx-4bit", true],
    ["bf16", false],
    ["f32", false],
    ["bnb-nf4", false],
    ["gptq-int4", false],
  ])("%s: not loadable %s", (format, expected) => {
    const codes = run("qwen3-0.6b", format).warnings.map((warning) => warning.code);
    expect(codes.includes("QUANT_FORMAT_NOT_LOADABLE")).toBe(expected);
  });

  it("a row without one of the constants", () => {
    expect(() => readTransformersConstants({ ...ROW, workspaceMib: undefined })).toThrow(
      "constants.workspaceMib of Transformers's row is missing",
    );
    expect(() => readTransformersConstants({ ...ROW, logits: "SOME" })).toThrow(
      'constants.logits of Transformers\'s row is "SOME"',
    );
  });

  it("explains every part with its figures", () => {
    const { steps, total } = run("qwen2.5-7b-instruct", "gptq-int4", { contextTokens: 8192 });
    expect(steps.map((step) => step.title)).toEqual([
      "Parameters",
      "Weights",
      "KV cache, full attention",
      "Peak of a forward pass",
      "Logits",
      "Appending a token",
      "Unpacked weights",
      "Workspace",
      "Device 0 (unlimited)",
    ]);
    expect(steps[3]?.formula).toContain("8,192 tokens at once x 142,336 bytes");
    expect(steps.at(-1)?.result).toBe(`${(total / MIB).toFixed(2)} MiB`);
  });
});
