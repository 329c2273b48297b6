import { describe, expect, it } from "vitest";
import type { EstimateModel, HardwareFitModel } from "../estimation/types.js";
import { createScope, describeEstimate, describeFit, type ScenarioFacts } from "./scope.js";

const GIB = 2 ** 30;

function device(total: number, capacity: number | null) {
  const parts = { weights: total - 2 * GIB, kvCache: GIB, compute: GIB, overhead: 0, extras: 0 };
  return {
    index: 0,
    gpu: null,
    ...parts,
    total,
    capacity,
    free: capacity === null ? null : capacity - total,
    layers: 4,
  };
}

const estimate = {
  total: 30 * GIB,
  weights: {
    size: 24 * GIB,
    parameters: 40e9,
    activeParameters: 3e9,
    bitsPerWeight: 5.1,
    basis: "TENSOR_TYPES",
    byTensorType: [],
    byRole: [
      { role: "ATTENTION", parameters: 4e9, size: 6 * GIB },
      { role: "EXPERTS", parameters: 36e9, size: 18 * GIB },
    ],
  },
  kvCache: {
    size: 6 * GIB,
    bytesPerToken: 1024,
    layers: [
      { kind: "FULL", layers: 2, cells: 100, size: 3 * GIB },
      { kind: "SLIDING_WINDOW", layers: 4, cells: 10, size: 1 * GIB },
      { kind: "INDEXER", layers: 2, cells: 100, size: 2 * GIB },
    ],
  },
  compute: 2 * GIB,
  overhead: 0,
  extras: [],
  devices: [device(20 * GIB, 24 * GIB), device(10 * GIB, 24 * GIB)],
  host: { weights: GIB, kvCache: 0, compute: GIB, total: 2 * GIB },
  fits: true,
  maxContext: 5_000,
} as unknown as EstimateModel;

describe("the words of an estimate", () => {
  it("say what the fullest device holds and what all may hold", () => {
    expect(describeEstimate(estimate)).toMatchObject({
      devices: 2,
      fullest: 20 * GIB,
      capacity: 48 * GIB,
      weightsOnDevices: 26 * GIB,
      host: 2 * GIB,
      hostWeights: GIB,
      maxContext: 5_000,
    });
  });

  it("know no capacity where a device has no limit", () => {
    expect(describeEstimate({ ...estimate, devices: [device(20 * GIB, null)] } as EstimateModel)).toMatchObject({
      capacity: null,
    });
  });

  it("take the experts and the kinds of cache apart", () => {
    expect(describeEstimate(estimate)).toMatchObject({
      expertWeights: 18 * GIB,
      expertShare: 0.75,
      kvShare: 0.2,
      windowedCache: GIB,
      indexerCache: 2 * GIB,
      stateCache: 0,
    });
  });
});

describe("the words of a set of cards", () => {
  function setOf(count: number): HardwareFitModel {
    return {
      gpu: { name: "Card", slug: "card", vendor: "Maker" },
      count,
      system: null,
      devices: Array.from({ length: count }, () => device(20 * GIB, 24 * GIB)),
      headroom: 4 * GIB,
      usdPerHour: null,
      maxContext: 9_000,
    } as unknown as HardwareFitModel;
  }

  it("name one card and several", () => {
    expect(describeFit(setOf(1))).toMatchObject({ label: "one Card", isOne: true, count: 1, maxContext: 9_000 });
    expect(describeFit(setOf(3))).toMatchObject({ label: "3 x Card", isOne: false, capacity: 24 * GIB });
  });
});

describe("the words of a scenario", () => {
  const scope = createScope({
    scenario: { context: 8_192, sequences: 2, settings: { runtime: { llamaCpp: { cpuMoeLayers: 7 } } } },
    model: {
      name: "Mixture",
      parameters: 40e9,
      activeParameters: 4e9,
      architecture: {
        layers: ["dense", "moe", "moe"],
        blocks: {
          dense: { attention: { kind: "grouped", heads: 8, kvHeads: 2, keyDim: 64, valueDim: 64 } },
          moe: {
            attention: {
              kind: "grouped",
              heads: 8,
              kvHeads: 2,
              keyDim: 64,
              valueDim: 64,
              window: { kind: "sliding", size: 1024 },
            },
            experts: { count: 16, used: 2 },
          },
        },
      },
    },
    quantFormat: { name: "Q4_K_M", slug: "q4_k_m", bitsPerWeight: 4.8 },
    estimate: () => estimate,
    hardware: () => [],
  } as unknown as ScenarioFacts);

  it("tell the settings it was saved with", () => {
    expect(scope).toMatchObject({
      context: 8_192,
      sequences: 2,
      settings: { runtime: { llamaCpp: { cpuMoeLayers: 7 } } },
    });
  });

  it("count the layers that have experts, and the experts", () => {
    expect(scope.model).toMatchObject({ layers: 3, expertLayers: 2, experts: 16, expertsUsed: 2, activeShare: 0.1 });
  });

  it("take the layer that keeps a token longest as the measure of the cache", () => {
    expect(scope.cache).toMatchObject({
      layers: 3,
      fullLayers: 1,
      windowedLayers: 2,
      windowTokens: 1024,
      kvHeads: 2,
      valuesPerTokenAndLayer: 256,
      valuesPerTokenAndLayerUncompressed: 1024,
    });
  });

  it("offer runtimes to compare with, the experts of all layers on the host among them", () => {
    expect(scope.runtimes).toEqual({
      ruleOfThumb: { ruleOfThumb: { overhead: 0.1 } },
      withoutFlashAttention: { llamaCpp: { flashAttention: false } },
      fullSizeWindows: { llamaCpp: { swaFull: true } },
      expertsOnHost: { llamaCpp: { cpuMoeLayers: 3 } },
    });
  });
});
