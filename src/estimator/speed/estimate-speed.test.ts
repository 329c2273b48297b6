import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import type { Architecture } from "../architecture/architecture.js";
import { architectureFromConfig } from "../architecture/from-config.js";
import { estimate } from "../estimate.js";
import type { EstimateRequest, LlamaCppSettings } from "../estimate.types.js";
import type { QuantScheme } from "../quantization/scheme.js";
import { estimateSpeed } from "./estimate-speed.js";
import type { SpeedCard, SpeedConstants, SpeedEstimate, StorageConstants } from "./speed.types.js";
import { expertsTouched } from "./token-work.js";

const configs = new URL("../../../test/fixtures/configs/", import.meta.url);

function architectureOf(config: string): Architecture {
  return architectureFromConfig(JSON.parse(readFileSync(new URL(`${config}.json`, configs), "utf8")));
}

const F16: QuantScheme = { kind: "ggml", fileType: "F16" };
const LLAMA_CPP: LlamaCppSettings = {
  ubatchSize: 512,
  batchSize: 2048,
  flashAttention: true,
  kvUnified: true,
  swaFull: false,
  cpuMoeLayers: 0,
  splitMode: "LAYER",
};

const perfect: StorageConstants = { bandwidth: 1, compute: 1, launch: 1, tileRows: 1 };
/** An engine that reaches the data sheet and loses no time. */
const IDEAL: SpeedConstants = {
  basis: "none",
  nativePeaks: ["fp8", "fp4"],
  launchOverlaps: false,
  stepUs: 0,
  operationUs: 0,
  expertUs: 0,
  storage: { half: perfect, fp8: perfect, int8: perfect, fourBit: perfect },
  cacheBandwidth: 1,
  activationPasses: 0,
  scoreBytes: 0,
  attentionCompute: 1,
  reduceUs: { linked: 0, pcie: 0 },
  handoverUs: 0,
  families: [],
};

const CARD: SpeedCard = {
  name: "card",
  vendor: "NVIDIA",
  architecture: "Ampere",
  gpuClass: "DATACENTER",
  memoryType: "HBM2e",
  bandwidthGbPerSecond: 1000,
  fp16Tflops: 100,
  fp32Tflops: 20,
  fp8Tflops: null,
  fp4Tflops: null,
  linkGbPerSecond: 600,
  linkedCards: 8,
  pcieGbPerSecond: 25,
};

interface Case {
  architecture?: Architecture;
  scheme?: QuantScheme;
  settings?: Partial<LlamaCppSettings>;
  sequences?: number;
  cards?: SpeedCard[];
  constants?: Partial<SpeedConstants>;
  depth?: number;
  prompt?: number;
  host?: number;
}

const LLAMA = architectureOf("llama-3.1-8b-instruct");

function speedOf(asked: Case): SpeedEstimate | null {
  const cards = asked.cards ?? [CARD];
  const request: EstimateRequest = {
    architecture: asked.architecture ?? LLAMA,
    scheme: asked.scheme ?? F16,
    contextTokens: 4096,
    sequences: asked.sequences ?? 1,
    runtime: { kind: "llama-cpp", settings: { ...LLAMA_CPP, ...asked.settings } },
    devices: cards.map(({ name }) => ({ name, capacityBytes: 400e9 })),
  };
  return estimateSpeed(
    request,
    estimate(request),
    cards,
    { ...IDEAL, ...asked.constants },
    {
      depthTokens: asked.depth ?? 0,
      promptTokens: asked.prompt ?? 512,
      hostGbPerSecond: asked.host ?? 50,
    },
  );
}

function known(asked: Case): SpeedEstimate {
  const speed = speedOf(asked);
  if (speed === null) throw new Error("no speed");
  return speed;
}

/** Llama 3.1 8B: 8,030,261,248 parameters, of which the embedding of 128,256 x 4,096 is looked up, not read. */
const READ_PARAMETERS = 8_030_261_248 - 128_256 * 4096;
/** Keys and values of a token: 32 layers x 2 x 8 heads x 128 values of 2 bytes. */
const CACHE_BYTES = 32 * 2 * 8 * 128 * 2;

