import { readFileSync } from "node:fs";
import fc from "fast-check";
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
import type { Architecture, Block } from "../../architecture/architecture.js";
import { estimate } from "../../estimate.js";
import type { EstimateRequest } from "../../estimate.types.js";
import { EstimateError } from "../../estimate-error.js";
import { estimateVllm, type VllmMemory } from "./estimate-vllm.js";
import { layOutVllm } from "./lay-out-vllm.js";
import { readVllmConstants } from "./read-vllm-constants.js";
import type { VllmSettings } from "./vllm.types.js";

interface StartUp {
  source: string;
  log?: string;
  model: string;
  config: string;
  format: string;
  version: string;
  settings: Partial<VllmSettings>;
  device: { name: string; gib: number };
  contextTokens?: number;
  measured: {
    weightsGib: number;
    availableGib: number;
    tokens?: number;
    concurrency?: number;
    activationGib?: number;
  };
}

/** Start-up logs of vLLM 0.10 to 0.19; each row names its source. */
const LOGS: StartUp[] = JSON.parse(
  readFileSync(new URL("../../../../test/fixtures/serving/vllm-start-up.json", import.meta.url), "utf8"),
);

const CONSTANTS = constantsOf("vllm");
const settingsOf = (settings: Partial<VllmSettings> = {}): VllmSettings => ({
  tensorParallel: 1,
  pipelineParallel: 1,
  expertParallel: false,
  enforceEager: false,
  ...settings,
});
const run = (request: EstimateRequest, settings: Partial<VllmSettings> = {}, version?: string): VllmMemory =>
  estimateVllm(request, settingsOf(settings), readVllmConstants(CONSTANTS, version));

function requestOfLog(log: StartUp): EstimateRequest {
  return requestOf(architectureOf(log.config), {
    scheme: schemeOf(log.format),
    contextTokens: log.contextTokens ?? 8192,
    devices: cards(log.settings.tensorParallel ?? 1, log.device.gib, log.device.name),
  });
}

const errorOf = (work: () => unknown): EstimateError => {
  try {
    work();
  } catch (error) {
    if (error instanceof EstimateError) return error;
    throw error;
  }
  throw new Error("nothing was refused");
};

describe("start-up logs", () => {
  it.each(LOGS.map((log) => [`${log.model} tp${log.settings.tensorParallel} on ${log.version}`, log] as const))(
    "%s",
    (_name, log) => {
      const memory = run(requestOfLog(log), log.settings, log.version);
      const [rank] = memory.parts;
      const { weightsGib, availableGib, tokens, activationGib } = log.measured;
      expect(Math.abs((rank?.weights ?? 0) / GIB / weightsGib - 1)).toBeLessThan(0.005);
      expect((memory.pool?.bytesPerDevice ?? 0) / GIB / availableGib).toBeGreaterThan(0.97);
      expect((memory.pool?.bytesPerDevice ?? 0) / GIB / availableGib).toBeLessThan(1.03);
      if (tokens !== undefined) expect(Math.abs((memory.pool?.tokens ?? 0) / tokens - 1)).toBeLessThan(0.03);
      if (activationGib !== undefined) {
        expect(Math.abs((rank?.activation ?? 0) / GIB - activationGib)).toBeLessThan(0.15);
      }
    },
  );

  it.each(
    LOGS.filter(({ measured }) => measured.tokens !== undefined).map(
      (log) => [`${log.model} tp${log.settings.tensorParallel} on ${log.version}`, log] as const,
    ),
  )("from the logged memory the logged tokens: %s", (_name, log) => {
    const memory = run(requestOfLog(log), log.settings, log.version);
    const { blocks, stages } = memory;
    const blockBytes = blocks.blockBytes(0, stages[0]?.layers ?? 0);
    const poolBlocks = Math.floor((log.measured.availableGib * GIB) / blockBytes);
    const blockTokens = Math.min(...blocks.groups.map((group) => group.blockTokens));
    const tokens = Math.floor(poolBlocks / blocks.groups.length) * blockTokens;
    // The log rounds the memory to 0.01 GiB.
    expect(Math.abs(tokens / (log.measured.tokens ?? 0) - 1)).toBeLessThan(0.005);
    if (log.measured.concurrency !== undefined) {
      expect(Math.abs(poolBlocks / memory.blocksPerSequence / log.measured.concurrency - 1)).toBeLessThan(0.005);
    }
  });
});

