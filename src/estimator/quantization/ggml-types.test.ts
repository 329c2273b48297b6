import { describe, expect, it } from "vitest";
import { GGML_TYPES, type GgmlTypeName, ggmlTypeByName, QuantizationError, tensorBytes } from "./ggml-types.js";

/** Bits per weight as llama.cpp documents them (ggml-common.h, tools/quantize). */
const BITS_PER_WEIGHT: [GgmlTypeName, number][] = [
  ["F32", 32],
  ["F16", 16],
  ["BF16", 16],
  ["Q1_0", 1.125],
  ["Q2_0", 2.25],
  ["Q4_0", 4.5],
  ["Q4_1", 5],
  ["Q5_0", 5.5],
  ["Q5_1", 6],
  ["Q8_0", 8.5],
  ["Q2_K", 2.625],
  ["Q3_K", 3.4375],
  ["Q4_K", 4.5],
  ["Q5_K", 5.5],
  ["Q6_K", 6.5625],
  ["IQ1_S", 1.5625],
  ["IQ1_M", 1.75],
  ["IQ2_XXS", 2.0625],
  ["IQ2_XS", 2.3125],
  ["IQ2_S", 2.5625],
  ["IQ3_XXS", 3.0625],
  ["IQ3_S", 3.4375],
  ["IQ4_NL", 4.5],
  ["IQ4_XS", 4.25],
  ["TQ1_0", 1.6875],
  ["TQ2_0", 2.0625],
  ["MXFP4", 4.25],
  ["NVFP4", 4.5],
];

describe("ggml tensor types", () => {
  it.each(BITS_PER_WEIGHT)("%s takes %d bits per weight", (type, bits) => {
    const { blockElements, blockBytes } = GGML_TYPES[type];
    expect((blockBytes * 8) / blockElements).toBe(bits);
  });

  it("multiplies row bytes by rows over all further dimensions", () => {
    expect(tensorBytes("Q4_K", [4096, 14336])).toBe(16 * 144 * 14336);
    expect(tensorBytes("MXFP4", [2880, 2880, 128])).toBe(90 * 17 * 2880 * 128);
    expect(tensorBytes("F32", [7])).toBe(28);
  });

  it("stays exact above 2^32 bytes", () => {
    expect(tensorBytes("Q6_K", [7168, 2048, 256, 58])).toBe(28 * 210 * 2048 * 256 * 58);
  });

  it("refuses a row that is not whole blocks", () => {
    expect(() => tensorBytes("Q4_K", [896, 896])).toThrow(/896 .*Q4_K blocks of 256/);
  });

  it.each([[[]], [[0]], [[-256, 4]], [[256, 0]], [[256.5]], [[Number.NaN]], [[256, Number.POSITIVE_INFINITY]]])(
    "refuses the shape %j",
    (shape) => {
      expect(() => tensorBytes("F32", shape)).toThrow(QuantizationError);
    },
  );

  it.each(["q4_k", "Q4_K_M", "", "toString", "__proto__"])("has no type named %j", (name) => {
    expect(() => ggmlTypeByName(name)).toThrow(QuantizationError);
  });
});
