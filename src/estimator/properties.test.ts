import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CHECKPOINT_FORMATS, drawnModel } from "../../test/fixtures/drawn-models.js";
import { estimate } from "./estimate.js";
import type { Device, EstimateRequest, LlamaCppSettings, MemoryEstimate } from "./estimate.types.js";
import { EstimateError } from "./estimate-error.js";
import type { QuantScheme } from "./quantization/scheme.js";
import { storeTensors } from "./quantization/store-tensors.js";
import { graphHabits } from "./runtimes/llama-cpp/graph-habits.js";
import { listTensors } from "./tensors/list-tensors.js";

/* What holds of every estimate, over models drawn from all families that are described. */

const settings: fc.Arbitrary<LlamaCppSettings> = fc.record({
  ubatchSize: fc.constantFrom(64, 256, 512, 2048),
  batchSize: fc.constant(2048),
  flashAttention: fc.boolean(),
  kvUnified: fc.boolean(),
  swaFull: fc.boolean(),
  cpuMoeLayers: fc.integer({ min: 0, max: 20 }),
  splitMode: fc.constant("LAYER" as const),
});

const CARD: Device = { name: "card", capacityBytes: 80 * 2 ** 30 };

const question = fc.record({
  architecture: drawnModel,
  settings,
  devices: fc.integer({ min: 1, max: 6 }),
  sequences: fc.integer({ min: 1, max: 4 }),
  context: fc.integer({ min: 256, max: 65_536 }),
  gpuLayers: fc.option(fc.integer({ min: 0, max: 80 }), { nil: undefined }),
});
type Question = typeof question extends fc.Arbitrary<infer T> ? T : never;

const Q4: QuantScheme = { kind: "ggml", fileType: "Q4_K_M" };

function requestOf(asked: Question, change: Partial<EstimateRequest> = {}): EstimateRequest {
  const { gpuLayers } = asked;
  return {
    architecture: asked.architecture,
    scheme: Q4,
    contextTokens: asked.context,
    sequences: asked.sequences,
    devices: new Array<Device>(asked.devices).fill(CARD),
    runtime: { kind: "llama-cpp", settings: { ...asked.settings, ...(gpuLayers === undefined ? {} : { gpuLayers }) } },
    ...change,
  };
}

/** Null where llama.cpp itself refuses the settings for this model. */
function answer(request: EstimateRequest): MemoryEstimate | null {
  try {
    return estimate(request);
  } catch (error) {
    if (error instanceof EstimateError) return null;
    throw error;
  }
}

/** Checks a property over the same models and settings on every run. */
function holds(seed: number, property: (asked: Question) => void, numRuns = 50): void {
  fc.assert(fc.property(question, property), { seed, numRuns });
}

/**
 * Share of compute buffers by which a longer context may need less: ggml packs a graph's tensors by best fit, which
 * now and then leaves smaller gaps in the larger graph.
 */
const PACKING = 0.02;

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

