// Fits the `speed` constants of the runtimes to the catalogue's measurements of speed:
//
//   npm run fit-speed               prints the constants, their errors, and the errors with a model or card left out
//   npm run fit-speed -- --write    also writes the constants to seed/runtimes.json
//   npm run fit-speed -- vllm       of one runtime only
//
// The error of a figure is the logarithm of estimated / measured; large ones count linearly (Huber). Each constant is
// drawn towards a prior, so that what no figure speaks of stays where it was.
import { readFileSync, writeFileSync } from "node:fs";
import type { SpeedConstants } from "../src/estimator/speed/speed.types.js";
import { prepareSeed, toCatalogue } from "../src/services/seeding/prepare-seed.js";
import { readSeedFiles, SEED_FOLDER } from "../src/services/seeding/read-seed.js";
import { BORROWED, OTHER_CARDS, PARAMETERS } from "./fit-speed/parameters.js";
import { listSamples, type Sample } from "./fit-speed/samples.js";
import { type Parameter, robustLoss, search } from "./fit-speed/search.js";

const RUNTIMES = new URL("../seed/runtimes.json", import.meta.url);
const SIGNIFICANT_DIGITS = 3;
/** First step of a search that starts from the constants of nearly the same figures. */
const STEP_FROM_NEAR = 0.1;
/** A rate of a whole request says something of both decoding and prefill, and tables have many of them. */
const WEIGHTS = { DECODE_SPEED: 1, PREFILL_SPEED: 1, REQUEST_SPEED: 0.5 };

interface RuntimeSeed {
  slug: string;
  constants: { speed?: unknown };
}

const { texts } = await readSeedFiles(SEED_FOLDER);
const samples = listSamples(toCatalogue(prepareSeed(texts)));
const rows = JSON.parse(readFileSync(RUNTIMES, "utf8")) as RuntimeSeed[];
const asked = process.argv.slice(2).filter((argument) => !argument.startsWith("--"));

for (const [slug, parameters] of Object.entries(PARAMETERS)) {
  const row = rows.find((runtime) => runtime.slug === slug);
  if (row?.constants.speed === undefined || (asked.length > 0 && !asked.includes(slug))) continue;
  const ofRuntime = samples.filter(({ runtime }) => runtime === slug);
  const speed = row.constants.speed as SpeedConstants;
  const values = fitConstants(speed, parameters, ofRuntime);
  const fitted = withValues(speed, parameters, values);
  console.log(`\n${slug}: ${ofRuntime.length} figures`);
  parameters.forEach(({ path }, index) => {
    console.log(`  ${path.padEnd(36)} ${round(values[index] ?? 0)}`);
  });
  report(
    "fitted",
    ofRuntime.map((sample) => [sample, errorOf(sample, fitted)]),
  );
  if (!process.argv.includes("--quick")) {
    report(
      "model left out",
      leaveOut(speed, parameters, values, ofRuntime, ({ model }) => model),
    );
    report(
      "card left out",
      leaveOut(speed, parameters, values, ofRuntime, ({ card }) => card),
    );
  }
  if (process.argv.includes("--worst")) {
    const worst = ofRuntime.map((sample) => [sample, errorOf(sample, fitted)] as const);
    worst.sort(([, left], [, right]) => Math.abs(right ?? 0) - Math.abs(left ?? 0));
    for (const [{ measurement, component, measured }, error] of worst.slice(0, 30)) {
      console.log(`    ${measurement.slug} ${component} ${measured} ${percent(error ?? 0)}`);
    }
  }
  row.constants.speed = poolOthers(withValues(speed, parameters, values.map(round)));
}
for (const [slug, lender] of Object.entries(BORROWED)) {
  const row = rows.find((runtime) => runtime.slug === slug);
  const lent = rows.find((runtime) => runtime.slug === lender)?.constants.speed as SpeedConstants | undefined;
  if (row !== undefined && lent !== undefined) {
    row.constants.speed = { ...lent, basis: `not measured: the constants of ${lender}` };
  }
}
if (process.argv.includes("--write")) writeFileSync(RUNTIMES, `${JSON.stringify(rows, null, 2)}\n`);

