import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { catalogue } from "../../../test/fixtures/local-runtimes/catalogue.js";
import { estimate } from "../estimate.js";
import type { Device, MemoryEstimate, RuntimeRequest } from "../estimate.types.js";
import { readExllamaConstants } from "./exllama/read-exllama-constants.js";
import { readMlxConstants } from "./mlx/read-mlx-constants.js";
import { readTransformersConstants } from "./transformers/read-transformers-constants.js";

const SLUGS: string[] = JSON.parse(readFileSync(new URL("../../../seed/models.json", import.meta.url), "utf8"))
  .filter((model: { architecture?: unknown }) => model.architecture !== undefined && model.architecture !== null)
  .map((model: { slug: string }) => model.slug);
const RUNTIMES: [name: string, format: string, runtime: RuntimeRequest][] = [
  [
    "transformers",
    "bf16",
    {
      kind: "transformers",
      settings: { attention: "SDPA" },
      constants: readTransformersConstants(catalogue.constants("transformers")),
    },
  ],
  ["mlx", "mlx-4bit", { kind: "mlx", settings: {}, constants: readMlxConstants(catalogue.constants("mlx")) }],
  [
    "exllama",
    "exl3-4bpw",
    { kind: "exllama", settings: {}, constants: readExllamaConstants(catalogue.constants("exllama")) },
  ],
];
const THREE: Device[] = new Array<Device>(3).fill({ name: "card", capacityBytes: null });

describe.each(RUNTIMES)("%s over every model of the catalogue", (_name, format, runtime) => {
  const run = (slug: string, contextTokens: number, devices?: Device[]): MemoryEstimate =>
    estimate({
      architecture: catalogue.architecture(slug),
      scheme: catalogue.scheme(format),
      contextTokens,
      sequences: 1,
      runtime,
      ...(devices === undefined ? {} : { devices }),
    });

  it("is made of whole numbers, and the parts are the whole", () => {
    for (const slug of SLUGS) {
      const memory = run(slug, 4096, THREE);
      const parts = memory.devices.flatMap(({ weights, kvCache, compute, overhead }) => [
        weights,
        kvCache,
        compute,
        overhead,
      ]);
      expect(parts.every((bytes) => Number.isFinite(bytes) && bytes >= 0)).toBe(true);
      expect(parts.reduce((a, b) => a + b, 0)).toBeCloseTo(memory.total, -1);
      const cache = memory.devices.reduce((sum, device) => sum + device.kvCache, 0);
      expect([slug, Math.round(cache)]).toEqual([slug, Math.round(memory.kvCache.bytes)]);
      expect([slug, memory.devices.reduce((sum, device) => sum + device.layers, 0)]).toEqual([
        slug,
        catalogue.architecture(slug).layers.length,
      ]);
      expect(memory.steps.every((step) => step.title !== "" && step.result !== "")).toBe(true);
    }
  });

  it("never needs less for more context", () => {
    for (const slug of SLUGS) {
      const totals = [256, 1024, 5000, 40_000].map((tokens) => run(slug, tokens).total);
      expect([slug, totals]).toEqual([slug, [...totals].sort((a, b) => a - b)]);
    }
  });
});