describe("every model on llama.cpp", () => {
  it("needs no less for more context", () => {
    holds(1, (asked) => {
      const less = answer(requestOf(asked));
      const more = answer(requestOf(asked, { contextTokens: asked.context * 2 }));
      if (!less || !more) return;
      expect(more.kvCache.bytes).toBeGreaterThanOrEqual(less.kvCache.bytes);
      const needed = (memory: MemoryEstimate): number => memory.total + memory.host.total;
      const compute = less.compute + less.host.compute;
      expect(needed(more)).toBeGreaterThanOrEqual(needed(less) - PACKING * compute);
      for (const [index, device] of less.devices.entries()) {
        expect(more.devices[index]?.kvCache).toBeGreaterThanOrEqual(device.kvCache);
      }
    });
  });

  it("needs what its devices need, part by part", () => {
    holds(2, (asked) => {
      const memory = answer(requestOf(asked));
      if (!memory) return;
      for (const { weights, kvCache, compute, overhead, total } of memory.devices) {
        expect(weights + kvCache + compute + overhead).toBe(total);
        for (const part of [weights, kvCache, compute, overhead]) expect(part).toBeGreaterThanOrEqual(0);
      }
      expect(sum(memory.devices.map((device) => device.total))).toBe(memory.total);
      expect(memory.host.weights + memory.host.kvCache + memory.host.compute).toBe(memory.host.total);
      expect(sum(memory.devices.map((device) => device.kvCache)) + memory.host.kvCache).toBe(memory.kvCache.bytes);
      expect(sum(memory.kvCache.groups.map((group) => group.bytes))).toBe(memory.kvCache.bytes);
      expect(sum(memory.weights.byRole.map((role) => role.bytes))).toBe(memory.weights.bytes);
      expect(sum(memory.weights.byTensorType.map((type) => type.bytes))).toBe(memory.weights.bytes);
    });
  });

  it("loses no tensor when it is split: only a tied embedding is held twice", () => {
    holds(3, (asked) => {
      const { architecture } = asked;
      const memory = answer(requestOf(asked));
      if (!memory) return;
      const { layers, nextTokenPrediction, tiedEmbeddings, hasOutput } = architecture;
      const stored = storeTensors(architecture, Q4).filter(
        ({ tensor }) =>
          tensor.layer === null || tensor.layer < layers.length || nextTokenPrediction?.loadedByLlamaCpp === true,
      );
      const loaded = sum(stored.map(({ bytes }) => bytes));
      const embedding = stored.find(({ tensor }) => tensor.name === "token_embd.weight")?.bytes ?? 0;
      const isOutputApart = (asked.gpuLayers ?? 1) > 0 || graphHabits(architecture).loadsTiedOutputFirst === true;
      const twice = tiedEmbeddings && hasOutput && isOutputApart ? embedding : 0;
      expect(sum(memory.devices.map((device) => device.weights)) + memory.host.weights).toBe(loaded + twice);
      expect(sum(memory.devices.map((device) => device.layers))).toBeLessThanOrEqual(layers.length + 16);
    });
  });

  it("needs no more in a format of fewer bits", () => {
    const formats = ["F32", "BF16", "Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "Q3_K_M", "Q2_K"];
    holds(
      4,
      (asked) => {
        let previous: MemoryEstimate | null = null;
        for (const fileType of formats) {
          const memory = answer(requestOf(asked, { scheme: { kind: "ggml", fileType } }));
          if (memory && previous) {
            expect(memory.weights.bytes).toBeLessThanOrEqual(previous.weights.bytes);
            expect(memory.kvCache.bytes).toBe(previous.kvCache.bytes);
          }
          previous = memory ?? previous;
        }
      },
      30,
    );
  });
});

describe("every model in a checkpoint's formats", () => {
  it("takes no more bytes in fewer bits, keeps every tensor, and needs the same cache", () => {
    fc.assert(
      fc.property(drawnModel, (architecture) => {
        const tensors = listTensors(architecture);
        const sizes = CHECKPOINT_FORMATS.map((scheme) => {
          const stored = storeTensors(architecture, scheme);
          expect(stored.map(({ tensor }) => tensor)).toEqual(
            tensors.filter((tensor) => tensor.isParameter || tensor.isInteger),
          );
          return sum(stored.map(({ bytes }) => bytes));
        });
        expect(sizes).toEqual([...sizes].sort((a, b) => b - a));
      }),
      { seed: 5, numRuns: 60 },
    );
  });

  it("costs what the rule of thumb says: weights, cache and a share of both, however it is divided", () => {
    holds(
      6,
      (asked) => {
        for (const scheme of CHECKPOINT_FORMATS) {
          const runtime = { kind: "rule-of-thumb", overhead: 0.2 } as const;
          const memory = answer(requestOf(asked, { scheme, runtime }));
          if (!memory) continue;
          const expected = 1.2 * (memory.weights.bytes + memory.kvCache.bytes);
          expect(memory.total / expected).toBeCloseTo(1, 6);
          const alone = answer(requestOf({ ...asked, devices: 1 }, { scheme, runtime }));
          expect((alone?.total ?? 0) / memory.total).toBeCloseTo(1, 6);
        }
      },
      20,
    );
  });
});