describe("cache", () => {
  const FP8 = { slug: "fp8", blockElements: 1, blockBytes: 1 };
  const bytesPerToken = (memory: VllmMemory): number => memory.blocks.blockBytes(0, Number.POSITIVE_INFINITY) / 16;

  it("GLM-5.2 with an 8-bit cache: 47,700 bytes a token = 78 latents and 21 index keys", () => {
    const request = requestOf(architectureOf("glm-5.2"), { cacheTypeK: FP8 });
    expect(bytesPerToken(run(request, { tensorParallel: 8 }))).toBe(47_700);
  });

  it("latents are whole on every tensor-parallel device: DeepSeek-V2-Lite takes 31,104 bytes at 1, 2 and 4", () => {
    const request = requestOf(architectureOf("deepseek-v2-lite"));
    for (const tensorParallel of [1, 2, 4]) {
      expect(bytesPerToken(run(request, { tensorParallel }))).toBe(31_104);
    }
  });

  it("KV heads are repeated once there are fewer than devices", () => {
    // Qwen3-235B keeps 48,128 bytes a token and device at 4 as at 8: 94 layers, one head of 128, two bytes.
    const architecture = { ...madeUp({}, { heads: 64, kvHeads: 4 }), layers: new Array<string>(94).fill("layer") };
    expect(bytesPerToken(run(requestOf(architecture), { tensorParallel: 4 }))).toBe(48_128);
    expect(bytesPerToken(run(requestOf(architecture), { tensorParallel: 8 }))).toBe(48_128);
  });

  it("attention blocks of hybrids hold a recurrent state: 1568 tokens, tokens by concurrency from 0.21 on", () => {
    // Qwen3.8-27B-FP8 over two RTX 3090: 4.99 GiB left, 302,921 tokens, 2.31x at 131,072. Shape of Qwen3.5-27B.
    const request = requestOf(architectureOf("qwen3.5-27b"), {
      cacheTypeK: FP8,
      contextTokens: 131_072,
      devices: cards(2, 80),
    });
    const memory = run(request, { tensorParallel: 2, maxNumBatchedTokens: 8192 });
    const poolBlocks = Math.floor((4.99 * GIB) / memory.blocks.blockBytes(0, 64));
    expect(memory.pool?.blockTokens).toBe(1568);
    expect(Math.floor((poolBlocks / memory.blocksPerSequence) * 131_072)).toBe(302_921);
  });

  it("states keep the precision that the config states, else the model's own", () => {
    const recurrent = { kind: "mamba2" as const, innerSize: 4096, stateSize: 128, heads: 64, groups: 8, convKernel: 4 };
    const hybrid = { ...madeUp(), blocks: { layer: { recurrent, tensors: [] } } };
    const stateBytes = (recurrentStateBytes?: number): number =>
      run(
        requestOf({ ...hybrid, ...(recurrentStateBytes !== undefined && { recurrentStateBytes }) }),
      ).blocks.blockBytes(0, 1);
    expect(stateBytes()).toBe(stateBytes(2));
    expect(stateBytes(4) - stateBytes(2)).toBe(4096 * 128 * 2);
    expect(architectureOf("qwen3.5-27b").recurrentStateBytes).toBe(4);
    expect(architectureOf("qwen3-next-80b-a3b-instruct").recurrentStateBytes).toBeUndefined();
  });

  it("smaller pages take more tokens: Gemma-4-26B counts 451,056 tokens in 51.62 GiB", () => {
    const request = requestOf(architectureOf("gemma-4-26b-a4b"), { cacheTypeK: FP8, contextTokens: 131_072 });
    const { blocks } = run(request, {}, "0.19");
    expect(blocks.groups.map((group) => group.blockTokens)).toContain(32);
    const poolBlocks = Math.floor((51.62 * GIB) / blocks.blockBytes(0, 30));
    expect(Math.floor(poolBlocks / blocks.groups.length) * 16).toBe(451_056);
  });

  it("is stored in whole blocks, and its groups sum to the devices", () => {
    const request = requestOf(madeUp(), { contextTokens: 17, sequences: 3, devices: cards(2, 80) });
    const layout = layOutVllm(request, settingsOf({ tensorParallel: 2 }), readVllmConstants(CONSTANTS));
    expect(layout.devices[0]?.kvCache).toBe(3 * 32 * 10 * 4 * (128 + 128) * 2);
    expect(layout.cacheGroups.reduce((sum, group) => sum + group.bytes, 0)).toBe(layout.cacheBytes);
    expect(layout.cacheBytesPerToken).toBe(10 * 8 * (128 + 128) * 2);
  });
});

