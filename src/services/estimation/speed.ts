import type { Catalogue } from "../../data/catalogue.js";
import type { GpuRow, MeasurementRow, RuntimeRow, SystemRow } from "../../data/rows.js";
import { BadUserInputError } from "../../errors.js";
import { type CostEstimate, estimateCost, HOURS_PER_MONTH } from "../../estimator/cost/estimate-cost.js";
import type { CalculationStep, MemoryEstimate } from "../../estimator/estimate.types.js";
import { DEFAULT_HOST_GB_PER_SECOND, estimateSpeed } from "../../estimator/speed/estimate-speed.js";
import type { SpeedEstimate, SpeedLimit } from "../../estimator/speed/speed.types.js";
import type { PlacedModel } from "../../estimator/speed/stages.js";
import { systemsOfGpu } from "../catalogue/relations.js";
import { type StalePrice, type UsedPrices, warnOfStalePrices } from "../catalogue/stale-prices.js";
import type { EvidenceService } from "../evidence/evidence.js";
import type { SpeedInterval } from "../evidence/speed-interval.js";
import { describeSpeedCard, speedConstants } from "./speed-cards.js";

/** A model on hardware: what its speed and cost are computed from. */
export interface SpeedRun {
  memory: PlacedModel & Pick<MemoryEstimate, "request">;
  /** Card of each device. */
  gpus: readonly GpuRow[];
  /** Slug of the runtime's row. */
  runtime: string;
  /** The measurement it is the estimate of, which does not vouch for itself. */
  except?: MeasurementRow;
}

/** Arguments of the schema's `speed` fields. */
export interface SpeedArguments {
  depth?: number | null | undefined;
  promptTokens?: number | null | undefined;
  hostBandwidth?: number | null | undefined;
}

/** Arguments of the schema's `cost` fields. */
export interface CostArguments extends SpeedArguments {
  hoursPerMonth?: number | null | undefined;
  usdPerKwh?: number | null | undefined;
}

/** A rate, or seconds, with the interval that evidence supports. */
export interface SpeedFigureModel {
  value: number;
  low: number;
  high: number;
}

/** What the schema's SpeedEstimate is resolved from. */
export interface SpeedModel {
  decode: SpeedFigureModel;
  throughput: SpeedFigureModel;
  prefill: SpeedFigureModel | null;
  timeToFirstToken: SpeedFigureModel | null;
  limit: SpeedLimit;
  bytesPerToken: number;
  flopsPerToken: number;
  measurements: number;
  steps: readonly CalculationStep[];
}

/** What a set of devices costs; null where a price is not known. */
export interface Prices {
  usdPerHour: number | null;
  usdToBuy: number | null;
  /** The system whose rent it is; null for cards. */
  system: SystemRow | null;
}

/** A cost with what is doubtful about the prices in it. */
export interface CostModel extends CostEstimate {
  warnings: readonly StalePrice[];
}

/** Speed and cost over one version of the catalogue. */
export interface SpeedService {
  /**
   * Null without hardware, for a runtime without figures of speed, and where the bandwidth of a card is not known.
   *
   * @throws BadUserInputError for an argument that makes no sense, at its name
   */
  speed(run: SpeedRun, args: SpeedArguments): SpeedModel | null;
  /** @throws BadUserInputError for an argument that makes no sense, at its name */
  cost(run: SpeedRun, prices: Prices, args: CostArguments, now: Date): CostModel;
  /** Tokens per second of all sequences together at the asked context; null as `speed`. Cheap: no interval. */
  throughput(run: SpeedRun): number | null;
}

/** Rent of one card, US dollars per hour, and the system whose share it is. */
interface Rent {
  usdPerHour: number | null;
  system: SystemRow | null;
}

/** Bounds of arguments, beyond which a number is a slip. */
const MOST_TOKENS = 1e9;
const MOST_GB_PER_SECOND = 1e5;
const HOURS_OF_LONGEST_MONTH = 744;
const MOST_USD_PER_KWH = 100;

