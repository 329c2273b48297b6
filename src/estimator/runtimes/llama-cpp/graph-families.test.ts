import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { architectureFromConfig } from "../../architecture/from-config.js";
import { estimate } from "../../estimate.js";
import type { CacheType, LlamaCppSettings } from "../../estimate.types.js";

/** A run of llama.cpp; see `source` and `units` of its list in the file. */
interface Run {
  config: string;
  fileType: string;
  contextTokens: number;
  ubatch: number;
  cache: string;
  sequences?: number;
  flashAttention?: boolean;
  swaFull?: boolean;
  outputRows?: number;
  gpuLayers?: number;
}

interface HostRow extends Run {
  weights: number;
  compute: number;
}

/** Weights and compute buffer of each place. */
interface DeviceRow extends Run {
  devices: [number, number][];
  host: [number, number];
}

const MIB = 2 ** 20;
const fixtures = new URL("../../../../test/fixtures/", import.meta.url);
const { inHostMemory, onDevices } = JSON.parse(readFileSync(new URL("llama-cpp/families.json", fixtures), "utf8")) as {
  inHostMemory: { rows: HostRow[] };
  onDevices: { rows: DeviceRow[] };
};

const CACHE_TYPES: Readonly<Record<string, CacheType>> = {
  f16: { slug: "f16", blockElements: 1, blockBytes: 2 },
  f32: { slug: "f32", blockElements: 1, blockBytes: 4 },
  q8_0: { slug: "q8_0", blockElements: 32, blockBytes: 34 },
};

function estimateRun(run: Run, deviceCount: number) {
  const settings: LlamaCppSettings = {
    ubatchSize: run.ubatch,
    batchSize: 2048,
    flashAttention: run.flashAttention ?? true,
    outputRows: run.outputRows ?? run.ubatch,
    kvUnified: false,
    swaFull: run.swaFull ?? false,
    cpuMoeLayers: 0,
    splitMode: "LAYER",
    ...(run.gpuLayers === undefined ? {} : { gpuLayers: run.gpuLayers }),
  };
  return estimate({
    architecture: architectureFromConfig(
      JSON.parse(readFileSync(new URL(`configs/${run.config}.json`, fixtures), "utf8")),
    ),
    scheme: { kind: "ggml", fileType: run.fileType },
    contextTokens: run.contextTokens,
    sequences: run.sequences ?? 1,
    cacheTypeK: CACHE_TYPES[run.cache] as CacheType,
    devices: Array.from({ length: deviceCount }, (_, index) => ({ name: `device ${index}`, capacityBytes: null })),
    runtime: { kind: "llama-cpp", settings },
  });
}

/** Share by which an estimate in bytes is off a truth in MiB. */
function offBy(bytes: number, truth: number): number {
  return truth === 0 ? bytes : Math.abs(bytes / MIB / truth - 1);
}

describe("encoders, embedders, layers whose parts run side by side, 32-bit caches, Llama 4 and Gemma 3n", () => {
  it.each(inHostMemory.rows)("without a device: $config, $sequences sequences, $cache cache", (row) => {
    const { host } = estimateRun(row, 0);
    expect(host.compute).toBe(row.compute);
    expect(Math.abs(host.weights / row.weights - 1)).toBeLessThan(1e-5);
  });

  it.each(onDevices.rows)("$config on $devices.length devices, layers $gpuLayers", (row) => {
    const { devices, host } = estimateRun(row, row.devices.length);
    const places = [...row.devices, row.host];
    [...devices, host].forEach((place, index) => {
      const [weights, compute] = places[index] as [number, number];
      expect(offBy(place.weights, weights), `weights ${index}: ${place.weights / MIB}`).toBeLessThan(2e-5);
      expect(offBy(place.compute, compute), `compute ${index}: ${place.compute / MIB}`).toBeLessThan(2e-5);
    });
  });
});
