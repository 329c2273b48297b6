import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import type { Architecture } from "../../architecture/architecture.js";
import { architectureFromConfig } from "../../architecture/from-config.js";
import type { CacheType, Device, EstimateRequest, LlamaCppSettings } from "../../estimate.types.js";
import { EstimateError } from "../../estimate-error.js";
import type { QuantScheme } from "../../quantization/scheme.js";
import { computeBuffers, reduceLayers } from "./compute-buffers.js";
import { estimateLlamaCpp } from "./estimate-llama-cpp.js";

/** Rows of llama.cpp's own answers; see `source` and `units` in the file. */
interface Row {
  config: string;
  fileType: string;
  contextTokens: number;
  ubatch: number;
  sequences?: number;
  outputRows?: number;
  cache?: [string, string];
  flashAttention?: boolean;
  unified?: boolean;
  swaFull?: boolean;
  gpuLayers?: number;
  kvOffload?: boolean;
  cpuMoeLayers?: number;
  tensorSplit?: number[];
  copies: number;
  devices: [number, number, number][];
  host: [number, number, number];
  caches: [number, number, number][];
}

const MIB = 2 ** 20;
const BATCH = 2048;
const fixtures = new URL("../../../../test/fixtures/", import.meta.url);
const rows = (JSON.parse(readFileSync(new URL("llama-cpp/memory.json", fixtures), "utf8")) as { rows: Row[] }).rows;

const CACHE_TYPES: Record<string, CacheType> = {
  f16: { slug: "f16", blockElements: 1, blockBytes: 2 },
  q8_0: { slug: "q8_0", blockElements: 32, blockBytes: 34 },
  q4_0: { slug: "q4_0", blockElements: 32, blockBytes: 18 },
};
const architectures = new Map<string, Architecture>();
const schemes = new Map<string, QuantScheme>();

function architectureOf(config: string): Architecture {
  let architecture = architectures.get(config);
  if (architecture === undefined) {
    const text = readFileSync(new URL(`configs/${config}.json`, fixtures), "utf8");
    architecture = architectureFromConfig(JSON.parse(text.replace(/\bInfinity\b/g, "1e999")));
    architectures.set(config, architecture);
  }
  return architecture;
}

function schemeOf(fileType: string): QuantScheme {
  const scheme = schemes.get(fileType) ?? { kind: "ggml", fileType };
  schemes.set(fileType, scheme);
  return scheme;
}

function requestOf(row: Row): { request: EstimateRequest; settings: LlamaCppSettings; devices: Device[] } {
  const sequences = row.sequences ?? 1;
  const [typeK, typeV] = row.cache ?? ["f16", "f16"];
  const settings: LlamaCppSettings = {
    ubatchSize: row.ubatch,
    batchSize: BATCH,
    flashAttention: row.flashAttention ?? true,
    outputRows: row.outputRows ?? BATCH,
    kvUnified: row.unified ?? false,
    swaFull: row.swaFull ?? false,
    cpuMoeLayers: row.cpuMoeLayers ?? 0,
    splitMode: "LAYER",
    kvOffload: row.kvOffload ?? true,
    ...(row.gpuLayers === undefined ? {} : { gpuLayers: row.gpuLayers }),
    ...(row.tensorSplit === undefined ? {} : { tensorSplit: row.tensorSplit }),
  };
  const devices = row.devices.map((_, index) => ({ name: `device ${index}`, capacityBytes: null }));
  const request: EstimateRequest = {
    architecture: architectureOf(row.config),
    scheme: schemeOf(row.fileType),
    contextTokens: row.contextTokens / sequences,
    sequences,
    cacheTypeK: CACHE_TYPES[typeK] as CacheType,
    cacheTypeV: CACHE_TYPES[typeV] as CacheType,
    runtime: { kind: "llama-cpp", settings },
    devices,
  };
  return { request, settings, devices };
}

function layOut(row: Row) {
  const { request, settings, devices } = requestOf(row);
  const memory = estimateLlamaCpp(request, settings, devices);
  // The stand-ins for devices could not be told apart, so first norms ran on the device before.
  const compute =
    devices.length > 1
      ? computeBuffers({
          architecture: request.architecture,
          model: memory.model,
          run: memory.run,
          placement: memory.placement,
          assignsNorms: false,
        })
      : { devices: memory.devices.map((device) => device.compute), host: memory.host.compute };
  return { memory, compute };
}

