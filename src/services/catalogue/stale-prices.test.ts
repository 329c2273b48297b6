import { describe, expect, it } from "vitest";
import { isPriceStale, STALE_PRICE_DAYS } from "./stale-prices.js";

const now = new Date("2026-11-24T12:00:00Z");

describe("the age of a price", () => {
  it.each([
    ["2026-11-24", false],
    ["2027-01-01", false],
    ["2026-05-25", false],
    // The day ended 183 days and twelve hours ago.
    ["2026-05-24", true],
    ["2026-05", false],
    ["2026-04", true],
    ["2026", false],
    ["2025", true],
  ])("of %s counts from the end of what it names", (asOf, isStale) => {
    expect(isPriceStale(1, asOf, now)).toBe(isStale);
  });

  it("is not known of a price without a date, nor without a price", () => {
    expect(isPriceStale(1, null, now)).toBeNull();
    expect(isPriceStale(null, "2020", now)).toBeNull();
    expect(isPriceStale(0, "2020", now)).toBe(true);
    expect(STALE_PRICE_DAYS).toBe(183);
  });
});