describe("decoding", () => {
  it("reads all weights but the embedding once a token, and the cache behind it", () => {
    const empty = known({});
    // Norms, 65 of 4,096 values, are kept in 32 bits.
    const bytes = READ_PARAMETERS * 2 + 65 * 4096 * 2;
    expect(empty.bytesPerToken / bytes).toBeCloseTo(1, 4);
    expect(empty.decode).toBeCloseTo(1e12 / bytes, 1);
    expect(empty.limit).toBe("BANDWIDTH");
    const deep = known({ depth: 32_768 });
    expect(deep.bytesPerToken - empty.bytesPerToken).toBe(32_768 * CACHE_BYTES);
  });

  it("reads weights once for all sequences, until products take longer than reading", () => {
    const one = known({});
    const eight = known({ sequences: 8 });
    expect(eight.throughput / one.throughput).toBeCloseTo(8, 2);
    // 100 TFLOPS over 1,000 GB/s: from 100 sequences on the products are what is waited for.
    const many = known({ sequences: 200 });
    expect(many.limit).toBe("COMPUTE");
    expect(many.throughput).toBeCloseTo(100e12 / (2 * READ_PARAMETERS), -2);
  });

  it("runs layers on several devices one after another", () => {
    const one = known({});
    const two = known({ cards: [CARD, CARD] });
    expect(two.decode).toBeCloseTo(one.decode, 1);
    const slower = known({ cards: [CARD, { ...CARD, bandwidthGbPerSecond: 500 }] });
    expect(slower.decode).toBeLessThan(one.decode * 0.7);
    expect(slower.decode).toBeGreaterThan(one.decode * 0.5);
  });

  it("is as slow as host memory where layers are left there", () => {
    const half = known({ settings: { gpuLayers: 17 } });
    expect(half.limit).toBe("HOST_BANDWIDTH");
    const faster = known({ settings: { gpuLayers: 17 }, host: 200 });
    expect(faster.decode).toBeGreaterThan(half.decode * 2);
  });

  it("reads of the experts those that its tokens touch", () => {
    expect(expertsTouched({ count: 128, used: 8 }, 1)).toBeCloseTo(8, 10);
    expect(expertsTouched({ count: 128, used: 8 }, 16)).toBeCloseTo(128 * (1 - (15 / 16) ** 16), 10);
    expect(expertsTouched({ count: 128, used: 8 }, 10_000)).toBeCloseTo(128, 6);
    const mixture = architectureOf("qwen3-30b-a3b");
    const one = known({ architecture: mixture });
    // 3.35 of 30.5 billion parameters are active, 0.31 of them in the embedding.
    expect(one.bytesPerToken / 2e9).toBeGreaterThan(2.9);
    expect(one.bytesPerToken / 2e9).toBeLessThan(3.2);
    const sixteen = known({ architecture: mixture, sequences: 16 });
    expect(sixteen.bytesPerToken).toBeLessThan(one.bytesPerToken);
    expect(sixteen.bytesPerToken * 16).toBeGreaterThan(one.bytesPerToken * 5);
  });

  it("waits for launches, which some engines hide behind the work before them", () => {
    const constants = { operationUs: 100 };
    const added = known({ constants });
    const hidden = known({ constants: { ...constants, launchOverlaps: true } });
    // 32 layers of 9 tensors each.
    expect(1 / added.decode - 1 / known({}).decode).toBeCloseTo(32 * 9 * 100e-6, 6);
    expect(hidden.decode).toBeCloseTo(1 / (32 * 9 * 100e-6), 1);
    expect(hidden.limit).toBe("LAUNCH");
  });
});

describe("reading a prompt", () => {
  it("is bound by the peak, two operations a weight and token", () => {
    const { prefill } = known({ cards: [{ ...CARD, bandwidthGbPerSecond: 1e6 }] });
    // The output matrix sees one token of the prompt alone.
    const weights = READ_PARAMETERS - 128_256 * 4096;
    expect((prefill ?? 0) / (100e12 / (2 * weights))).toBeGreaterThan(0.97);
    expect((prefill ?? 0) / (100e12 / (2 * weights))).toBeLessThan(1);
  });

  it("overlaps the microbatches of a batch over devices, and starts anew with the next batch", () => {
    const one = known({ prompt: 512 });
    const alone = known({ prompt: 512, cards: [CARD, CARD] });
    expect(alone.prefill ?? 0).toBeLessThan((one.prefill ?? 0) * 1.01);
    const four = known({ prompt: 2048 });
    const overlapped = known({ prompt: 2048, cards: [CARD, CARD] });
    // Four microbatches over two stages: five steps instead of eight.
    expect((overlapped.prefill ?? 0) / (four.prefill ?? 1)).toBeGreaterThan(1.4);
    expect((overlapped.prefill ?? 0) / (four.prefill ?? 1)).toBeLessThan(1.65);
  });

  it("takes the peak of single precision where there is no other, and says nothing without any", () => {
    const single = known({ cards: [{ ...CARD, fp16Tflops: null }] });
    expect((known({}).prefill ?? 0) / (single.prefill ?? 1)).toBeCloseTo(5, 0);
    const none = known({ cards: [{ ...CARD, fp16Tflops: null, fp32Tflops: null }] });
    expect(none.prefill).toBeNull();
    expect(none.timeToFirstToken).toBeNull();
    expect(none.decode).toBeGreaterThan(0);
  });

  it("comes before the first token of the answer", () => {
    const speed = known({ prompt: 2048 });
    expect(speed.timeToFirstToken).toBeCloseTo(2048 / (speed.prefill ?? 1) + 1 / speed.decode, 10);
  });
});

describe("what is not known", () => {
  it("yields no figure", () => {
    expect(speedOf({ cards: [{ ...CARD, bandwidthGbPerSecond: null }] })).toBeNull();
    expect(speedOf({ cards: [CARD, { ...CARD, bandwidthGbPerSecond: null }] })).toBeNull();
  });
});

describe("card families", () => {
  const family = { name: "HBM", memory: "HBM", bandwidth: 0.5, compute: 0.5, launch: 1, cache: 1 };

  it("scale what the engine reaches on the cards that match, the first that does", () => {
    const plain = known({});
    const scaled = known({ constants: { families: [family, { ...family, name: "any", bandwidth: 0.1 }] } });
    expect(scaled.decode / plain.decode).toBeCloseTo(0.5, 3);
    expect(scaled.family).toBe("HBM");
    const other = known({ cards: [{ ...CARD, memoryType: "GDDR6" }], constants: { families: [family] } });
    expect(other.decode).toBe(plain.decode);
    expect(other.family).toBeNull();
  });
});
