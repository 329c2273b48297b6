import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { drawnModel } from "../../../test/fixtures/drawn-models.js";
import { estimate } from "../estimate.js";
import type { Device, LlamaCppSettings } from "../estimate.types.js";
import { EstimateError } from "../estimate-error.js";
import { QuantizationError } from "../quantization/ggml-types.js";
import { createFormatFits } from "./format-fits.js";

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
const FILE_TYPES = ["Q4_K_M", "BF16", "IQ2_XXS", "Q8_0", "Q3_K_S", "MXFP4_MOE"];

const device: fc.Arbitrary<Device> = fc
  .record({ mib: fc.integer({ min: 500, max: 200_000 }), reserveMib: fc.integer({ min: 0, max: 900 }) })
  .map(({ mib, reserveMib }) => ({ name: "card", capacityBytes: mib * MIB, reserveBytes: reserveMib * MIB }));

const setup = fc.record({
  architecture: drawnModel,
  devices: fc.array(device, { minLength: 1, maxLength: 4 }),
  contextTokens: fc.integer({ min: 1, max: 70_000 }),
  sequences: fc.integer({ min: 1, max: 4 }),
  hostMemory: fc.option(
    fc.record({
      capacityBytes: fc.integer({ min: 1, max: 64 }).map((gib) => gib * 2 ** 30),
      sharedWithDevices: fc.boolean(),
    }),
    { nil: undefined },
  ),
  extras: fc.option(fc.record({ displayReserveBytes: fc.integer({ min: 0, max: 2000 * MIB }) }), { nil: undefined }),
  settings: fc.record({
    ubatchSize: fc.constantFrom(64, 512),
    kvUnified: fc.boolean(),
    swaFull: fc.boolean(),
    splitMode: fc.constantFrom<LlamaCppSettings["splitMode"]>("LAYER", "NONE"),
  }),
});

function refusalOf<Result>(compute: () => Result): Result | string {
  try {
    return compute();
  } catch (error) {
    if (error instanceof EstimateError || error instanceof QuantizationError) return error.message;
    throw error;
  }
}

describe("a model in many formats", () => {
  it("has the figures and the refusals that an estimate of each format has, and is hopeless only where it does not fit", () => {
    fc.assert(
      fc.property(setup, ({ settings, hostMemory, extras, ...rest }) => {
        const runtime = { kind: "llama-cpp" as const, settings: { ...SETTINGS, ...settings } };
        const request = { ...rest, runtime, ...(hostMemory && { hostMemory }), ...(extras && { extras }) };
        const fits = createFormatFits(request);
        for (const fileType of FILE_TYPES) {
          const scheme = { kind: "ggml" as const, fileType };
          const expected = refusalOf(() => {
            const { total, devices, spareBytes, spareHostBytes } = estimate({ ...request, scheme });
            return {
              totalBytes: total,
              spareBytes: Math.min(spareBytes ?? Number.NaN, spareHostBytes ?? Number.POSITIVE_INFINITY),
              headroomBytes: Math.min(...devices.map((memory) => (memory.device.capacityBytes ?? 0) - memory.total)),
            };
          });
          expect(refusalOf(() => fits?.measure(scheme))).toEqual(expected);
          const fit = refusalOf(() => fits?.fitOf(scheme) ?? null);
          if (fit !== null) expect(fit).toEqual(expected);
          else if (typeof expected === "object") expect(expected.spareBytes).toBeLessThan(0);
        }
      }),
      { numRuns: 60 },
    );
  });

  it("is left to single estimates where something stays in host memory, or beside the model in its format", () => {
    const [architecture] = fc.sample(drawnModel, 1);
    if (architecture === undefined) throw new Error("no model was drawn");
    const request = {
      architecture,
      contextTokens: 4096,
      sequences: 1,
      devices: [{ name: "card", capacityBytes: 24_000 * MIB }],
      runtime: { kind: "llama-cpp" as const, settings: SETTINGS },
    };
    expect(createFormatFits(request)).not.toBeNull();
    const withSettings = (settings: Partial<LlamaCppSettings>) =>
      createFormatFits({ ...request, runtime: { kind: "llama-cpp", settings: { ...SETTINGS, ...settings } } });
    expect(withSettings({ gpuLayers: 10 })).toBeNull();
    expect(withSettings({ cpuMoeLayers: 1 })).toBeNull();
    expect(withSettings({ kvOffload: false })).toBeNull();
    expect(createFormatFits({ ...request, extras: { predictionHead: { draftTokens: 1 } } })).toBeNull();
    expect(createFormatFits({ ...request, runtime: { kind: "rule-of-thumb", overhead: 0.1 } })).toBeNull();
  });

  it("refuses settings that make no sense before anything is laid out", () => {
    const [architecture] = fc.sample(drawnModel, 1);
    if (architecture === undefined) throw new Error("no model was drawn");
    const settings = { ...SETTINGS, ubatchSize: 0 };
    const fits = createFormatFits({
      architecture,
      contextTokens: 4096,
      sequences: 1,
      devices: [{ name: "card", capacityBytes: 1 }],
      runtime: { kind: "llama-cpp", settings },
    });
    expect(() => fits?.fitOf({ kind: "ggml", fileType: "Q8_0" })).toThrow(EstimateError);
  });
});
