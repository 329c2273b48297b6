import { describe, expect, it } from "vitest";
import { findWorse, type RecordedGroup } from "./record.js";

const before: RecordedGroup = {
  runtime: "llama-cpp",
  attention: null,
  component: "TOTAL",
  count: 20,
  median: 0.01,
  p95: 0.03,
  worst: 0.05,
};

describe("recorded figures", () => {
  it("may stay, improve and grow in number", () => {
    expect(findWorse([before], [before])).toEqual([]);
    expect(findWorse([before], [{ ...before, count: 30, median: 0.005, p95: 0.02, worst: 0.05 }])).toEqual([]);
    expect(findWorse([], [before])).toEqual([]);
  });

  it.each(["median", "p95", "worst"] as const)("may not get worse: %s", (key) => {
    const [line] = findWorse([before], [{ ...before, [key]: before[key] + 0.01 }]);
    expect(line).toContain(key);
    expect(line).toContain("llama-cpp / all kinds / TOTAL");
  });

  it("may not lose measurements", () => {
    expect(findWorse([before], [{ ...before, count: 19 }])).toHaveLength(1);
    expect(findWorse([before], [])).toHaveLength(1);
  });

  it("differ by rounding without anyone being told", () => {
    expect(findWorse([before], [{ ...before, median: 0.0101 }])).toEqual([]);
  });
});