describe("weights", () => {
  const weightsOf = (request: EstimateRequest, settings: Partial<VllmSettings>): number[] =>
    run(request, settings).parts.map((part) => part.weights);

  it("stages take layers in turn, embedding first, output last; spare layers before the last", () => {
    const memory = run(requestOf(madeUp()), { pipelineParallel: 4 });
    expect(memory.stages.map((stage) => stage.layers)).toEqual([2, 3, 3, 2]);
    const [first = 0, second = 0, third = 0, last = 0] = memory.stages.map((stage) => stage.bytes);
    const layer = second / 3;
    expect(second).toBe(third);
    // 65,500 tokens are padded to 65,536.
    expect(first).toBe(2 * layer + 65_536 * 4096 * 2);
    expect(last).toBe(2 * layer + 65_536 * 4096 * 2 + 4096 * 2);
  });

  it("a tied embedding is on the first and on the last stage", () => {
    const tied = { ...madeUp(), tiedEmbeddings: true };
    const untied = weightsOf(requestOf(madeUp()), { pipelineParallel: 2 });
    expect(weightsOf(requestOf(tied), { pipelineParallel: 2 })).toEqual(untied);
    const [one = 0] = weightsOf(requestOf(madeUp()), {});
    expect(weightsOf(requestOf(tied), {})[0]).toBe(one - 65_536 * 4096 * 2);
  });

  it("experts are divided by width or dealt whole, the last devices fewer; routers are whole", () => {
    const { feedForward: _, ...rest } = madeUp().blocks.layer ?? { tensors: [] };
    const mixtureOf = (count: number): EstimateRequest =>
      requestOf({ ...madeUp(), blocks: { layer: { ...rest, experts: { count, used: 2, size: 1024, gated: true } } } });
    const plan = { tensorParallel: 8, expertParallel: true };
    const [halved, dealt] = [{ tensorParallel: 2 }, { tensorParallel: 2, expertParallel: true }];
    expect(weightsOf(mixtureOf(8), halved)).toEqual(weightsOf(mixtureOf(8), dealt));
    // Twelve experts over eight devices take the room of sixteen, but for four rows of each router.
    const [twelve = 0] = weightsOf(mixtureOf(12), plan);
    const [sixteen = 0] = weightsOf(mixtureOf(16), plan);
    expect(sixteen - twelve).toBe(10 * 4 * 4096 * 2);
  });

  it("prediction blocks are not loaded, towers are, on the first stage", () => {
    const encoders = [{ kind: "vision" as const, parameters: 400_000_000 }];
    const nextTokenPrediction = { layers: ["layer"], inGguf: true, loadedByLlamaCpp: true, cachedByLlamaCpp: true };
    const [plain = 0] = weightsOf(requestOf(madeUp()), { pipelineParallel: 2 });
    const richer = { ...madeUp(), encoders, nextTokenPrediction };
    expect(weightsOf(requestOf(richer), { pipelineParallel: 2 })[0]).toBe(plain + 800_000_000);
    expect(run(requestOf(richer)).weights.parameters - run(requestOf(madeUp())).weights.parameters).toBe(400_000_000);
  });

  it("experts in MXFP4 are padded to whole tiles: gpt-oss-120b takes 64.4 GiB", () => {
    const request = requestOf(architectureOf("gpt-oss-120b"), { scheme: schemeOf("mxfp4") });
    expect((weightsOf(request, {})[0] ?? 0) / GIB).toBeCloseTo(64.4, 0);
  });

  it("each card's kernel pads experts in its own way: Marlin takes 65.97 GiB of gpt-oss-120b on an H100", () => {
    const gptOss = architectureOf("gpt-oss-120b");
    const onCard = (computeCapability: number | undefined, settings: Partial<VllmSettings> = {}): number => {
      const device = {
        name: "card",
        capacityBytes: null,
        ...(computeCapability !== undefined && { computeCapability }),
      };
      return weightsOf(requestOf(gptOss, { scheme: schemeOf("mxfp4"), devices: [device] }), settings)[0] ?? 0;
    };
    const marlin = onCard(9, { expertKernel: "marlin" });
    expect(Math.abs(marlin / GIB / 65.965 - 1)).toBeLessThan(0.001);
    expect([8.6, 8.9, 12, 12.1].map((capability) => onCard(capability))).toEqual([marlin, marlin, marlin, marlin]);
    expect(onCard(undefined)).toBe(onCard(9));
    // Both widths, 2880, become 3072 on a B200.
    const experts = 36 * 128 * 3 * (4.25 / 8);
    expect(Math.abs((onCard(10) - marlin) / (experts * (3072 - 2944) * 3072) - 1)).toBeLessThan(0.02);
  });

  it("towers are divided as the text model, but for those of transformers and of publishers' own formats", () => {
    const tower = (modelType: string) => ({
      ...madeUp(),
      encoders: [{ kind: "vision" as const, parameters: 400_000_000, modelType }],
    });
    const bytesOf = (modelType: string, slug = "bf16"): number => {
      const plain = requestOf(madeUp(), { scheme: schemeOf(slug) });
      const [without = 0] = weightsOf(plain, { tensorParallel: 2 });
      return (weightsOf({ ...plain, architecture: tower(modelType) }, { tensorParallel: 2 })[0] ?? 0) - without;
    };
    expect(bytesOf("llava_next")).toBe(400_000_000);
    expect(bytesOf("gemma4")).toBe(800_000_000);
    // Mistral Small 3.1 over two H100 (vLLM 0.19): 22.80 GiB in its publisher's format, 12.11 as W8A8.
    expect([bytesOf("mistral3"), bytesOf("mistral3", "ct-w8a8")]).toEqual([800_000_000, 400_000_000]);
  });

  it("rotary tables and what waits for text layers count: Qwen3-VL-2B takes 4.24 GiB, Gemma 3 27B 0.28 beside", () => {
    const tables = (rotaryTables: NonNullable<Architecture["rotaryTables"]>): number =>
      (weightsOf(requestOf({ ...madeUp(), rotaryTables }), {})[0] ?? 0) - (weightsOf(requestOf(madeUp()), {})[0] ?? 0);
    expect(tables([{ width: 128, positions: 131_072 }])).toBe(2 ** 25);
    expect(tables([{ width: 128, positions: 262_144, sectioned: true }])).toBe(2 ** 28);
    const both = [131_072, 1_048_576].map((positions) => ({ width: 128, positions }));
    expect(tables(both) / GIB).toBeCloseTo(0.28, 2);
    const encoder = { kind: "vision" as const, parameters: 1, modelType: "qwen3_vl", injectedLayers: 3 };
    const waiting = requestOf({ ...madeUp(), encoders: [encoder] });
    const [small = 0, large = 0] = [2048, 32_768].map(
      (maxNumBatchedTokens) => weightsOf(waiting, { maxNumBatchedTokens, tensorParallel: 2 })[0],
    );
    expect(large - small).toBe(3 * (32_768 - 2048) * 4096 * 2);
  });

  it("DeepSeek-V4's attention is whole on each device: V4-Flash over four takes 42.46 GiB on vLLM 0.26", () => {
    const request = requestOf(architectureOf("deepseek-v4-flash"), { scheme: schemeOf("mxfp4-fp8") });
    const [weights = 0] = weightsOf(request, { tensorParallel: 4 });
    expect(Math.abs(weights / GIB / 42.46 - 1)).toBeLessThan(0.07);
    expect(weights * 4).toBeGreaterThan(1.05 * run(request).weights.bytes);
  });

  it("what is no checkpoint is warned of, plain GGUF files are not", () => {
    const codes = (slug: string): string[] =>
      layOutVllm(requestOf(madeUp(), { scheme: schemeOf(slug) }), settingsOf(), readVllmConstants(CONSTANTS))
        .warnings()
        .map(({ code }) => code);
    for (const slug of ["q4_k_m", "exl3-4bpw", "mlx-4bit"]) {
      expect(codes(slug)).toContain("QUANT_FORMAT_NOT_LOADABLE");
    }
    for (const slug of ["bf16", "f16", "fp8", "awq-int4", "nvfp4"]) {
      expect(codes(slug)).not.toContain("QUANT_FORMAT_NOT_LOADABLE");
    }
  });
});

