import type { GpuRow, RuntimeRow } from "../../data/rows.js";
import type { Evidence } from "./evidence.js";
import { quantile, wideningOf } from "./statistics.js";
import type { SpeedComponent } from "./types.js";

/** Factors between an estimated rate and the ends of its interval, and how many figures they rest on. */
export interface SpeedInterval {
  measurements: number;
  low: number;
  high: number;
}

/** How near evidence is to what it vouches for, nearest first, and how much further errors may reach there. */
const NEARNESS: readonly { isNear: (evidence: Evidence, to: Target) => boolean; widening: number }[] = [
  { isNear: ({ gpu, runtime }, to) => runtime.id === to.runtime.id && gpu?.id === to.gpu.id, widening: 1 },
  { isNear: ({ gpu, runtime }, to) => runtime.id === to.runtime.id && isAlike(gpu, to.gpu), widening: 1.25 },
  { isNear: ({ gpu, runtime }, to) => runtime.id === to.runtime.id && gpu?.vendor === to.gpu.vendor, widening: 1.5 },
  { isNear: ({ runtime }, to) => runtime.id === to.runtime.id, widening: 2 },
  { isNear: () => true, widening: 2.5 },
];

interface Target {
  runtime: RuntimeRow;
  gpu: GpuRow;
}

/** Fewer figures than this say nothing of their own. */
const FEWEST = 10;
/** Shares of the errors that an interval leaves out on either side. */
const LOWEST_SHARE = 0.025;
const HIGHEST_SHARE = 0.975;
/** No rate is known better than this, as a logarithm: builds, clocks and cooling differ by 10%. */
const LEAST_ERROR = Math.log(1.1);
/** No interval is wider than this to one side: an error of a hundredfold says that a run was another one. */
const MOST_ERROR = Math.log(10);

/** Errors of the same engine and cards of the same maker and chip generation are alike. */
function isAlike(gpu: GpuRow | null, other: GpuRow): boolean {
  return gpu !== null && gpu.vendor === other.vendor && gpu.architecture === other.architecture;
}

/**
 * Factors around a rate from the nearest evidence there is, spanning 95% of its errors, wider the further it is: the
 * same engine and card, chip generation, maker; the same engine; any engine. Errors are taken as logarithms. A
 * component that nobody measured is vouched for by whole requests.
 */
export function speedInterval(evidence: readonly Evidence[], target: Target, component: SpeedComponent): SpeedInterval {
  const ofComponent = intervalOver(evidence, target, component, NEARNESS.slice(0, -1));
  if (ofComponent !== null) return ofComponent;
  const ofRequests = intervalOver(evidence, target, "REQUEST_SPEED", NEARNESS.slice(0, -1));
  return ofRequests ?? intervalOver(evidence, target, component, NEARNESS.slice(-1)) ?? NOTHING_KNOWN;
}

const NOTHING_KNOWN: SpeedInterval = { measurements: 0, low: 1 / Math.exp(MOST_ERROR), high: Math.exp(MOST_ERROR) };

function intervalOver(
  evidence: readonly Evidence[],
  target: Target,
  component: SpeedComponent,
  levels: typeof NEARNESS,
): SpeedInterval | null {
  for (const { isNear, widening } of levels) {
    const errors = evidence
      .filter((one) => isNear(one, target))
      .flatMap(({ comparisons }) => comparisons.filter((comparison) => comparison.component === component))
      .map(({ error }) => Math.log1p(error))
      .sort((left, right) => left - right);
    if (errors.length >= FEWEST) {
      const factor = widening * wideningOf(errors.length);
      // An estimate that is too high by an error belongs to a rate lower by as much, and the other way round.
      const above = bound(factor * Math.max(0, quantile(errors, HIGHEST_SHARE)), widening);
      const below = bound(factor * Math.max(0, -quantile(errors, LOWEST_SHARE)), widening);
      return { measurements: errors.length, low: Math.exp(-above), high: Math.exp(below) };
    }
  }
  return null;
}

function bound(error: number, widening: number): number {
  return Math.min(MOST_ERROR, Math.max(LEAST_ERROR * widening, error));
}
