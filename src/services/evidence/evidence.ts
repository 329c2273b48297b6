import type { Catalogue } from "../../data/catalogue.js";
import type { GpuRow, MeasurementRow, RuntimeRow } from "../../data/rows.js";
import { estimate as estimateMemory } from "../../estimator/estimate.js";
import type { Device, EstimateRequest, MemoryEstimate } from "../../estimator/estimate.types.js";
import { EstimateError } from "../../estimator/estimate-error.js";
import { QuantizationError } from "../../estimator/quantization/ggml-types.js";
import type { QuantScheme } from "../../estimator/quantization/scheme.js";
import { findRow, measurementsOfRuntime, requireRow } from "../catalogue/relations.js";
import { classifyAttention } from "../catalogue/rules/model-columns.js";
import { describeDevice } from "../estimation/devices.js";
import { compareSpeed } from "./compare-speed.js";
import { readLlamaCpp } from "./read-llama-cpp.js";
import { readLocal } from "./read-local.js";
import { readServing } from "./read-serving.js";
import { type SpeedInterval, type SpeedTarget, speedInterval } from "./speed-interval.js";
import { errorStatistics, quantile, wideningOf } from "./statistics.js";
import type { Comparison, MeasuredRun, Reading, SpeedComponent, Unreadable } from "./types.js";

/** A measurement beside the estimate of the same run. */
export interface Evidence {
  measurement: MeasurementRow;
  runtime: RuntimeRow;
  /** Kind of attention of the model; null where the model is not known. */
  attention: AttentionKind | null;
  /** The card it was run on; null where the source does not say. */
  gpu: GpuRow | null;
  /** What was run, and its estimate; null where it could not be estimated. */
  run: { request: EstimateRequest; estimate: MemoryEstimate } | null;
  comparisons: readonly Comparison[];
  /** Why there is nothing to compare; null where there is. */
  reason: string | null;
}

export type AttentionKind = ReturnType<typeof classifyAttention>;

/** The interval that evidence supports around a total, bytes, and what it rests on. */
export interface Interval {
  measurements: number;
  medianError: number | null;
  p95Error: number | null;
  low: number;
  high: number;
}

/** Measurements of one catalogue version, compared with the estimator on first use and kept. */
export interface EvidenceService {
  of(measurement: MeasurementRow): Evidence;
  /** Every measurement of memory or speed that matches. */
  all(matches?: (measurement: MeasurementRow) => boolean): readonly Evidence[];
  /**
   * The interval around a total, from the nearest evidence there is: the same runtime and kind of attention, else the
   * same runtime. A measurement named by `except` does not vouch for itself.
   */
  intervalOf(total: number, runtime: RuntimeRow, attention: AttentionKind, except?: MeasurementRow): Interval;
  /** The factors around a rate, from the nearest evidence of the component; see `speedInterval`. */
  speedIntervalOf(component: SpeedComponent, target: SpeedTarget, except?: MeasurementRow): SpeedInterval;
}

type Reader = (run: MeasuredRun, catalogue: Catalogue) => Reading | Unreadable;

/** How the logs of each engine are read; engines without an entry are not estimated. */
const READERS: Readonly<Record<string, Reader>> = {
  "llama-cpp": readLlamaCpp,
  "ik-llama-cpp": readLlamaCpp,
  ollama: readLlamaCpp,
  vllm: readServing,
  sglang: readServing,
  "tensorrt-llm": readServing,
  transformers: readLocal,
  mlx: readLocal,
  exllama: readLocal,
};

/** Fewer measurements than this say nothing of a kind of their own. */
const FEWEST_OF_A_KIND = 10;

/** Shares of the errors that an interval leaves out on either side. */
const LOWEST_SHARE = 0.025;
const HIGHEST_SHARE = 0.975;

/** However far estimates were below the truth, the truth is not taken for more than ten times an estimate. */
const LEAST_DIVISOR = 0.1;

/** A card that a source does not name. */
const UNKNOWN_DEVICE: Device = { name: "unknown", capacityBytes: null };

const NO_MODEL = "The model is not in the catalogue.";