describe("devices and budget", () => {
  const estimateOf = (request: EstimateRequest, settings: Partial<VllmSettings>) =>
    estimate({
      ...request,
      runtime: { kind: "vllm", settings: settingsOf(settings), constants: readVllmConstants(CONSTANTS) },
    });

  it("without devices: as many as the plan takes, without a limit or a pool", () => {
    const result = estimateOf(requestOf(madeUp()), { tensorParallel: 2, pipelineParallel: 2 });
    expect(result.devices).toHaveLength(4);
    expect(result.pool).toBeNull();
    expect(result.fits).toBeNull();
    expect(result.devices.map((device) => device.layers)).toEqual([5, 5, 5, 5]);
  });

  it("fits exactly as long as the pool holds the sequences", () => {
    const request = requestOf(madeUp(), { devices: cards(1, 24, "RTX 3090") });
    const concurrency = estimateOf(request, {}).pool?.maxConcurrency ?? 0;
    const whole = Math.floor(concurrency);
    expect(whole).toBeGreaterThan(1);
    expect(estimateOf({ ...request, sequences: whole }, {}).fits).toBe(true);
    expect(estimateOf({ ...request, sequences: whole + 1 }, {}).fits).toBe(false);
    const most = estimateOf(request, {}).maxContextTokens ?? 0;
    expect(estimateOf({ ...request, contextTokens: most }, {}).pool?.maxConcurrency).toBeGreaterThanOrEqual(1);
    expect(estimateOf({ ...request, contextTokens: most + 256 }, {}).pool?.maxConcurrency).toBeLessThan(1);
  });

  it("no room at all is an empty pool, not an error", () => {
    const result = estimateOf(requestOf(madeUp(), { devices: cards(1, 4) }), {});
    expect(result.pool).toMatchObject({ bytesPerDevice: 0, tokens: 0, maxConcurrency: 0 });
    expect(result.fits).toBe(false);
    expect(result.maxContextTokens).toBe(0);
  });

  it("sums hold, steps have figures, spare devices stay empty with a warning", () => {
    const result = estimateOf(requestOf(madeUp(), { devices: cards(3, 80) }), { tensorParallel: 2 });
    for (const device of result.devices) {
      expect(device.total).toBe(device.weights + device.kvCache + device.compute + device.overhead);
    }
    expect(result.devices[2]).toMatchObject({ total: 0, layers: 0 });
    expect(result.warnings.map(({ code }) => code)).toContain("DEVICES_UNUSED");
    expect(result.fits).toBe(true);
    expect(result.steps.length).toBeGreaterThan(8);
    expect(result.steps.every(({ formula, result: text }) => !/NaN|undefined|Infinity/.test(formula + text))).toBe(
      true,
    );
  });

  it("the larger device of an unequal pair is held back by the smaller", () => {
    const small = requestOf(madeUp(), { devices: cards(2, 40) });
    const mixed = requestOf(madeUp(), { devices: [...cards(1, 80), ...cards(1, 40)] });
    expect(estimateOf(mixed, { tensorParallel: 2 }).pool).toEqual(estimateOf(small, { tensorParallel: 2 }).pool);
  });

  it.each([
    ["tensorParallel", { tensorParallel: 0 }],
    ["tensorParallel", { tensorParallel: 3 }],
    ["tensorParallel", { tensorParallel: 1.5 }],
    ["pipelineParallel", { pipelineParallel: 11 }],
    ["gpuMemoryUtilization", { gpuMemoryUtilization: 1.5 }],
    ["gpuMemoryUtilization", { gpuMemoryUtilization: 0 }],
    ["maxNumBatchedTokens", { maxNumBatchedTokens: 0 }],
    ["maxNumSeqs", { maxNumSeqs: Number.NaN }],
  ] as const)("refuses a wrong %s by its path: %o", (name, settings) => {
    expect(errorOf(() => run(requestOf(madeUp()), settings)).path).toEqual(["runtime", name]);
  });

  it("a split that the model does not allow is told from a setting out of range", () => {
    expect(errorOf(() => run(requestOf(madeUp()), { tensorParallel: 3 })).code).toBe("SPLIT_NOT_SUPPORTED");
    expect(errorOf(() => run(requestOf(madeUp()), { tensorParallel: 0 })).code).toBe("INVALID_SETTING");
  });

  it("refuses fewer devices than the plan takes", () => {
    const error = errorOf(() => run(requestOf(madeUp(), { devices: cards(2, 80) }), { tensorParallel: 4 }));
    expect(error.message).toContain("needs 4 devices; 2 are given");
  });
});

