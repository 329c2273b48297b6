import { describe, expect, it } from "vitest";
import type { GpuRow } from "../../data/rows.js";
import { isGpuPriceStale, isPriceStale, STALE_PRICE_DAYS, warnOfStalePrices } from "./stale-prices.js";

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

describe("a card's street price and rent", () => {
  const old = {
    name: "Card",
    streetUsd: 100,
    streetPriceAsOf: "2024",
    usdPerHour: 2,
    usdPerHourAsOf: "2025",
  } as GpuRow;
  const freshRent = { ...old, usdPerHourAsOf: "2026-11" };
  const undated = { ...old, streetPriceAsOf: null, usdPerHourAsOf: null };

  it("are old when one of them is, and unknown when both are", () => {
    expect(isGpuPriceStale(old, now)).toBe(true);
    expect(isGpuPriceStale(freshRent, now)).toBe(true);
    expect(isGpuPriceStale({ ...freshRent, streetUsd: null }, now)).toBe(false);
    expect(isGpuPriceStale({ ...old, streetPriceAsOf: null }, now)).toBe(true);
    expect(isGpuPriceStale(undated, now)).toBeNull();
  });

  it("are warned of one by one, where they were used", () => {
    const messages = (used: Parameters<typeof warnOfStalePrices>[0]) =>
      warnOfStalePrices(used, now).map(({ message }) => message.replace(/:.*/, ""));
    expect(messages({ bought: [old, old] })).toEqual(["The price of Card, $100, is of 2024"]);
    expect(messages({ rented: [old, old] })).toEqual(["The price of Card, $2 an hour, is of 2025"]);
    expect(messages({ bought: [freshRent], rented: [freshRent] })).toEqual(["The price of Card, $100, is of 2024"]);
    expect(messages({ bought: [undated], rented: [undated] })).toEqual([]);
  });
});