/** Builds the service over one version of the catalogue. */
export function createEvidenceService(catalogue: Catalogue): EvidenceService {
  const known = new Map<string, Evidence>();

  function of(measurement: MeasurementRow): Evidence {
    let evidence = known.get(measurement.id);
    if (evidence === undefined) {
      evidence = compare(measurement, catalogue);
      known.set(measurement.id, evidence);
    }
    return evidence;
  }

  function errorsNear(runtime: RuntimeRow, attention: AttentionKind, except: MeasurementRow | undefined): number[] {
    const ofRuntime = measurementsOfRuntime(catalogue.measurements, runtime.id)
      .filter((measurement) => isOfMemory(measurement) && measurement.id !== except?.id)
      .map(of);
    const ofKind = totals(ofRuntime.filter((evidence) => evidence.attention === attention));
    return ofKind.length >= FEWEST_OF_A_KIND ? ofKind : totals(ofRuntime);
  }

  let ofSpeed: readonly Evidence[] | undefined;
  const intervals = new WeakMap<QuantScheme, Map<string, SpeedInterval>>();

  return {
    of,
    all: (matches = () => true) =>
      catalogue.measurements.rows.filter((measurement) => isCompared(measurement) && matches(measurement)).map(of),
    speedIntervalOf(component, target, except) {
      ofSpeed ??= catalogue.measurements.rows.filter(isOfSpeed).map(of);
      let known = intervals.get(target.scheme);
      if (known === undefined) {
        known = new Map();
        intervals.set(target.scheme, known);
      }
      const key = `${component} ${target.runtime.id} ${target.gpu.id} ${except?.id ?? ""}`;
      let interval = known.get(key);
      if (interval === undefined) {
        const others = ofSpeed.filter(({ measurement }) => measurement.id !== except?.id);
        interval = speedInterval(others, target, component);
        known.set(key, interval);
      }
      return interval;
    },
    intervalOf(total, runtime, attention, except) {
      const errors = errorsNear(runtime, attention, except).sort((left, right) => left - right);
      if (errors.length === 0) return { measurements: 0, medianError: null, p95Error: null, low: total, high: total };
      const { count, median, p95 } = errorStatistics(errors);
      const widening = wideningOf(count);
      return {
        measurements: count,
        medianError: median,
        p95Error: p95,
        // An estimate that is too high by an error belongs to a truth lower by as much, and the other way round.
        low: total / (1 + widening * Math.max(0, quantile(errors, HIGHEST_SHARE))),
        high: total / Math.max(LEAST_DIVISOR, 1 + widening * Math.min(0, quantile(errors, LOWEST_SHARE))),
      };
    },
  };
}

function isOfMemory({ kind, archivedAt }: MeasurementRow): boolean {
  return archivedAt === null && (kind === "LLAMA_CPP_MEMORY" || kind === "SERVING_MEMORY");
}

function isOfSpeed({ kind, archivedAt }: MeasurementRow): boolean {
  return archivedAt === null && kind === "SPEED";
}

function isCompared(measurement: MeasurementRow): boolean {
  return isOfMemory(measurement) || isOfSpeed(measurement);
}

function totals(evidence: readonly Evidence[]): number[] {
  return evidence.flatMap(({ comparisons }) =>
    comparisons.filter(({ component }) => component === "TOTAL").map(({ error }) => error),
  );
}

function compare(measurement: MeasurementRow, catalogue: Catalogue): Evidence {
  const runtime = requireRow(catalogue.runtimes, measurement.runtimeId);
  const model = findRow(catalogue.models, measurement.modelId);
  const attention = model === null ? null : classifyAttention(model.architecture);
  const gpu = findRow(catalogue.gpus, measurement.gpuId);
  const nothing = (reason: string): Evidence => {
    return { measurement, runtime, attention, gpu, run: null, comparisons: [], reason };
  };
  const read = READERS[runtime.slug];
  if (measurement.kind === "FINE_TUNING_MEMORY") return nothing("Only memory and speed of inference are estimated.");
  if (read === undefined) return nothing(`${runtime.name} is not estimated.`);
  if (model === null) return nothing(NO_MODEL);
  const measuredRun: MeasuredRun = {
    measurement,
    model,
    runtime,
    quantFormat: findRow(catalogue.quantFormats, measurement.quantFormatId),
    device: gpu === null ? UNKNOWN_DEVICE : describeDevice(gpu, runtime),
  };
  try {
    if (measurement.kind === "SPEED") {
      const compared = compareSpeed(measuredRun, gpu, catalogue);
      if ("reason" in compared) return nothing(compared.reason);
      const { comparisons, ...run } = compared;
      return { measurement, runtime, attention, gpu, run, comparisons, reason: reasonOf(comparisons) };
    }
    const reading = read(measuredRun, catalogue);
    if ("reason" in reading) return nothing(reading.reason);
    const estimate = estimateMemory(reading.request);
    const comparisons = reading.figures.flatMap(({ component, measured, estimated }): Comparison[] => {
      const figure = estimated(estimate);
      return figure === null ? [] : [{ component, measured, estimated: figure, error: figure / measured - 1 }];
    });
    const run = { request: reading.request, estimate };
    return { measurement, runtime, attention, gpu, run, comparisons, reason: reasonOf(comparisons) };
  } catch (error) {
    if (error instanceof EstimateError || error instanceof QuantizationError) return nothing(error.message);
    throw error;
  }
}

function reasonOf(comparisons: readonly Comparison[]): string | null {
  return comparisons.length > 0 ? null : "It tells no figure that an estimate has.";
}
