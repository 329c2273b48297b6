import type { GpuRow, SystemRow } from "../../data/rows.js";

/**
 * A price older than this is told to be old. Half a year: rents and street prices of accelerators commonly move by a
 * tenth or more within that time, when a generation follows another, and rarely within a quarter.
 */
export const STALE_PRICE_DAYS = 183;

const MS_PER_DAY = 86_400_000;
const MONTHS_PER_YEAR = 12;

/** A price that is old. */
export interface StalePrice {
  code: "PRICE_STALE";
  message: string;
}

/** Whether a price of this date is old; null when there is none, or nobody knows of when it is. */
export function isPriceStale(usd: number | null, asOf: string | null, now: Date): boolean | null {
  if (usd === null || asOf === null) return null;
  return now.getTime() - endOf(asOf) > STALE_PRICE_DAYS * MS_PER_DAY;
}

/**
 * Whether the card's street price or rent is old; null when nobody knows of either. Its list price is that of its release
 * and does not age.
 */
export function isGpuPriceStale(gpu: GpuRow, now: Date): boolean | null {
  const known = [isStreetPriceStale(gpu, now), isRentStale(gpu, now)].filter((isStale) => isStale !== null);
  return known.length === 0 ? null : known.includes(true);
}

function isStreetPriceStale({ streetUsd, streetPriceAsOf }: GpuRow, now: Date): boolean | null {
  return isPriceStale(streetUsd, streetPriceAsOf, now);
}

function isRentStale({ usdPerHour, usdPerHourAsOf }: GpuRow, now: Date): boolean | null {
  return isPriceStale(usdPerHour, usdPerHourAsOf, now);
}

/** Whether the system's rent is old. */
export function isSystemPriceStale({ usdPerHour, priceAsOf }: SystemRow, now: Date): boolean | null {
  return isPriceStale(usdPerHour, priceAsOf, now);
}

/** Whose prices something was reckoned with; a row may be named more than once. */
export interface UsedPrices {
  /** Cards by their street price. */
  bought?: readonly GpuRow[];
  /** Cards by their own rent. */
  rented?: readonly GpuRow[];
  /** Systems by their rent. */
  systems?: readonly SystemRow[];
}

/** A warning of every old price, each once, with its date. */
export function warnOfStalePrices({ bought = [], rented = [], systems = [] }: UsedPrices, now: Date): StalePrice[] {
  return [
    ...[...new Set(bought)]
      .filter((gpu) => isStreetPriceStale(gpu, now))
      .map(({ name, streetUsd, streetPriceAsOf }) => staleOf(`${name}, $${streetUsd}`, streetPriceAsOf)),
    ...[...new Set(rented)]
      .filter((gpu) => isRentStale(gpu, now))
      .map(({ name, usdPerHour, usdPerHourAsOf }) => staleOf(`${name}, $${usdPerHour} an hour`, usdPerHourAsOf)),
    ...[...new Set(systems)]
      .filter((system) => isSystemPriceStale(system, now))
      .map(({ name, usdPerHour, priceAsOf }) => staleOf(`${name}, $${usdPerHour} an hour`, priceAsOf)),
  ];
}

function staleOf(what: string, asOf: string | null): StalePrice {
  return {
    code: "PRICE_STALE",
    message: `The price of ${what}, is of ${asOf}: more than ${STALE_PRICE_DAYS} days old. Look it up before relying on it.`,
  };
}

/** The end of a day, month or year, which the price may be of: "2026-05-22", "2026-05", "2026". Milliseconds. */
function endOf(asOf: string): number {
  const [year = 0, month = MONTHS_PER_YEAR, day] = asOf.split("-").map(Number);
  return day === undefined ? Date.UTC(year, month, 1) : Date.UTC(year, month - 1, day + 1);
}
