import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { balanceLayers, fillLayers, shareLayers } from "./spread-layers.js";

const counts = (layers: readonly number[], devices: number) =>
  Array.from({ length: devices }, (_, device) => layers.filter((place) => place === device).length);
const equal = (count: number, bytes: number) => new Array<number>(count).fill(bytes);

describe("balanceLayers", () => {
  it("leaves every device but the last a share and 1.25 of a layer, the first room for the largest part", () => {
    // 32 layers of 10, embedding and output of 8: 336 in all, 168 a device; 168 + 12.5 - 10 on the first.
    const placement = balanceLayers({ embedding: 8, layers: equal(32, 10), output: 8, tied: false }, [null, null]);
    expect(counts(placement.layers, 2)).toEqual([16, 16]);
    expect([placement.embedding, placement.output]).toEqual([0, 1]);
  });

  it("keeps no room for an embedding that is placed already", () => {
    const placement = balanceLayers({ embedding: 60, layers: equal(32, 10), output: 0, tied: true }, [null, null]);
    // 380 in all, 190 a device; 190 + 12.5 - 10, less the embedding, on the first.
    expect(counts(placement.layers, 2)).toEqual([13, 19]);
  });

  it("keeps a tied output beside its embedding", () => {
    const placement = balanceLayers({ embedding: 8, layers: equal(32, 10), output: 0, tied: true }, [null, null]);
    expect([placement.embedding, placement.output]).toEqual([0, 0]);
  });

  it("takes no more of a device than it has free", () => {
    const placement = balanceLayers({ embedding: 0, layers: equal(30, 10), output: 0, tied: false }, [50, 400]);
    expect(counts(placement.layers, 2)).toEqual([4, 26]);
  });
});

describe("fillLayers", () => {
  it("fills each device before the next", () => {
    const { layers, output } = fillLayers({ layers: equal(10, 10), output: 30 }, [45, 70, 100]);
    expect(counts(layers, 3)).toEqual([4, 6, 0]);
    expect(output).toBe(2);
  });

  it("shares among devices of unknown size", () => {
    const { layers } = fillLayers({ layers: equal(30, 10), output: 0 }, [null, null, null]);
    expect(counts(layers, 3)).toEqual([11, 11, 8]);
  });

  it("places every layer, in order", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 100 }), { maxLength: 80 }),
        fc.array(fc.option(fc.integer({ min: -10, max: 2000 })), { minLength: 1, maxLength: 8 }),
        (sizes, room) => {
          for (const { layers, output } of [
            fillLayers({ layers: sizes, output: 5 }, room),
            balanceLayers({ embedding: 3, layers: sizes, output: 5, tied: false }, room),
          ]) {
            expect(layers).toHaveLength(sizes.length);
            const all = [...layers, output];
            expect(all).toEqual([...all].sort((a, b) => a - b));
            expect(Math.max(...all)).toBeLessThan(room.length);
          }
        },
      ),
    );
  });
});

describe("shareLayers", () => {
  it("gives the first devices one more where layers do not divide", () => {
    expect(counts(shareLayers(61, 6), 6)).toEqual([11, 10, 10, 10, 10, 10]);
    expect(shareLayers(2, 3)).toEqual([0, 1]);
  });
});
