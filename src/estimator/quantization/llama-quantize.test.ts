import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import type { Architecture } from "../architecture/architecture.js";
import { architectureFromConfig } from "../architecture/from-config.js";
import type { GgmlScheme } from "./scheme.js";
import { storeTensors } from "./store-tensors.js";

/** What llama-quantize --dry-run says about whole models: see the `source` in each fixture. */

interface SizesFixture {
  models: { model: string; variant?: "no-mtp" | "experts-mxfp4"; config?: unknown; sizes: Record<string, number> }[];
}
interface TypesFixture {
  files: { model: string; fileType: string; tensors: Record<string, string | Record<string, number[]>> }[];
}

function readFixture<T>(name: string): T {
  return JSON.parse(
    readFileSync(new URL(`../../../test/fixtures/quantization/${name}.json`, import.meta.url), "utf8"),
  ) as T;
}

const SIZES = readFixture<SizesFixture>("llama-quantize-sizes").models;
const TYPES = readFixture<TypesFixture>("llama-quantize-tensor-types").files;
const ARCHITECTURES = new Map(
  SIZES.filter(({ config }) => config !== undefined).map(({ model, config }) => [
    model,
    architectureFromConfig(config),
  ]),
);

function architectureOf(model: string): Architecture {
  const architecture = ARCHITECTURES.get(model);
  if (architecture === undefined) throw new Error(`no config of ${model} in the fixture`);
  return architecture;
}

function withoutPredictionBlocks({ nextTokenPrediction: _dropped, ...rest }: Architecture): Architecture {
  return rest;
}

function schemeOf(label: string, variant: string | undefined): GgmlScheme {
  const [fileType = "", option] = label.split("+");
  return {
    kind: "ggml",
    fileType,
    importanceMatrix: option === "imatrix",
    ...(variant === "experts-mxfp4" ? { expertsType: "MXFP4" } : {}),
  };
}

describe("llama-quantize, to the byte", () => {
  it.each(SIZES.map((entry) => [`${entry.model} ${entry.variant ?? ""}`, entry] as const))("%s", (_name, entry) => {
    const full = architectureOf(entry.model);
    const architecture = entry.variant === "no-mtp" ? withoutPredictionBlocks(full) : full;
    const sizes = Object.keys(entry.sizes).map((label) => [
      label,
      storeTensors(architecture, schemeOf(label, entry.variant)).reduce((sum, { bytes }) => sum + bytes, 0),
    ]);
    expect(Object.fromEntries(sizes)).toEqual(entry.sizes);
  });
});

describe("llama-quantize, tensor by tensor", () => {
  it.each(TYPES.map((file) => [`${file.model} ${file.fileType}`, file] as const))("%s", (_name, file) => {
    const architecture = architectureOf(file.model);
    const stored = storeTensors(architecture, { kind: "ggml", fileType: file.fileType });
    for (const { tensor, type } of stored) {
      if (!tensor.isParameter) continue;
      const expected = file.tensors[tensor.name.replace(/^blk\.\d+\./, "blk.*.")];
      const expectedType =
        typeof expected === "string"
          ? expected
          : Object.entries(expected ?? {}).find(([, layers]) => layers.includes(tensor.layer ?? -1))?.[0];
      expect(type, tensor.name).toBe(expectedType);
    }
  });
});
