import { describe, expect, it } from "vitest";
import { type CostInput, estimateCost, HOURS_PER_MONTH } from "./estimate-cost.js";

const whole: CostInput = {
  usdPerHour: 2,
  usdToBuy: 7300,
  watts: 500,
  throughput: 1000,
  prefill: 10_000,
  hoursPerMonth: HOURS_PER_MONTH,
  usdPerKwh: null,
};

describe("cost", () => {
  it("divides the rent by what is computed in an hour", () => {
    const cost = estimateCost(whole);
    expect(cost.usdPerMillionOutputTokens).toBeCloseTo(2 / 3.6, 12);
    expect(cost.usdPerMillionInputTokens).toBeCloseTo(2 / 36, 12);
    expect(cost.usdPerMonth).toBe(1460);
    expect(cost.breakEvenMonths).toBe(5);
    expect(cost.electricityUsdPerMonth).toBeNull();
  });

  it("takes an owner's electricity from what he saves", () => {
    const cost = estimateCost({ ...whole, usdPerKwh: 0.4 });
    expect(cost.electricityUsdPerMonth).toBeCloseTo(146, 10);
    expect(cost.breakEvenMonths).toBeCloseTo(7300 / 1314, 10);
  });

  it("says nothing where it cannot be known, and never divides by nothing", () => {
    expect(estimateCost({ ...whole, usdPerKwh: 5 }).breakEvenMonths).toBeNull();
    expect(estimateCost({ ...whole, watts: null, usdPerKwh: 0.4 }).breakEvenMonths).toBeNull();
    expect(estimateCost({ ...whole, hoursPerMonth: 0 }).breakEvenMonths).toBeNull();
    expect(estimateCost({ ...whole, throughput: 0 }).usdPerMillionOutputTokens).toBeNull();
    const unknown = estimateCost({ ...whole, usdPerHour: null, usdToBuy: null, throughput: null, prefill: null });
    expect(Object.values(unknown).every((value) => value === null)).toBe(true);
  });
});