describe("llama.cpp's own answers", () => {
  it("cover dense, mixture, latent, windowed and hybrid models under all settings", () => {
    expect(rows.length).toBeGreaterThan(500);
    expect(new Set(rows.map((row) => row.config)).size).toBeGreaterThan(30);
  });

  it("caches are equal to the byte", () => {
    for (const row of rows) {
      const { request, settings, devices } = requestOf(row);
      const memory = estimateLlamaCpp(request, settings, devices);
      const logged = [...row.devices, row.host].reduce((sum, [, cache]) => sum + cache, 0);
      // Figures are printed to three or four decimals of a MiB. CUDA pads the last row of a quantized cache tensor; the log of the cache itself does not count it.
      const padding = row.cache === undefined ? 0.0005 * (row.devices.length + 1) : 0.1;
      expect(Math.abs(memory.cacheBytes / MIB - logged), JSON.stringify(row)).toBeLessThanOrEqual(padding);
      const cells = new Set(memory.cacheGroups.map((group) => group.cells));
      for (const [length, streams, mib] of row.caches) {
        if (mib > 0 && length > 1) {
          expect(cells, JSON.stringify(row)).toContain(length * streams);
        }
      }
    }
  });

  it("weights and cache of each device, and weights of the host, are within 0.1%", () => {
    for (const row of rows) {
      const { request, settings, devices } = requestOf(row);
      const memory = estimateLlamaCpp(request, settings, devices);
      row.devices.forEach(([weights, cache], index) => {
        const device = memory.devices[index];
        const text = `${index} of ${JSON.stringify(row)}`;
        expect(Math.abs((device?.weights ?? 0) / MIB - weights), text).toBeLessThanOrEqual(0.001 * weights + 0.01);
        expect(Math.abs((device?.kvCache ?? 0) / MIB - cache), text).toBeLessThanOrEqual(0.001 * cache + 0.01);
      });
      const [hostWeights] = row.host;
      const text = `host of ${JSON.stringify(row)}`;
      expect(Math.abs(memory.host.weights / MIB - hostWeights), text).toBeLessThanOrEqual(0.001 * hostWeights + 0.05);
    }
  });

  it("compute buffers of devices are equal", () => {
    for (const row of rows) {
      const { compute } = layOut(row);
      row.devices.forEach(([, , truth], index) => {
        const error = truth > 1 ? (compute.devices[index] ?? 0) / MIB / truth - 1 : 0;
        expect(Math.abs(error), `${index} of ${JSON.stringify(row)}`).toBeLessThan(0.0005);
      });
    }
  });

  it("compute buffers of the host are equal", () => {
    for (const row of rows) {
      const { compute } = layOut(row);
      const [, , truth] = row.host;
      expect(Math.abs(compute.host / MIB / truth - 1), JSON.stringify(row)).toBeLessThan(0.01);
    }
  });
});

describe("models whose graphs have a shape of their own", () => {
  const layOutOne = (config: string, change: Partial<Row> = {}) =>
    layOut({
      config,
      fileType: "Q4_K_M",
      contextTokens: 8192,
      ubatch: 512,
      outputRows: 1,
      copies: 1,
      devices: [[0, 0, 0]],
      host: [0, 0, 0],
      caches: [],
      ...change,
    }).compute;
  const F32_BYTES = 4;
  const MASK_BYTES = 2;

  it("MiniCPM3 peaks in its feed-forward part, like any dense model", () => {
    // The rule all dense rows of the fixture follow: 4 x ub x (3 n_ff + 2 n_embd + heads x value width) + mask.
    const [ub, cells, embd, ff, values] = [512, 8192, 2560, 6400, 40 * 64];
    const { devices } = layOutOne("minicpm3-4b");
    const expected = F32_BYTES * ub * (3 * ff + 2 * embd + values) + MASK_BYTES * ub * cells;
    expect(Math.abs((devices[0] ?? 0) / expected - 1)).toBeLessThan(0.0005);
  });

  it("Qwen3-VL's host keeps the embedding and an input of four times its width", () => {
    // Three parts more for image features (qwen3vl.cpp), the embedding itself, and the mask.
    const [ub, cells, embd] = [512, 8192, 4096];
    const expected = F32_BYTES * ub * (4 * embd + embd) + MASK_BYTES * ub * cells;
    expect(Math.abs(layOutOne("qwen3-vl-8b-instruct").host / expected - 1)).toBeLessThan(0.002);
  });

  it.each(["gemma-3n-e2b-it", "llama-4-scout-17b-16e-instruct", "deepseek-v4-flash", "minimax-m3"])(
    "%s: a longer context, a larger microbatch or no flash attention never need less",
    (config) => {
      const base = layOutOne(config).devices[0] ?? 0;
      expect(base).toBeGreaterThan(0);
      expect(layOutOne(config, { contextTokens: 32_768 }).devices[0]).toBeGreaterThanOrEqual(base);
      expect(layOutOne(config, { ubatch: 2048 }).devices[0]).toBeGreaterThan(base);
      expect(layOutOne(config, { contextTokens: 32_768, flashAttention: false }).devices[0]).toBeGreaterThan(base);
    },
  );

  it("MiniMax-M3 over the most sequences is bounded, and needs no less than over few", () => {
    const sequences = (count: number) => layOutOne("minimax-m3", { contextTokens: 4096 * count, sequences: count });
    const started = process.cpuUsage();
    const many = sequences(256).devices[0] ?? 0;
    expect(process.cpuUsage(started).user / 1e6).toBeLessThan(3);
    expect(many).toBeGreaterThanOrEqual(sequences(16).devices[0] ?? 0);
  });
});