describe("made-up models", () => {
  const kvHeads = fc.constantFrom(1, 2, 4, 8, 16);
  const windows = fc.constantFrom(undefined, { kind: "sliding" as const, size: 1024 });
  const state = { kind: "mamba2" as const, innerSize: 4096, stateSize: 128, heads: 64, groups: 1, convKernel: 4 };
  const models = fc.record({
    kvHeads,
    window: windows,
    hasState: fc.boolean(),
    layers: fc.integer({ min: 4, max: 40 }),
  });
  const architectureFrom = (model: typeof models extends fc.Arbitrary<infer T> ? T : never): Architecture => {
    const base = madeUp({}, { kvHeads: model.kvHeads });
    const { layer } = base.blocks;
    const windowed = madeUp({}, model.window === undefined ? {} : { window: model.window }).blocks.layer;
    return {
      ...base,
      blocks: {
        full: layer as Block,
        other: model.hasState ? { recurrent: state, tensors: [] } : (windowed as Block),
      },
      layers: Array.from({ length: model.layers }, (_, index) => (index % 4 === 0 ? "full" : "other")),
    };
  };

  it("more context or sequences never need less; no tensor is lost; the pool agrees with what fits", () => {
    fc.assert(
      fc.property(
        models,
        fc.constantFrom(1, 2, 4, 8),
        fc.constantFrom(1, 2),
        fc.integer({ min: 1, max: 200_000 }),
        fc.integer({ min: 1, max: 64 }),
        (model, tensorParallel, pipelineParallel, contextTokens, sequences) => {
          const plan = settingsOf({ tensorParallel, pipelineParallel });
          const constants = readVllmConstants(CONSTANTS);
          const devices = cards(tensorParallel * pipelineParallel, 40);
          const request = requestOf(architectureFrom(model), { contextTokens, sequences, devices });
          const layout = layOutVllm(request, plan, constants);
          const more = layOutVllm({ ...request, contextTokens: contextTokens + 100 }, plan, constants);
          const again = layOutVllm({ ...request, sequences: sequences + 1 }, plan, constants);
          expect(more.cacheBytes).toBeGreaterThanOrEqual(layout.cacheBytes);
          expect(again.cacheBytes).toBeGreaterThan(layout.cacheBytes);
          const weights = layout.devices.reduce((sum, device) => sum + device.weights, 0);
          expect(weights).toBeGreaterThanOrEqual(layout.weights.bytes);
          const fits = layout.devices.every((device) => device.total <= (device.limitBytes ?? 0));
          expect(fits).toBe((layout.pool?.maxConcurrency ?? 0) >= sequences);
        },
      ),
      { numRuns: 60 },
    );
  });
});

