import { describe, expect, it } from "vitest";
import { catalogue } from "../../../../test/fixtures/local-runtimes/catalogue.js";
import { estimate } from "../../estimate.js";
import type { Device, EstimateRequest } from "../../estimate.types.js";
import type { AverageScheme, QuantScheme } from "../../quantization/scheme.js";
import type { ExllamaSettings } from "./exllama.types.js";
import { readExllamaConstants } from "./read-exllama-constants.js";

const MIB = 2 ** 20;
const GIB = 2 ** 30;
const ROW = catalogue.constants("exllama");

const exl = (type: "exl2" | "exl3", bitsPerWeight: number, outputBits: number): AverageScheme => ({
  ...(catalogue.scheme(`${type}-5bpw`) as AverageScheme),
  bitsPerWeight,
  outputBits,
});

function run(
  model: string,
  scheme: QuantScheme,
  change: Partial<EstimateRequest> = {},
  settings: ExllamaSettings = {},
) {
  return estimate({
    architecture: catalogue.architecture(model),
    scheme,
    contextTokens: 8192,
    sequences: 1,
    ...change,
    runtime: { kind: "exllama", settings, constants: readExllamaConstants(ROW) },
  });
}

describe("what nvidia-smi showed", () => {
  const gemma3 = exl("exl3", 5, 6);
  const gemma2 = (bits: number) => exl("exl2", bits, 8);
  it.each([
    // exllamav3 issue 50: RTX 4090, exllamav3 0.0.3, contexts of 2k to 30k; MiB
    ["gemma-3-27b-it", gemma3, 2048, "exl-q6", 17_404],
    ["gemma-3-27b-it", gemma3, 12_288, "exl-q6", 19_404],
    ["gemma-3-27b-it", gemma3, 22_528, "exl-q6", 21_660],
    ["gemma-3-27b-it", gemma3, 30_720, "exl-q6", 23_238],
    // textgen pull request 5645: Llama 2 7B unquantized, the model's own context
    ["llama-2-7b-hf", catalogue.scheme("f16"), 4096, "f16", 15_162],
    ["llama-2-7b-hf", catalogue.scheme("f16"), 4096, "exl-q4", 13_882],
    // exllamav2 issue 575: "around 8788"
    ["llama-3-8b", exl("exl2", 5, 6), 65_536, "exl-q4", 8788],
    // Model card of mo137/gemma-2-27b-it-exl2: 21.85, 23.69, 23.81 and 25.65 GiB
    ["gemma-2-27b-it", gemma2(5.8), 8192, "exl-q4", 22_374],
    ["gemma-2-27b-it", gemma2(5.8), 8192, "f16", 24_259],
    ["gemma-2-27b-it", gemma2(6.5), 8192, "exl-q4", 24_381],
    ["gemma-2-27b-it", gemma2(6.5), 8192, "f16", 26_266],
  ] as const)("%s in %o, %i tokens, cache %s: %i MiB", (model, scheme, contextTokens, cache, mib) => {
    const { total } = run(model, scheme, { contextTokens, cacheTypeK: catalogue.cacheType(cache) });
    expect(Math.abs(total / MIB / mib - 1)).toBeLessThan(0.035);
  });
});

describe("weights and cache", () => {
  it("keeps the embedding in host memory and packs the output matrix apart, tied or not", () => {
    const memory = run("gemma-2-27b-it", exl("exl2", 4, 6));
    const embedding = 256_000 * 4608;
    expect(memory.host.weights).toBe(embedding * 2);
    const withWiderOutput = run("gemma-2-27b-it", exl("exl2", 4, 8));
    expect((withWiderOutput.devices[0]?.weights ?? 0) - (memory.devices[0]?.weights ?? 0)).toBe((embedding * 2) / 8);
  });

  it.each([
    ["exl-q4", 4.5],
    ["exl-q6", 6.5],
    ["exl-q8", 8.5],
    ["f16", 16],
  ])("a cache of %s has %d bits per value and unpacks a layer at a time", (type, bits) => {
    const memory = run("qwen3-8b", exl("exl3", 4, 6), { cacheTypeK: catalogue.cacheType(type) });
    expect(memory.kvCache.bytes).toBe((8192 * 36 * 2 * 8 * 128 * bits) / 8);
    const plain = run("qwen3-8b", exl("exl3", 4, 6)).compute;
    expect(memory.compute - plain).toBe(type === "f16" ? 0 : 8192 * 2 * 8 * 128 * 2);
  });

  it("is one cache for all sequences, a multiple of 256 tokens", () => {
    const memory = run("qwen3-8b", exl("exl3", 4, 6), { contextTokens: 1000, sequences: 3 });
    expect(memory.kvCache.groups[0]?.cells).toBe(3072);
    expect(memory.warnings.map((warning) => warning.code)).toEqual(["CONTEXT_PADDED"]);
  });

  it("unpacks the output matrix with ExLlamaV2, at most 2^29 values, and not with ExLlamaV3", () => {
    const compute = (type: "exl2" | "exl3") => run("gemma-2-27b-it", exl(type, 5, 6)).compute;
    expect(compute("exl2")).toBeGreaterThan(2 ** 30);
    expect(compute("exl3")).toBeLessThan(2 ** 30);
  });
});

describe("several devices", () => {
  const card: Device = { name: "rtx-3090", capacityBytes: 24_121 * MIB };

  it("fills each before the next", () => {
    const memory = run("llama-3.3-70b-instruct", exl("exl3", 4, 6), { devices: [card, card, card] });
    const layers = memory.devices.map((device) => device.layers);
    expect(layers.reduce((a, b) => a + b)).toBe(80);
    expect(layers[0]).toBeGreaterThan(layers[1] ?? 0);
    expect(layers[2]).toBe(0);
    expect(memory.fits).toBe(true);
    expect(memory.warnings.map((warning) => warning.code)).toEqual(["DEVICES_UNUSED"]);
  });

  it("shows what is missing on the last one", () => {
    const memory = run("llama-3.3-70b-instruct", exl("exl3", 6, 6), { devices: [card, card] });
    expect(memory.fits).toBe(false);
    expect(memory.devices[0]?.total).toBeLessThanOrEqual(card.capacityBytes ?? 0);
    expect(memory.devices[1]?.total).toBeGreaterThan(24 * GIB);
  });
});

describe("what is refused or warned of", () => {
  it.each([
    ["q4_k_m", true],
    ["awq-int4", true],
    ["mlx-4bit", true],
    ["fp8", true],
    ["gptq-int4", false],
    ["exl2-4bpw", false],
    ["bf16", false],
  ])("%s: not loadable %s", (format, expected) => {
    const codes = run("qwen3-0.6b", catalogue.scheme(format)).warnings.map((warning) => warning.code);
    expect(codes.includes("QUANT_FORMAT_NOT_LOADABLE")).toBe(expected);
  });

  it("names what is wrong", () => {
    const scheme = exl("exl3", 4, 6);
    expect(() => run("qwen3-0.6b", scheme, {}, { chunkSize: 0.5 })).toThrow("chunkSize must be");
    expect(() => run("qwen3-0.6b", scheme, { contextTokens: -1 })).toThrow("contextTokens must be");
    expect(() => run("qwen3-0.6b", scheme, { devices: [] })).toThrow("needs a device");
    expect(() => readExllamaConstants({ ...ROW, exl2: undefined })).toThrow(
      "constants.exl2 of ExLlama's row is missing",
    );
  });
});