describe("pipelines on real CUDA", () => {
  // Start-up logs: Qwen3-8B on two cards, microbatch 512 at 32768 tokens and 2048 at 131072: the same on both.
  it.each([
    [512, 32_768, 256.04],
    [2048, 131_072, 2560.16],
  ])(
    "Qwen3-8B, microbatch %i at %i tokens: %f MiB on the first card and little more on the second",
    (ubatch, context, mib) => {
      const row = { config: "qwen3-8b", fileType: "Q4_K_M", contextTokens: context, ubatch, outputRows: 1 };
      const { request, settings, devices } = requestOf({
        ...row,
        copies: 4,
        devices: [
          [0, 0, 0],
          [0, 0, 0],
        ],
        host: [0, 0, 0],
        caches: [],
      });
      const [first, second] = estimateLlamaCpp(request, settings, devices).devices;
      expect((first?.compute ?? 0) / MIB).toBeCloseTo(mib, 2);
      expect((second?.compute ?? 0) / MIB / mib).toBeGreaterThanOrEqual(1);
      expect((second?.compute ?? 0) / MIB / mib).toBeLessThan(1.03);
    },
  );
});

describe("settings llama.cpp refuses", () => {
  const row: Row = {
    config: "qwen3-8b",
    fileType: "Q4_K_M",
    contextTokens: 8192,
    ubatch: 512,
    copies: 1,
    devices: [[0, 0, 0]],
    host: [0, 0, 0],
    caches: [],
  };
  const refusal = (
    change: Partial<Row>,
    settings: Partial<LlamaCppSettings> = {},
    request: Partial<EstimateRequest> = {},
  ) => {
    const built = requestOf({ ...row, ...change });
    try {
      estimateLlamaCpp({ ...built.request, ...request }, { ...built.settings, ...settings }, built.devices);
    } catch (error) {
      return error;
    }
    return undefined;
  };

  it("a quantized V without flash attention", () => {
    const error = refusal({ cache: ["q8_0", "q8_0"], flashAttention: false });
    expect(error).toBeInstanceOf(EstimateError);
    expect(error).toMatchObject({ path: ["cacheTypeV"], code: "CACHE_TYPE_NEEDS_FLASH_ATTENTION" });
    expect(refusal({ cache: ["q8_0", "f16"], flashAttention: false })).toBeUndefined();
  });

  it("a cache type whose blocks do not divide the head", () => {
    const type = { slug: "odd", blockElements: 96, blockBytes: 54 };
    expect(refusal({}, {}, { cacheTypeK: type })).toMatchObject({
      path: ["cacheTypeK"],
      code: "CACHE_TYPE_NOT_SUPPORTED",
    });
  });

  it.each([0, -1, 1.5, Number.NaN, 2 ** 31 + 1])("a context of %s", (contextTokens) => {
    expect(refusal({}, {}, { contextTokens })).toMatchObject({ path: ["contextTokens"] });
  });

  it.each([0, 257, 2.5])("%s sequences", (sequences) => {
    expect(refusal({}, {}, { sequences })).toMatchObject({ path: ["sequences"] });
  });

  it("settings out of range", () => {
    expect(refusal({}, { ubatchSize: 0 })).toMatchObject({ path: ["runtime", "settings", "ubatchSize"] });
    expect(refusal({}, { gpuLayers: -1 })).toMatchObject({ path: ["runtime", "settings", "gpuLayers"] });
    expect(refusal({}, { outputRows: 0 })).toMatchObject({ path: ["runtime", "settings", "outputRows"] });
    expect(refusal({}, { tensorSplit: [1, 2] })).toMatchObject({ path: ["runtime", "settings", "tensorSplit"] });
    expect(refusal({}, { splitMode: "ROW" })).toMatchObject({ code: "SPLIT_NOT_SUPPORTED" });
  });
});

describe("reduceLayers", () => {
  const same = (a: string, b: string) => a === b;

  it("leaves short sequences alone", () => {
    const layers = [..."aabbab"];
    expect(reduceLayers(layers, same)).toEqual(layers);
  });

  it.each([60, 61, 64, 126, 400])("keeps ends and phase of %i layers in a pattern of six", (count) => {
    const layers = Array.from({ length: count }, (_, index) => (index % 6 === 5 ? "full" : "window"));
    const kept = reduceLayers(layers, same);
    expect(kept.length).toBeLessThanOrEqual(13 * 6);
    expect(kept.length % 6).toBe(count % 6);
    expect(kept.at(-1)).toBe(layers.at(-1));
    expect(kept.slice(0, 36)).toEqual(layers.slice(0, 36));
  });
});
