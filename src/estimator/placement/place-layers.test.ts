import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { HOST, placeLayers } from "./place-layers.js";

/** Free bytes of equal devices: 32 GiB less three pages. */
const EQUAL = 2 ** 35 - 3 * 4096;
const counts = (layers: readonly number[], devices: number) =>
  Array.from({ length: devices }, (_, device) => layers.filter((placed) => placed === device).length);

describe("placeLayers", () => {
  it("deals DeepSeek-V3's 61 layers over six equal devices as llama.cpp does", () => {
    const placement = placeLayers({ blockCount: 61, shares: new Array<number>(6).fill(EQUAL) });
    expect(counts(placement.layers, 6)).toEqual([11, 10, 11, 10, 10, 9]);
    expect(placement.output).toBe(5);
  });

  it.each([
    // blocks, shares, layers by device (llama.cpp, July 2026 build, llama-fit-params)
    [47, [EQUAL, EQUAL, EQUAL, EQUAL], [12, 12, 13, 10]],
    [51, [EQUAL, EQUAL, EQUAL, EQUAL], [13, 13, 14, 11]],
    [32, [EQUAL, EQUAL, EQUAL], [11, 11, 10]],
    [61, [3, 1], [47, 14]],
    [61, [1, 3], [16, 45]],
    [32, [EQUAL, EQUAL], [17, 15]],
    [32, [4, 3, 2, 1], [14, 10, 6, 2]],
  ])("%i blocks over %j: %j", (blockCount, shares, expected) => {
    expect(counts(placeLayers({ blockCount, shares }).layers, shares.length)).toEqual(expected);
  });

  it("puts the last layers and the output on devices first", () => {
    const placement = placeLayers({ blockCount: 4, gpuLayers: 3, shares: [1] });
    expect(placement.layers).toEqual([HOST, HOST, 0, 0]);
    expect(placement.output).toBe(0);
    expect(placeLayers({ blockCount: 4, gpuLayers: 0, shares: [1] }).output).toBe(HOST);
    expect(placeLayers({ blockCount: 4, shares: [] }).layers).toEqual([HOST, HOST, HOST, HOST]);
  });

  it("places every layer somewhere, in order of devices", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 300 }),
        fc.array(fc.integer({ min: 1, max: 1e6 }), { minLength: 1, maxLength: 16 }),
        fc.integer({ min: 0, max: 400 }),
        (blockCount, shares, gpuLayers) => {
          const { layers, output } = placeLayers({ blockCount, shares, gpuLayers });
          const all = [...layers, output];
          expect(all).toHaveLength(blockCount + 1);
          expect(all.filter((device) => device !== HOST)).toHaveLength(Math.min(gpuLayers, blockCount + 1));
          expect(all).toEqual([...all].sort((a, b) => a - b));
        },
      ),
    );
  });
});
