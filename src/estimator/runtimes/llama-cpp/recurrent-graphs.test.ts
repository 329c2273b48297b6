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

function estimateRow(row: Row) {
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
    architecture: architectureFromConfig(config),
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
});
