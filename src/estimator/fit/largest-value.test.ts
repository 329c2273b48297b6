import { describe, expect, it } from "vitest";
import { largestFitting, smallestFitting } from "./largest-value.js";

describe("the largest value that fits", () => {
  const curves: [string, (value: number) => number][] = [
    ["a line", (value) => 1000 - 3 * value],
    ["a line with a start", (value) => 5000 - 700 - 2 * value],
    ["steps", (value) => 100_000 - 4096 * Math.ceil(value / 7)],
    ["what grows faster", (value) => 1e6 - value ** 2],
    ["what nearly stands still", (value) => 300 - Math.log(value) * 50],
  ];
  it.each(curves)("is exact for %s: one more does not", (_, spare) => {
    const most = 1_000_000;
    const found = largestFitting(spare, most);
    expect(found).toBeGreaterThan(0);
    expect(spare(found)).toBeGreaterThanOrEqual(0);
    expect(spare(found + 1)).toBeLessThan(0);
  });

  it("is none where the least is too much, and the most where all fit", () => {
    expect(largestFitting(() => -1, 100)).toBe(0);
    expect(largestFitting(() => 0, 100)).toBe(100);
    expect(largestFitting((value) => 1 - value, 1)).toBe(1);
  });

  it("asks seldom: a 32-bit range takes fewer questions than halving and the guesses together", () => {
    let asked = 0;
    largestFitting((value) => {
      asked += 1;
      return 123_456_789 - value;
    }, 2 ** 31);
    expect(asked).toBeLessThanOrEqual(12);
  });
});

describe("the smallest value that fits", () => {
  it("is exact, and null where none does or there is nothing to choose from", () => {
    for (const from of [1, 2, 37, 60, 61]) {
      expect(smallestFitting((value) => value >= from, 1, 61)).toBe(from);
    }
    // Ups and downs below the value that halving finds.
    const unsteady = (value: number) => value >= 40 || value === 38 || value === 35;
    expect(smallestFitting(unsteady, 1, 61, 4)).toBe(35);
    expect(smallestFitting(() => false, 1, 61)).toBeNull();
    expect(smallestFitting(() => true, Number.POSITIVE_INFINITY, 0)).toBeNull();
  });
});