describe("versions", () => {
  it("a version between two takes the older one's constants, the newest the row's own", () => {
    expect(readVllmConstants(CONSTANTS, "0.16.0")).toEqual(readVllmConstants(CONSTANTS, "0.12"));
    expect(readVllmConstants(CONSTANTS, "v0.19.0")).toEqual(readVllmConstants(CONSTANTS, "0.18"));
    expect(readVllmConstants(CONSTANTS, "0.29.1rc1")).toEqual(readVllmConstants(CONSTANTS));
    expect(readVllmConstants(CONSTANTS, "0.21").gpuMemoryUtilization).toBe(0.9);
    expect(readVllmConstants(CONSTANTS).gpuMemoryUtilization).toBe(0.92);
  });

  it.each(["0.1", "0.99", "7", "latest", ""])("an unknown version %s is refused with those known", (version) => {
    const error = errorOf(() => readVllmConstants(CONSTANTS, version));
    expect(error.path).toEqual(["runtime", "version"]);
    expect(error.message).toContain("0.18");
  });

  it("a row that lacks a constant is named", () => {
    expect(errorOf(() => readVllmConstants({})).message).toContain("constants.largeDevice");
    expect(errorOf(() => readVllmConstants(null)).message).toContain("vLLM");
    const row = { ...(CONSTANTS as object), gpuMemoryUtilization: "most" };
    expect(errorOf(() => readVllmConstants(row)).message).toContain("gpuMemoryUtilization");
  });

  it("the jump at 0.17: sampling needs 3.64 copies of the logits, not 9.53", () => {
    const activation = (version: string): number =>
      (run(requestOf(architectureOf("qwen3-14b")), {}, version).parts[0]?.activation ?? 0) / GIB;
    expect(activation("0.16")).toBeCloseTo(5.64, 1);
    expect(activation("0.17")).toBeCloseTo(2.23, 1);
  });
});
