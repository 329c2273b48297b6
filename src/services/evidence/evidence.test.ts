import { describe, expect, it } from "vitest";
import type { MeasurementRow } from "../../data/rows.js";
import { prepareSeed, toCatalogue } from "../seeding/prepare-seed.js";
import { readSeedFiles, SEED_FOLDER } from "../seeding/read-seed.js";
import { createEvidenceService } from "./evidence.js";
import { mainError, reportAccuracy } from "./report.js";
import { errorStatistics, quantile } from "./statistics.js";

const { texts } = await readSeedFiles(SEED_FOLDER);
const catalogue = toCatalogue(prepareSeed(texts));
const evidence = createEvidenceService(catalogue);
const GIB = 2 ** 30;

function measurement(slug: string): MeasurementRow {
  const row = catalogue.measurements.bySlug.get(slug);
  if (row === undefined) throw new Error(`the seed has no measurement ${slug}`);
  return row;
}

function errorsOf(slug: string): Record<string, number> {
  const { comparisons } = evidence.of(measurement(slug));
  return Object.fromEntries(comparisons.map(({ component, error }) => [component, error]));
}

describe("measurements beside estimates", () => {
  it("llama.cpp's caches are its own to the byte", () => {
    // Start-up log of Llama 3 8B Q4_K_M over 4 CUDA devices, 8192 cells: 288 + 256 + 256 + 224 MiB.
    expect(errorsOf("llamacpp-077")).toMatchObject({ KV_CACHE: 0 });
    expect(Math.abs(errorsOf("llamacpp-077").WEIGHTS ?? 1)).toBeLessThan(0.001);
    // Qwen3-Next with its recurrent state: 3102 + 75.38 MiB, logged to two decimals.
    expect(Math.abs(errorsOf("llamacpp-048").KV_CACHE ?? 1)).toBeLessThan(1e-5);
  });

  it("a serving engine's log is compared part by part, tokens included", () => {
    const errors = errorsOf("vllm-llmd-001");
    expect(Object.keys(errors).sort()).toEqual(["COMPUTE", "KV_POOL", "KV_TOKENS", "TOTAL", "WEIGHTS"]);
    expect(Math.abs(errors.KV_TOKENS ?? 1)).toBeLessThan(0.02);
  });

  it("every one is compared, or says why not", () => {
    for (const row of catalogue.measurements.rows) {
      const { comparisons, reason } = evidence.of(row);
      expect(reason === null, row.slug).toBe(comparisons.length > 0);
      for (const { estimated, measured, error } of comparisons) {
        expect(measured, row.slug).toBeGreaterThan(0);
        expect(error, row.slug).toBeCloseTo(estimated / measured - 1, 12);
      }
    }
  });

  it("weights of a publisher's own mix are not compared with a rule of llama-quantize", () => {
    // unsloth's UD-Q4_K_XL
    expect(errorsOf("llamacpp-048")).not.toHaveProperty("WEIGHTS");
  });

  it("the main error is the total's, else the largest part's", () => {
    expect(mainError(evidence.of(measurement("vllm-llmd-001")))).toBe(errorsOf("vllm-llmd-001").TOTAL);
    const { comparisons } = evidence.of(measurement("llamacpp-048"));
    const largest = comparisons.toSorted((left, right) => right.measured - left.measured)[0];
    expect(mainError(evidence.of(measurement("llamacpp-048")))).toBe(largest?.error);
  });
});

describe("intervals", () => {
  const llamaCpp = catalogue.runtimes.bySlug.get("llama-cpp");
  const transformers = catalogue.runtimes.bySlug.get("transformers");
  if (!llamaCpp || !transformers) throw new Error("the seed lacks a runtime");

  it("rest on the same runtime and kind of attention, and hold the total", () => {
    const interval = evidence.intervalOf(10 * GIB, llamaCpp, "GROUPED_QUERY");
    expect(interval.measurements).toBeGreaterThanOrEqual(5);
    expect(interval.low).toBeLessThanOrEqual(10 * GIB);
    expect(interval.high).toBeGreaterThanOrEqual(10 * GIB);
  });

  it("fall back on the whole runtime for a kind that nobody measured", () => {
    const all = evidence.intervalOf(GIB, llamaCpp, "COMPRESSED");
    expect(all.measurements).toBeGreaterThan(evidence.intervalOf(GIB, llamaCpp, "GROUPED_QUERY").measurements);
  });

  it("are the estimate itself where there is no evidence, and say so", () => {
    const nothing = { ...llamaCpp, id: "00000000-0000-4000-8000-000000000000" };
    expect(evidence.intervalOf(GIB, nothing, "LATENT")).toEqual({
      measurements: 0,
      medianError: null,
      p95Error: null,
      low: GIB,
      high: GIB,
    });
  });

  it("leave out the measurement that they are for", () => {
    const row = catalogue.measurements.rows.find(
      ({ runtimeId, slug }) => runtimeId === transformers.id && "TOTAL" in errorsOf(slug),
    );
    if (!row) throw new Error("no measurement of Transformers is compared");
    const attention = evidence.of(row).attention;
    if (attention === null) throw new Error("its model is not known");
    const { measurements } = evidence.intervalOf(GIB, transformers, attention);
    expect(evidence.intervalOf(GIB, transformers, attention, row).measurements).toBe(measurements - 1);
  });

  it("hold nearly all measured totals when each is left out of its own", () => {
    const totals = evidence.all().flatMap(({ measurement: row, runtime, attention, comparisons }) => {
      const total = comparisons.find(({ component }) => component === "TOTAL");
      return total && attention !== null ? [{ row, runtime, attention, total }] : [];
    });
    const held = totals.filter(({ row, runtime, attention, total }) => {
      const { low, high } = evidence.intervalOf(total.estimated, runtime, attention, row);
      return total.measured >= low && total.measured <= high;
    });
    expect(totals.length).toBeGreaterThan(100);
    expect(held.length / totals.length).toBeGreaterThan(0.9);
  });
});

describe("reports", () => {
  it("count every measurement once: compared, or with its reason", () => {
    const report = reportAccuracy(evidence.all());
    const counted = report.notCompared.reduce((sum, { count }) => sum + count, 0);
    expect(report.compared + counted).toBe(report.measurements);
    for (const group of [...report.groups, ...report.byRuntime]) {
      expect(group.medianError).toBeLessThanOrEqual(group.p95Error);
      expect(group.p95Error).toBeLessThanOrEqual(Math.abs(group.worstError) + 1e-12);
    }
  });

  it("are of the components asked for", () => {
    const report = reportAccuracy(evidence.all(), ["KV_TOKENS"]);
    expect(new Set(report.byRuntime.map(({ component }) => component))).toEqual(new Set(["KV_TOKENS"]));
  });
});

describe("statistics", () => {
  it("interpolate between neighbours", () => {
    expect(quantile([1, 2, 3, 4], 0.5)).toBe(2.5);
    expect(quantile([0, 10], 0.95)).toBeCloseTo(9.5, 12);
    expect(quantile([7], 0.95)).toBe(7);
  });

  it("tell bias from size", () => {
    expect(errorStatistics([-0.1, 0.02, 0.03])).toMatchObject({ count: 3, bias: 0.02, median: 0.03 });
  });
});
