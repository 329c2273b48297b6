import { DEFAULT_MAX_CONNECTIONS } from "./http/bound-connections.js";
import type { RateLimits } from "./http/rate-limit.js";
import type { Allowance } from "./http/token-buckets.js";
import { DEFAULT_HEAVY_AT_WORK, DEFAULT_OPERATION_MS } from "./http/work.js";
import { queryLimits } from "./plugins/query-limits.js";

/** Settings of what clients may ask for. */
export interface LimitsConfig {
  /** What each client may take; null: nothing is counted. */
  rate: RateLimits | null;
  /** Milliseconds that an operation may take. */
  operationMs: number;
  /** Heavy operations at work at the same time. */
  heavyAtWork: number;
  maxConnections: number;
  /** File of the documents that are executed, and no others; null: any are. */
  trustedDocuments: string | null;
}

/**
 * Units of work a second for an address without a token. Fifty queries a second of two estimates each, as of somebody
 * who moves a slider, come to 1,500; a core computes some 10,000.
 */
const UNITS_PER_SECOND = 2_000;
/** For a token: five such people, or a program that works through a list. */
const UNITS_PER_SECOND_SIGNED_IN = 10_000;
/** A bucket holds what flows into it in so many seconds: half a minute of anything that can be kept up for ever. */
const BURST_SECONDS = 30;

const MAX_UNITS_PER_SECOND = 1_000_000_000;
const MAX_SECONDS = 3_600;
const MAX_HEAVY = 1_000;
const MAX_CONNECTIONS = 1_000_000;

/** Reads one setting: its name, what its text means (a string for what is wrong with it), and its default. */
export type ReadSetting = <Value>(name: string, parse: (text: string) => Value | Fault, fallback: Value) => Value;

/** What is wrong with a setting, to follow its name. */
export interface Fault {
  fault: string;
}

/** The limits that the environment sets. */
export function readLimits(read: ReadSetting): LimitsConfig {
  const perAddress = read<number | null>("RATE_LIMIT", parseRate, UNITS_PER_SECOND);
  const perToken = read<number | null>("RATE_LIMIT_SIGNED_IN", parseRate, UNITS_PER_SECOND_SIGNED_IN);
  return {
    rate:
      perAddress === null || perToken === null
        ? null
        : { address: allowanceOf(perAddress), token: allowanceOf(Math.max(perAddress, perToken)) },
    operationMs: read("OPERATION_TIMEOUT_SECONDS", wholeNumber(1, MAX_SECONDS), DEFAULT_OPERATION_MS / 1_000) * 1_000,
    heavyAtWork: read("HEAVY_OPERATIONS", wholeNumber(1, MAX_HEAVY), DEFAULT_HEAVY_AT_WORK),
    maxConnections: read("MAX_CONNECTIONS", wholeNumber(1, MAX_CONNECTIONS), DEFAULT_MAX_CONNECTIONS),
    trustedDocuments: read<string | null>("TRUSTED_DOCUMENTS", (text) => text, null),
  };
}

/** What clients may take without settings. */
export const DEFAULT_RATES: RateLimits = {
  address: allowanceOf(UNITS_PER_SECOND),
  token: allowanceOf(UNITS_PER_SECOND_SIGNED_IN),
};

/** However slowly it flows, a bucket holds what the largest query costs. */
function allowanceOf(unitsPerSecond: number): Allowance {
  return { unitsPerSecond, burst: Math.max(unitsPerSecond * BURST_SECONDS, queryLimits.cost * 2) };
}

function parseRate(text: string): number | null | Fault {
  return text.toLowerCase() === "off" ? null : wholeNumber(1, MAX_UNITS_PER_SECOND, " of units a second, or off")(text);
}

function wholeNumber(least: number, most: number, what = ""): (text: string) => number | Fault {
  return (text) => {
    const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
    return value >= least && value <= most
      ? value
      : { fault: `must be a whole number from ${least} to ${most}${what}, not "${text}".` };
  };
}
