import { describe, expect, it } from "vitest";
import { catalogue } from "../../../test/fixtures/local-runtimes/catalogue.js";
import type { EstimateRequest, LlamaCppSettings } from "../estimate.types.js";
import { layOutLlamaCpp } from "../runtimes/llama-cpp/lay-out-llama-cpp.js";
import type { VllmConstants } from "../runtimes/vllm/vllm.types.js";
import type { ConsumerPlace, ExtraConsumers, LoraAdapters } from "./consumers.types.js";
import { communicationBytes, cudaContextBytes } from "./driver-memory.js";
import { layOutConsumers } from "./lay-out-consumers.js";
import { countLoraParameters } from "./lora.js";

const MIB = 2 ** 20;
const SETTINGS: LlamaCppSettings = {
  ubatchSize: 512,
  batchSize: 2048,
  flashAttention: true,
  kvUnified: true,
  swaFull: false,
  cpuMoeLayers: 0,
  splitMode: "LAYER",
};

function request(model: string, change: Partial<EstimateRequest> = {}): EstimateRequest {
  return {
    architecture: catalogue.architecture(model),
    scheme: catalogue.scheme("q4_k_m"),
    contextTokens: 8192,
    sequences: 1,
    runtime: { kind: "llama-cpp", settings: SETTINGS },
    ...change,
  };
}

const place = (...layersByDevice: number[]): ConsumerPlace => ({
  layersByDevice,
  layOut: (draft) => layOutLlamaCpp(draft, SETTINGS),
});

function only(extras: ExtraConsumers, of: EstimateRequest, where: ConsumerPlace) {
  const consumers = layOutConsumers(of, extras, where);
  expect(consumers).toHaveLength(1);
  return consumers[0] as (typeof consumers)[number];
}

describe("LoRA", () => {
  const lora: LoraAdapters = { rank: 8, adapters: 1, matrices: "QUERY_VALUE", bytesPerValue: 2 };

  // Trainable parameters with rank 8 on queries and values: LitGPT, tutorials/resource-tables.md.
  it.each([
    ["phi-1-5", 1_572_864],
    ["llama-2-7b-hf", 4_194_304],
    ["llama-2-13b-hf", 6_553_600],
    ["falcon-40b", 12_042_240],
  ])("%s: %i parameters", (model, parameters) => {
    expect(countLoraParameters(catalogue.architecture(model), 8, "QUERY_VALUE")).toBe(parameters);
  });

  it("counts every linear layer: 39,976,960 values of Llama 2 7B at rank 16", () => {
    // 32 layers x 16 x (4 x (4096 + 4096) + 3 x (4096 + 11008))
    expect(countLoraParameters(catalogue.architecture("llama-2-7b-hf"), 16, "ALL_LINEAR")).toBe(39_976_960);
    expect(countLoraParameters(catalogue.architecture("llama-2-7b-hf"), 16, "DENSE")).toBe(39_976_960);
  });

  it("has factors for each expert only when asked", () => {
    const experts = catalogue.architecture("qwen3-30b-a3b");
    const all = countLoraParameters(experts, 8, "ALL_LINEAR");
    const dense = countLoraParameters(experts, 8, "DENSE");
    expect(all - dense).toBe(48 * 128 * 8 * 3 * (2048 + 768));
  });

  it("follows the layers, host memory first", () => {
    const adapters = only({ lora }, request("llama-2-7b-hf"), place(10, 14));
    const perLayer = (4_194_304 * 2) / 32;
    expect(adapters.bytesByDevice).toEqual([10 * perLayer, 14 * perLayer]);
    expect(adapters.hostBytes).toBe(8 * perLayer);
  });

  it("halves one factor of each matrix over two devices", () => {
    const both = only(
      { lora: { ...lora, matrices: "ATTENTION", tensorParallel: 2 } },
      request("llama-2-7b-hf"),
      place(32, 32),
    );
    const values = 32 * 8 * 4 * (4096 + 2048);
    expect(both.bytesByDevice).toEqual([values * 2, values * 2]);
  });

  it("is divided as the serving engine divides the model, stage by stage", () => {
    const of = (tensorParallel: number, pipelineParallel: number): EstimateRequest => ({
      ...request("llama-2-7b-hf"),
      runtime: {
        kind: "vllm",
        settings: { tensorParallel, pipelineParallel, expertParallel: false, enforceEager: false },
        constants: {} as VllmConstants,
      },
    });
    const values = (ranks: number, layers: number) => layers * 8 * 2 * 4 * (4096 + 4096 / ranks);
    const attention = { lora: { ...lora, matrices: "ATTENTION" as const } };
    expect(only(attention, of(2, 1), place(32, 32)).bytesByDevice).toEqual([values(2, 32), values(2, 32)]);
    expect(only(attention, of(2, 2), place(12, 12, 20, 20)).bytesByDevice).toEqual(
      [12, 12, 20, 20].map((layers) => values(2, layers)),
    );
    expect(only(attention, of(2, 1), place(32, 32, 0)).bytesByDevice).toEqual([values(2, 32), values(2, 32), 0]);
  });

  // Start-up log of vLLM 0.10.2 with max_lora_rank 32: 8.9638 GiB for Qwen3 8B in FP8, 8.80 without adapters.
  it("rank 32 over all linear layers of Qwen3 8B takes 0.163 GiB", () => {
    const slots = { lora: { rank: 32, adapters: 1, matrices: "ALL_LINEAR" as const, bytesPerValue: 2 } };
    expect((only(slots, request("qwen3-8b"), place(36)).bytesByDevice[0] ?? 0) / 2 ** 30).toBeCloseTo(0.1626, 3);
  });

  it("is allocated for every adapter that may be held", () => {
    const one = only({ lora }, request("llama-2-7b-hf"), place(32)).bytesByDevice[0] ?? 0;
    const eight = only({ lora: { ...lora, adapters: 8, rank: 64 } }, request("llama-2-7b-hf"), place(32));
    expect(eight.bytesByDevice).toEqual([one * 64]);
  });

  it.each([
    ["rank", { rank: 0 }],
    ["adapters", { adapters: 1.5 }],
    ["bytesPerValue", { bytesPerValue: Number.NaN }],
    ["tensorParallel", { tensorParallel: -2 }],
  ])("refuses a bad %s", (name, change) => {
    const extras = { lora: { ...lora, ...change } };
    expect(() => layOutConsumers(request("llama-2-7b-hf"), extras, place(32))).toThrow(
      expect.objectContaining({ path: ["lora", name] }),
    );
  });
});

