/** What an hour and a token of a set of devices cost, and what else is known of it. */
export interface CostInput {
  /** Rent of the whole, US dollars per hour. */
  usdPerHour: number | null;
  /** Price of the whole, US dollars. */
  usdToBuy: number | null;
  /** Power of the whole under load, watts. */
  watts: number | null;
  /** Tokens per second of all sequences together. */
  throughput: number | null;
  /** Tokens of prompts per second. */
  prefill: number | null;
  /** Hours a month that it runs. */
  hoursPerMonth: number;
  /** Price of electricity, US dollars per kWh; null where it is to be left out. */
  usdPerKwh: number | null;
}

/** US dollars; null where a price, a speed or the power is not known. */
export interface CostEstimate {
  usdPerHour: number | null;
  usdPerMonth: number | null;
  usdToBuy: number | null;
  /** Null as well where no price of electricity was given. */
  electricityUsdPerMonth: number | null;
  usdPerMillionOutputTokens: number | null;
  usdPerMillionInputTokens: number | null;
  /** Months of renting that cost as much as buying; null as well where renting never does. */
  breakEvenMonths: number | null;
}

const SECONDS_PER_HOUR = 3600;
const MILLION = 1e6;
const WATTS_PER_KILOWATT = 1000;

/** Hours of a month that never stops: 365.25 x 24 / 12, rounded as cloud price lists do. */
export const HOURS_PER_MONTH = 730;

/**
 * Cost of running a model: rent over tokens at full throughput, and how many months of rent, less the electricity that an
 * owner pays, buy the cards.
 */
export function estimateCost(input: CostInput): CostEstimate {
  const { usdPerHour, usdToBuy, hoursPerMonth } = input;
  const usdPerMonth = times(usdPerHour, hoursPerMonth);
  const electricityUsdPerMonth = electricity(input);
  return {
    usdPerHour,
    usdPerMonth,
    usdToBuy,
    electricityUsdPerMonth,
    usdPerMillionOutputTokens: perMillion(usdPerHour, input.throughput),
    usdPerMillionInputTokens: perMillion(usdPerHour, input.prefill),
    breakEvenMonths: breakEven(usdToBuy, usdPerMonth, input.usdPerKwh === null ? 0 : electricityUsdPerMonth),
  };
}

function electricity({ watts, usdPerKwh, hoursPerMonth }: CostInput): number | null {
  const kilowattHours = times(watts, hoursPerMonth / WATTS_PER_KILOWATT);
  return usdPerKwh === null ? null : times(kilowattHours, usdPerKwh);
}

function perMillion(usdPerHour: number | null, tokensPerSecond: number | null): number | null {
  if (usdPerHour === null || tokensPerSecond === null || tokensPerSecond <= 0) return null;
  return (usdPerHour / (tokensPerSecond * SECONDS_PER_HOUR)) * MILLION;
}

function breakEven(usdToBuy: number | null, rent: number | null, electricityCost: number | null): number | null {
  if (usdToBuy === null || rent === null || electricityCost === null) return null;
  const saved = rent - electricityCost;
  return saved > 0 ? usdToBuy / saved : null;
}

function times(left: number | null, right: number): number | null {
  return left === null ? null : left * right;
}
