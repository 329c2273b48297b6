import type { GpuRow, RuntimeRow } from "../../data/rows.js";
import type { QuantScheme } from "../../estimator/quantization/scheme.js";
import { plainBits } from "../../estimator/runtimes/loadable-formats.js";
import type { Evidence } from "./evidence.js";
import { quantile, wideningOf } from "./statistics.js";
import type { SpeedComponent } from "./types.js";

/** Factors between an estimated rate and the ends of its interval, and how many figures they rest on. */
export interface SpeedInterval {
  measurements: number;
  low: number;
  high: number;
}

/** What the interval is asked for. */
export interface SpeedTarget {
  runtime: RuntimeRow;
  gpu: GpuRow;
  scheme: QuantScheme;
}

type Test = (evidence: Evidence, target: SpeedTarget) => boolean;

const sameRuntime: Test = ({ runtime }, target) => runtime.id === target.runtime.id;
const sameStorage: Test = ({ run }, { scheme }) => run !== null && isPlain(run.request.scheme) === isPlain(scheme);
const sameCard: Test = ({ gpu }, target) => gpu?.id === target.gpu.id;
const sameGeneration: Test = ({ gpu }, target) =>
  gpu?.vendor === target.gpu.vendor && gpu.architecture === target.gpu.architecture;
const sameVendor: Test = ({ gpu }, target) => gpu?.vendor === target.gpu.vendor;

/**
 * How near evidence is to what it vouches for, nearest first: how much further errors may reach there, and the least
 * that a rate is off. Constants were fitted to the same figures; with a card left out of the fit (`npm run fit-speed`)
 * the errors are about those of the third row.
 */
const NEARNESS: readonly { tests: readonly Test[]; widening: number; least: number }[] = [
  { tests: [sameRuntime, sameCard, sameStorage], widening: 1, least: 0.1 },
  { tests: [sameRuntime, sameGeneration, sameStorage], widening: 1.25, least: 0.15 },
  { tests: [sameRuntime, sameVendor, sameStorage], widening: 1.5, least: 0.3 },
  { tests: [sameRuntime, sameVendor], widening: 1.5, least: 0.3 },
  { tests: [sameRuntime], widening: 2, least: 0.5 },
  { tests: [], widening: 2.5, least: 1 },
];
/** A rate that only whole requests tell of, where it is one part of the time. */
const WIDENING_BY_REQUESTS = 2;

const HALF_BITS = 16;

/** Weights of 16 bits and more, as against packed ones: kernels of their own. */
function isPlain(scheme: QuantScheme): boolean {
  return plainBits(scheme) !== null || (scheme.kind === "uniform" && scheme.weightBits >= HALF_BITS);
}

/** Fewer figures than this say nothing of their own. */
const FEWEST = 10;
/** Shares of the errors that an interval leaves out on either side. */
const LOWEST_SHARE = 0.025;
const HIGHEST_SHARE = 0.975;
/** No interval is wider than this to one side: an error of a hundredfold says that a run was another one. */
const MOST_ERROR = Math.log(10);

/**
 * Factors around a rate from the nearest evidence there is, spanning 95% of its errors, wider the further it is: the
 * same engine and card, chip generation, maker, each with weights of 16 bits or packed; the same engine; any. Errors are taken as logarithms. A
 * component that nobody measured is vouched for by whole requests.
 */
export function speedInterval(
  evidence: readonly Evidence[],
  target: SpeedTarget,
  component: SpeedComponent,
): SpeedInterval {
  const ofComponent = intervalOver(evidence, target, component, NEARNESS.slice(0, -1));
  if (ofComponent !== null) return ofComponent;
  const ofRequests = intervalOver(evidence, target, "REQUEST_SPEED", NEARNESS.slice(0, -1));
  return ofRequests ?? intervalOver(evidence, target, component, NEARNESS.slice(-1)) ?? NOTHING_KNOWN;
}

const NOTHING_KNOWN: SpeedInterval = { measurements: 0, low: 1 / Math.exp(MOST_ERROR), high: Math.exp(MOST_ERROR) };

function intervalOver(
  evidence: readonly Evidence[],
  target: SpeedTarget,
  component: SpeedComponent,
  levels: typeof NEARNESS,
): SpeedInterval | null {
  for (const { tests, widening, least } of levels) {
    const errors = evidence
      .filter((one) => tests.every((test) => test(one, target)))
      .flatMap(({ comparisons }) => comparisons.filter((comparison) => comparison.component === component))
      .map(({ error }) => Math.log1p(error))
      .sort((left, right) => left - right);
    if (errors.length >= FEWEST) {
      const surrogate = component === "REQUEST_SPEED" ? WIDENING_BY_REQUESTS : 1;
      const factor = surrogate * widening * wideningOf(errors.length);
      const floor = surrogate * Math.log1p(least);
      // An estimate that is too high by an error belongs to a rate lower by as much, and the other way round.
      const above = bound(factor * Math.max(0, quantile(errors, HIGHEST_SHARE)), floor);
      const below = bound(factor * Math.max(0, -quantile(errors, LOWEST_SHARE)), floor);
      return { measurements: errors.length, low: Math.exp(-above), high: Math.exp(below) };
    }
  }
  return null;
}

function bound(error: number, floor: number): number {
  return Math.min(MOST_ERROR, Math.max(floor, error));
}