describe("a draft model", () => {
  it("is laid out as it would be alone", () => {
    const draft = request("qwen3-0.6b");
    const consumer = only({ draftModel: { request: draft } }, request("qwen3-32b"), place(64));
    const alone = layOutLlamaCpp(draft, SETTINGS);
    expect(consumer.bytesByDevice).toEqual(alone.devices.map((device) => device.total));
    expect(consumer.hostBytes).toBe(alone.host.weights + alone.host.kvCache + alone.host.compute);
  });

  it("keeps the model's own context where it has none, also while the largest one is sought", () => {
    const draft = { request: request("qwen3-0.6b"), followsModel: true };
    const at = (contextTokens: number, sequences: number) =>
      only({ draftModel: draft }, request("qwen3-32b", { contextTokens, sequences }), place(64)).bytesByDevice;
    const alone = layOutLlamaCpp(request("qwen3-0.6b", { contextTokens: 32_768, sequences: 2 }), SETTINGS);
    expect(at(32_768, 2)).toEqual(alone.devices.map((device) => device.total));
    expect(at(65_536, 2)[0]).toBeGreaterThan(at(32_768, 2)[0] ?? 0);
  });

  it("tells its problems under its own name", () => {
    const draft = request("qwen3-0.6b", { contextTokens: 0 });
    expect(() => layOutConsumers(request("qwen3-32b"), { draftModel: { request: draft } }, place(64))).toThrow(
      expect.objectContaining({ path: ["draftModel", "contextTokens"] }),
    );
  });
});

describe("the model's own prediction head", () => {
  it("has the cache, buffer and states that llama.cpp printed for Qwen3.8-27B", () => {
    // Start-up log, Vulkan, September 2026: 8192 tokens, 4 sequences, 2 guesses: draft context with 32 MiB of cache and a
    // compute buffer of 520.06 MiB; recurrent state 1795.50 MiB = 4 x 149.625 x (1 + 2).
    const head = only(
      { predictionHead: { draftTokens: 2 } },
      request("qwen3.8-27b", { sequences: 4, contextTokens: 2048 }),
      place(64),
    );
    const logged = 32 + 520.06 + 2 * 4 * 149.625;
    const bytes = (head.bytesByDevice[0] ?? 0) / MIB;
    expect(bytes / logged).toBeGreaterThan(0.999);
    expect(bytes / logged).toBeLessThan(1.01);
  });

  it("brings its weights where the engine does not load them otherwise", () => {
    const vllm = request("deepseek-v3", {
      scheme: catalogue.scheme("fp8"),
      runtime: { kind: "rule-of-thumb", overhead: 0 },
    });
    const head = only({ predictionHead: { draftTokens: 1 } }, vllm, place(61));
    // One block of 256 experts in 8 bits.
    expect(head.bytesByDevice[0]).toBeGreaterThan(256 * 3 * 7168 * 2048);
  });

  it("is refused where there is none, and for guesses that make no sense", () => {
    expect(() => layOutConsumers(request("qwen3-32b"), { predictionHead: { draftTokens: 1 } }, place(64))).toThrow(
      "no prediction blocks",
    );
    expect(() => layOutConsumers(request("qwen3.8-27b"), { predictionHead: { draftTokens: 0 } }, place(64))).toThrow(
      expect.objectContaining({ path: ["predictionHead", "draftTokens"] }),
    );
  });
});

