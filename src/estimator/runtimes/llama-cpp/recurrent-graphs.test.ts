import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { architectureFromConfig } from "../../architecture/from-config.js";
import { estimate } from "../../estimate.js";
import type { LlamaCppSettings } from "../../estimate.types.js";
import type { QuantScheme } from "../../quantization/scheme.js";

/** Compute buffers that llama.cpp reserves; see `source` and `units` in the file. */
interface Row {
  config: string;
  contextTokens: number;
  ubatch: number;
  sequences?: number;
  outputRows: number;
  unified?: boolean;
  gpuLayers?: number;
  kvOffload?: boolean;
  devices: number[];
  host: number;
}

const MIB = 2 ** 20;
const SCHEME: QuantScheme = { kind: "ggml", fileType: "Q4_K_M" };
const fixtures = new URL("../../../../test/fixtures/", import.meta.url);
const { rows } = JSON.parse(readFileSync(new URL("llama-cpp/hybrids.json", fixtures), "utf8")) as { rows: Row[] };

function estimateRow(row: Row, change: Record<string, unknown> = {}) {
  const sequences = row.sequences ?? 1;
  const settings: LlamaCppSettings = {
    ubatchSize: row.ubatch,
    batchSize: 2048,
    flashAttention: true,
    outputRows: row.outputRows,
    kvUnified: row.unified ?? false,
    swaFull: false,
    cpuMoeLayers: 0,
    splitMode: "LAYER",
    kvOffload: row.kvOffload ?? true,
    ...(row.gpuLayers === undefined ? {} : { gpuLayers: row.gpuLayers }),
  };
  const config = JSON.parse(readFileSync(new URL(`configs/${row.config}.json`, fixtures), "utf8"));
  return estimate({
    architecture: architectureFromConfig({ ...config, ...change }),
    scheme: SCHEME,
    contextTokens: row.contextTokens / sequences,
    sequences,
    devices: row.devices.map((_, index) => ({ name: `device ${index}`, capacityBytes: null })),
    runtime: { kind: "llama-cpp", settings },
  });
}

describe("graphs of recurrent and hybrid models", () => {
  it("cover state spaces, delta rules and convolutions", () => {
    expect(new Set(rows.map(({ config }) => config)).size).toBeGreaterThan(10);
  });

  it.each(rows)("$config, $devices.length devices, $sequences sequences, layers $gpuLayers", (row) => {
    const result = estimateRow(row);
    const devices = result.devices.map(({ compute }) => compute / MIB);
    row.devices.forEach((truth, index) => {
      expect(Math.abs((devices[index] ?? 0) / truth - 1), `${index}: ${devices[index]}`).toBeLessThan(0.0005);
    });
    expect(Math.abs(result.host.compute / MIB / row.host - 1), `host: ${result.host.compute / MIB}`).toBeLessThan(0.02);
  });

  // The same build and file with the fields that the published config has beside those of the fixture.
  it.each([
    [{}, 157.01],
    [{ position_embedding_type: "nope", embedding_multiplier: 12, residual_multiplier: 0.22 }, 149.2893],
  ])("Granite 4.0 H Small with %o: %f MiB", (change, truth) => {
    const row = { config: "granite-4.0-h-small", contextTokens: 8192, ubatch: 512, outputRows: 1, host: 0 };
    const [device] = estimateRow({ ...row, devices: [truth] }, change).devices;
    expect((device?.compute ?? 0) / MIB).toBeCloseTo(truth, 3);
  });

  it("chunks of the delta rule take more than the fused operation, for sequences that llama.cpp tries it with", () => {
    const row = { config: "qwen3.5-27b", contextTokens: 8192, ubatch: 512, outputRows: 1, gpuLayers: 0, host: 0 };
    const one = estimateRow({ ...row, devices: [0] }).devices[0]?.compute ?? 0;
    const two = estimateRow({ ...row, sequences: 2, devices: [0] }).devices[0]?.compute ?? 0;
    const withoutDevices = estimateRow({ ...row, sequences: 2, devices: [] }).host.compute / MIB;
    expect(two).not.toBe(one);
    expect(two / MIB).toBeCloseTo(160.2432, 3);
    expect(withoutDevices).toBeLessThan(one / MIB);
  });
});