/** Builds the service over one version of the catalogue. */
export function createSpeedService(catalogue: Catalogue, evidence: EvidenceService): SpeedService {
  const rents = new Map<string, Rent>();

  /** Rent of one card: by itself, or its share of the cheapest cloud system that has it. */
  function rentOf({ id, usdPerHour }: GpuRow): Rent {
    let rent = rents.get(id);
    if (rent === undefined) {
      rent = { usdPerHour, system: null };
      if (usdPerHour === null) {
        for (const system of systemsOfGpu(catalogue.systems, id)) {
          if (system.archivedAt !== null || system.usdPerHour === null) continue;
          const share = system.usdPerHour / system.gpuCount;
          if (rent.usdPerHour === null || share < rent.usdPerHour) rent = { usdPerHour: share, system };
        }
      }
      rents.set(id, rent);
    }
    return rent;
  }

  function rowOf(runtime: string): RuntimeRow {
    const row = catalogue.runtimes.bySlug.get(runtime);
    if (!row) throw new Error(`the catalogue has no runtime "${runtime}"`);
    return row;
  }

  function estimate({ memory, gpus, runtime }: SpeedRun, args: SpeedArguments): SpeedEstimate | null {
    const { request } = memory;
    const constants = speedConstants(rowOf(runtime));
    if (constants === null) return null;
    return estimateSpeed(request, memory, gpus.map(describeSpeedCard), constants, {
      depthTokens: args.depth ?? request.contextTokens,
      promptTokens: args.promptTokens ?? request.contextTokens,
      hostGbPerSecond: args.hostBandwidth ?? DEFAULT_HOST_GB_PER_SECOND,
    });
  }

  function speed(run: SpeedRun, args: SpeedArguments): SpeedModel | null {
    checkSpeedArguments(args);
    const estimated = estimate(run, args);
    const gpu = slowestOf(run.gpus);
    if (estimated === null || gpu === null) return null;
    const target = { runtime: rowOf(run.runtime), gpu, scheme: run.memory.request.scheme };
    const decoding = evidence.speedIntervalOf("DECODE_SPEED", target, run.except);
    const reading = evidence.speedIntervalOf("PREFILL_SPEED", target, run.except);
    return {
      decode: rate(estimated.decode, decoding),
      throughput: rate(estimated.throughput, decoding),
      prefill: estimated.prefill === null ? null : rate(estimated.prefill, reading),
      timeToFirstToken: estimated.timeToFirstToken === null ? null : duration(estimated.timeToFirstToken, reading),
      limit: estimated.limit,
      bytesPerToken: estimated.bytesPerToken,
      flopsPerToken: estimated.flopsPerToken,
      measurements: decoding.measurements,
      get steps() {
        return estimated.steps;
      },
    };
  }

  return {
    speed,
    cost(run, prices, args, now) {
      checkSpeedArguments(args);
      checkWithin(args.hoursPerMonth, "hoursPerMonth", 0, HOURS_OF_LONGEST_MONTH, "hours");
      checkWithin(args.usdPerKwh, "usdPerKwh", 0, MOST_USD_PER_KWH, "US dollars per kWh");
      const estimated = estimate(run, args);
      const shares = prices.usdPerHour === null ? run.gpus.map(rentOf) : [];
      const cost = estimateCost({
        usdPerHour: prices.usdPerHour ?? sumOrNull(shares.map(({ usdPerHour }) => usdPerHour)),
        usdToBuy: prices.usdToBuy ?? priceOf(run.gpus),
        watts: sumOrNull(run.gpus.map(({ tdpWatts }) => tdpWatts)),
        throughput: estimated?.throughput ?? null,
        prefill: estimated?.prefill ?? null,
        hoursPerMonth: args.hoursPerMonth ?? HOURS_PER_MONTH,
        usdPerKwh: args.usdPerKwh ?? null,
      });
      return {
        ...cost,
        warnings: warnOfStalePrices(
          {
            bought: cost.usdToBuy === null ? [] : run.gpus,
            ...(cost.usdPerHour === null ? {} : rentsUsed(run.gpus, prices, shares)),
          },
          now,
        ),
      };
    },
    throughput: (run) => estimate(run, {})?.throughput ?? null,
  };
}

/** Whose rent a cost was reckoned with: the system's, that of the cards, or for each card its own or a system's share. */
function rentsUsed(gpus: readonly GpuRow[], prices: Prices, shares: readonly Rent[]): UsedPrices {
  if (prices.usdPerHour !== null) return prices.system === null ? { rented: gpus } : { systems: [prices.system] };
  return {
    rented: gpus.filter((_, index) => shares[index]?.system === null),
    systems: shares.flatMap(({ system }) => system ?? []),
  };
}

/** The speed of a set that an estimate fits on. */
export function runOfFit({ memory, gpu }: { memory: MemoryEstimate; gpu: GpuRow }): SpeedRun {
  return {
    memory,
    gpus: new Array<GpuRow>(memory.devices.length).fill(gpu),
    // A runtime's row is called as its kind of request.
    runtime: memory.request.runtime.kind,
  };
}

/** Prices of cards, or of the system they are in. */
export function pricesOf(gpus: readonly GpuRow[], system: SystemRow | null): Prices {
  if (system !== null) return { usdPerHour: system.usdPerHour, usdToBuy: null, system };
  return { usdPerHour: sumOrNull(gpus.map(({ usdPerHour }) => usdPerHour)), usdToBuy: priceOf(gpus), system: null };
}

/** What the cards cost together. */
function priceOf(gpus: readonly GpuRow[]): number | null {
  return sumOrNull(gpus.map(({ streetUsd, msrpUsd }) => streetUsd ?? msrpUsd));
}

/** The sum; null where there is nothing, or one of them is not known. */
function sumOrNull(values: readonly (number | null)[]): number | null {
  let sum = 0;
  for (const value of values) {
    if (value === null) return null;
    sum += value;
  }
  return values.length === 0 ? null : sum;
}

function slowestOf(gpus: readonly GpuRow[]): GpuRow | null {
  return gpus.reduce<GpuRow | null>(
    (least, gpu) =>
      least === null || (gpu.bandwidthGbPerSecond ?? 0) < (least.bandwidthGbPerSecond ?? 0) ? gpu : least,
    null,
  );
}

function rate(value: number, { low, high }: SpeedInterval): SpeedFigureModel {
  return { value, low: value * low, high: value * high };
}

/** A time is short where the rate is high. */
function duration(value: number, { low, high }: SpeedInterval): SpeedFigureModel {
  return { value, low: value / high, high: value / low };
}

function checkSpeedArguments({ depth, promptTokens, hostBandwidth }: SpeedArguments): void {
  checkWithin(depth, "depth", 0, MOST_TOKENS, "tokens");
  checkWithin(promptTokens, "promptTokens", 1, MOST_TOKENS, "tokens");
  checkWithin(hostBandwidth, "hostBandwidth", 1, MOST_GB_PER_SECOND, "GB/s");
}

function checkWithin(value: number | null | undefined, name: string, least: number, most: number, unit: string): void {
  if (value === null || value === undefined || (value >= least && value <= most)) return;
  throw new BadUserInputError(`\`${name}\` is from ${least} to ${most} ${unit}; it was ${value}.`, [name]);
}