describe("a vision encoder", () => {
  const tower = { hiddenSize: 1152, feedForwardSize: 4304, heads: 16, patches: 92 * 92, patchSize: 16 };

  it("has the weights and the buffer that llama.cpp printed for Qwen3.6-27B", () => {
    // Log of May 2026: model size 887.99 MiB; for 1472 x 1472 pixels CUDA0 248.10 MiB and CPU 24.93 MiB.
    const encoder = only({ vision: { storage: "F16", tower } }, request("qwen3.6-27b"), place(64));
    const bytes = (encoder.bytesByDevice[0] ?? 0) / MIB;
    expect(bytes / (887.99 + 248.1)).toBeGreaterThan(1);
    expect(bytes / (887.99 + 248.1)).toBeLessThan(1.01);
    expect(encoder.hostBytes / MIB / 24.93).toBeCloseTo(1, 2);
    const untold = only({ vision: { storage: "F16" } }, request("qwen3.6-27b"), place(64));
    expect((untold.bytesByDevice[0] ?? 0) / MIB / bytes).toBeCloseTo(1, 2);
  });

  it("stores the scores without flash attention: 4657.81 MiB asked for", () => {
    const vision = { storage: "F16", tower, flashAttention: false } as const;
    const flash = only({ vision: { storage: "F16", tower } }, request("qwen3.6-27b"), place(64));
    const scores = only({ vision }, request("qwen3.6-27b"), place(64));
    const weights = (flash.bytesByDevice[0] ?? 0) / MIB - 250.55;
    const buffer = (scores.bytesByDevice[0] ?? 0) / MIB - weights;
    expect(buffer / 4657.81).toBeGreaterThan(1);
    expect(buffer / 4657.81).toBeLessThan(1.02);
  });

  it("is on the first device alone, smaller in 8 bits", () => {
    const half = only({ vision: { storage: "BF16" } }, request("gemma-3-27b-it"), place(31, 31));
    const packed = only({ vision: { storage: "Q8_0" } }, request("gemma-3-27b-it"), place(31, 31));
    expect(half.bytesByDevice[1]).toBe(0);
    expect(packed.bytesByDevice[0]).toBeLessThan(0.75 * (half.bytesByDevice[0] ?? 0));
  });

  it("is refused for a model without towers and for a shape that makes no sense", () => {
    expect(() => layOutConsumers(request("qwen3-32b"), { vision: { storage: "F16" } }, place(64))).toThrow(
      "not known to have a vision",
    );
    const vision = { storage: "F16", tower: { ...tower, patches: 1e9 } } as const;
    expect(() => layOutConsumers(request("qwen3.6-27b"), { vision }, place(64))).toThrow(
      expect.objectContaining({ path: ["vision", "tower", "patches"] }),
    );
  });
});

describe("a display, the driver and communication", () => {
  it("keeps bytes free on the first device", () => {
    const display = only({ displayReserveBytes: 2048 * MIB }, request("qwen3-32b"), place(32, 32));
    expect(display.bytesByDevice).toEqual([2048 * MIB, 0]);
    expect(layOutConsumers(request("qwen3-32b"), { displayReserveBytes: 0 }, place(64))).toEqual([]);
    expect(() => layOutConsumers(request("qwen3-32b"), { displayReserveBytes: -1 }, place(64))).toThrow("zero or more");
  });

  it.each([
    // Multiprocessors and MiB: RTX 4060 Ti and RTX PRO 6000 (llama.cpp pull request 23604), RTX 3090 (InvokeAI 9413).
    [34, 107, 0],
    [188, 555, 0],
    [82, 256, 10],
  ])("a card with %i multiprocessors has a context of %i MiB", (multiprocessors, mib, tolerance) => {
    expect(Math.abs(cudaContextBytes(multiprocessors) / MIB - mib)).toBeLessThanOrEqual(tolerance + 1e-6);
  });

  it("counts communication buffers from two cards on", () => {
    expect([1, 2, 4, 8].map((ranks) => communicationBytes(ranks))).toEqual([0, 544e6, 688e6, 688e6]);
    expect(() => communicationBytes(0)).toThrow("whole number of cards");
    expect(() => cudaContextBytes(2.5)).toThrow("multiprocessors");
  });
});