function fitConstants(
  speed: SpeedConstants,
  parameters: readonly Parameter[],
  of: readonly Sample[],
  near?: readonly number[],
): number[] {
  const lossOf = (values: readonly number[]): number => {
    const constants = withValues(speed, parameters, values);
    return of.reduce((sum, sample) => {
      const error = errorOf(sample, constants);
      return error === null ? sum : sum + WEIGHTS[sample.component] * robustLoss(error);
    }, 0);
  };
  const priors = parameters.map(({ prior }) => prior);
  return near === undefined ? search(parameters, priors, lossOf) : search(parameters, near, lossOf, STEP_FROM_NEAR);
}

/** Errors of each group's figures with constants fitted without that group. */
function leaveOut(
  speed: SpeedConstants,
  parameters: readonly Parameter[],
  start: readonly number[],
  of: readonly Sample[],
  groupOf: (sample: Sample) => string,
): [Sample, number | null][] {
  return [...new Set(of.map(groupOf))].flatMap((group) => {
    const others = of.filter((sample) => groupOf(sample) !== group);
    const constants = withValues(speed, parameters, fitConstants(speed, parameters, others, start));
    return of
      .filter((sample) => groupOf(sample) === group)
      .map((sample): [Sample, number | null] => [sample, errorOf(sample, constants)]);
  });
}

function errorOf(sample: Sample, constants: SpeedConstants): number | null {
  const estimated = sample.estimate(constants);
  return estimated === null ? null : Math.log(estimated / sample.measured);
}

/** The constants with values put where the parameters stand; a family is found by its name. */
function withValues(
  speed: SpeedConstants,
  parameters: readonly Parameter[],
  values: readonly number[],
): SpeedConstants {
  const copy = structuredClone(speed);
  parameters.forEach(({ path }, index) => {
    const keys = path.split(".");
    const last = keys.pop() ?? "";
    let target: unknown = copy;
    for (const key of keys) {
      target = Array.isArray(target)
        ? target.find((entry) => (entry as { name: string }).name === key)
        : (target as Record<string, unknown>)[key];
    }
    (target as Record<string, unknown>)[last] = values[index];
  });
  return copy;
}

/** Cards of no family are given the mean of all families. */
function poolOthers(speed: SpeedConstants): SpeedConstants {
  const measured = speed.families.filter(({ name }) => name !== OTHER_CARDS);
  const mean = (key: "bandwidth" | "compute" | "launch" | "cache"): number =>
    round(Math.exp(measured.reduce((sum, family) => sum + Math.log(family[key]), 0) / Math.max(1, measured.length)));
  const families = speed.families.map((family) =>
    family.name === OTHER_CARDS
      ? {
          ...family,
          bandwidth: mean("bandwidth"),
          compute: mean("compute"),
          launch: mean("launch"),
          cache: mean("cache"),
        }
      : family,
  );
  return { ...speed, families };
}

function report(title: string, errors: readonly (readonly [Sample, number | null])[]): void {
  for (const component of ["DECODE_SPEED", "PREFILL_SPEED", "REQUEST_SPEED"] as const) {
    const sizes = errors
      .filter(([sample]) => sample.component === component)
      .flatMap(([, error]) => (error === null ? [] : [Math.abs(Math.exp(error) - 1)]))
      .sort((left, right) => left - right);
    if (sizes.length === 0) continue;
    const at = (part: number): string =>
      percent(sizes[Math.min(sizes.length - 1, Math.floor(part * sizes.length))] ?? 0);
    console.log(
      `  ${title.padEnd(16)} ${component.padEnd(14)} ${String(sizes.length).padStart(4)} figures: median ${at(0.5)}, 95% ${at(0.95)}, worst ${percent(sizes.at(-1) ?? 0)}`,
    );
  }
}

function round(value: number): number {
  return Number(value.toPrecision(SIGNIFICANT_DIGITS));
}

function percent(error: number): string {
  return `${(100 * error).toFixed(1)}%`;
}
