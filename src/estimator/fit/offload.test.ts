import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { architectureFromConfig } from "../architecture/from-config.js";
import { estimate } from "../estimate.js";
import type { Device, EstimateRequest, LlamaCppSettings } from "../estimate.types.js";
import { canOffload, createOffloadSets, offloadOf } from "./offload.js";

const MIB = 2 ** 20;
const load = (name: string) =>
  architectureFromConfig(
    JSON.parse(readFileSync(new URL(`../../../test/fixtures/configs/${name}.json`, import.meta.url), "utf8")),
  );
const SETTINGS: LlamaCppSettings = {
  ubatchSize: 512,
  batchSize: 2048,
  flashAttention: true,
  kvUnified: true,
  swaFull: false,
  cpuMoeLayers: 0,
  splitMode: "LAYER",
};

const request = (model: string, settings: Partial<LlamaCppSettings> = {}): EstimateRequest => ({
  architecture: load(model),
  scheme: { kind: "ggml", fileType: "Q4_K_M" },
  contextTokens: 8192,
  sequences: 1,
  runtime: { kind: "llama-cpp", settings: { ...SETTINGS, ...settings } },
});
const card = (capacityMib: number): Device => ({ name: "card", capacityBytes: capacityMib * MIB });

describe("offload", () => {
  it.each([
    ["gpt-oss-120b", "EXPERTS", 1, [24_124, 48_000]],
    ["gpt-oss-120b", "LAYERS", 1, [24_124, 60_000]],
    // Over several cards the fullest does not fall with every layer moved.
    ["gpt-oss-120b", "LAYERS", 3, [15_850, 24_124]],
    ["qwen3-30b-a3b", "EXPERTS", 2, [4_000, 7_805]],
    ["meta-llama-3.1-8b", "LAYERS", 2, [1_200, 2_000]],
  ] as const)(
    "of %s, %s, over %i: the first number of layers that fits, tried one by one",
    (model, kind, count, sizes) => {
      const asked = request(model);
      const layers = asked.architecture.layers.length;
      const sets = createOffloadSets(asked, kind);
      const moved = (number: number): Partial<LlamaCppSettings> =>
        kind === "EXPERTS" ? { cpuMoeLayers: number } : { gpuLayers: layers + 1 - number };
      for (const size of sizes) {
        const devices = new Array<Device>(count).fill(card(size));
        const alone = (number: number) => estimate({ ...request(model, moved(number)), devices });
        let fewest = 1;
        while (!alone(fewest).fits) fewest += 1;
        const found = sets(card(size), count);
        expect(found?.request.runtime).toMatchObject({ settings: moved(fewest) });
        const { host, total } = alone(fewest);
        expect(found).toMatchObject({ fits: true, host, total });
        expect(found && offloadOf(found.request)).toBe(kind);
      }
    },
  );

  it("is none where nothing has to be moved, where all is not enough, or where nothing can be", () => {
    const experts = createOffloadSets(request("qwen3-30b-a3b"), "EXPERTS");
    expect(experts(card(81_081), 1)).toBeNull();
    expect(experts(card(500), 1)).toBeNull();
    expect(experts(card(500), 1, { evenIfTooSmall: true })?.request.runtime).toMatchObject({
      settings: { cpuMoeLayers: 48 },
    });
    const dense = request("meta-llama-3.1-8b");
    expect([canOffload(dense, "EXPERTS"), canOffload(dense, "LAYERS"), canOffload(dense, "NONE")]).toEqual([
      false,
      true,
      true,
    ]);
    const elsewhere: EstimateRequest = { ...dense, runtime: { kind: "rule-of-thumb", overhead: 0.1 } };
    expect(canOffload(elsewhere, "LAYERS")).toBe(false);
    expect(createOffloadSets(elsewhere, "LAYERS")(card(2000), 1)).toBeNull();
  });

  it("NONE moves nothing, whatever the settings ask", () => {
    const asked = request("qwen3-30b-a3b", { cpuMoeLayers: 48, gpuLayers: 12 });
    expect(offloadOf(asked)).toBe("LAYERS");
    const all = createOffloadSets(asked, "NONE")(card(24_124), 1);
    expect(all && offloadOf(all.request)).toBe("NONE");
    expect(all?.total).toBe(estimate({ ...request("qwen3-30b-a3b"), devices: [card(24_124)] }).total);
  });

  it("leaves to the host what it has: a machine's memory, or what the devices leave of a shared one", () => {
    const { devices, ...asked } = { ...request("gpt-oss-120b", { cpuMoeLayers: 20 }), devices: [card(60_000)] };
    const { host, total, maxContextTokens } = estimate({ ...asked, devices });
    const on = (capacityBytes: number, sharedWithDevices: boolean) =>
      estimate({ ...asked, devices, hostMemory: { capacityBytes, sharedWithDevices } });
    expect(on(host.total, false)).toMatchObject({ fits: true, spareHostBytes: 0 });
    const short = on(host.total - 1, false);
    expect(short).toMatchObject({ fits: false, maxSequences: 0 });
    expect(short.maxContextTokens).toBeLessThan(8192);
    expect(short.warnings.map(({ code }) => code)).toContain("HOST_MEMORY_SHORT");
    expect(on(host.total + total, true).fits).toBe(true);
    expect(on(host.total + total - 1, true).fits).toBe(false);
    // The context ends where either memory does.
    const tight = on(host.total + total + 100 * MIB, true);
    expect(tight.maxContextTokens).toBeGreaterThanOrEqual(8192);
    expect(tight.maxContextTokens).toBeLessThan(maxContextTokens ?? 0);
  });
});
