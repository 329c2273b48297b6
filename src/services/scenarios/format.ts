/**
 * How figures are written in a scenario's text: English grouping, units named after the number.
 * GiB = 2^30 bytes, MiB = 2^20 bytes, GB = 10^9 bytes.
 */
const BYTES_PER = { GiB: 2 ** 30, MiB: 2 ** 20, GB: 1e9 } as const;

function decimal(digits: number): Intl.NumberFormat {
  return new Intl.NumberFormat("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}
const whole = decimal(0);
const oneDigit = decimal(1);
const twoDigits = decimal(2);

/** A size with its unit; two digits below a hundred, one above: "8.58 GiB", "376.7 GiB" is never rounded away from sense. */
function size(unit: keyof typeof BYTES_PER): (bytes: number) => string {
  return (bytes) => `${twoDigits.format(bytes / BYTES_PER[unit])} ${unit}`;
}

/** Filters by the name a template uses, each from a number to text. */
export const NUMBER_FILTERS: Readonly<Record<string, (value: number) => string>> = {
  /** Bytes as "376.71 GiB". */
  gib: size("GiB"),
  /** Bytes as "404.49 GB". */
  gb: size("GB"),
  /** Bytes as "8,784 MiB". */
  mib: (bytes) => `${whole.format(bytes / BYTES_PER.MiB)} MiB`,
  /** A count as "131,072". */
  count: (value) => whole.format(value),
  /** A count of tokens as "128K" where it is a whole number of 1,024s, else as "10,000". */
  tokens: (value) => (value >= 1024 && value % 1024 === 0 ? `${whole.format(value / 1024)}K` : whole.format(value)),
  /** Parameters as "671.0B" or, from a trillion on, "1.03T". */
  parameters: (value) => (value >= 1e12 ? `${twoDigits.format(value / 1e12)}T` : `${oneDigit.format(value / 1e9)}B`),
  /** A share as "12.5%". */
  percent: (share) => `${oneDigit.format(share * 100)}%`,
  /** How many times one size is another, as "2.9". */
  ratio: (value) => oneDigit.format(value),
  /** Bits per weight as "4.82". */
  decimal: (value) => twoDigits.format(value),
};
