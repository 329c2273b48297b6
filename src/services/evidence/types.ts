import type { MeasurementRow, ModelRow, QuantFormatRow, RuntimeRow } from "../../data/rows.js";
import type { Device, EstimateRequest, MemoryEstimate } from "../../estimator/estimate.types.js";

/** Rates that measurements tell of, tokens per second: REQUEST_SPEED of a whole request, prompt and answer. */
export const SPEED_COMPONENTS = ["DECODE_SPEED", "PREFILL_SPEED", "REQUEST_SPEED"] as const;
export type SpeedComponent = (typeof SPEED_COMPONENTS)[number];

/** Parts of an estimate that measurements tell of. */
export const ACCURACY_COMPONENTS = [
  "WEIGHTS",
  "KV_CACHE",
  "KV_POOL",
  "KV_TOKENS",
  "COMPUTE",
  "TOTAL",
  ...SPEED_COMPONENTS,
] as const;
export type AccuracyComponent = (typeof ACCURACY_COMPONENTS)[number];

/** One figure of a measurement, and where an estimate has the same. Bytes, or tokens for KV_TOKENS. */
export interface MeasuredFigure {
  component: AccuracyComponent;
  measured: number;
  /** Null where the estimate has no such figure. */
  estimated: (estimate: MemoryEstimate) => number | null;
}

/** A measurement understood: what was run, and what was seen. */
export interface Reading {
  request: EstimateRequest;
  figures: readonly MeasuredFigure[];
}

/** Why a measurement cannot be compared, in a sentence. */
export interface Unreadable {
  reason: string;
}

/** The rows that a measurement refers to, found. */
export interface MeasuredRun {
  measurement: MeasurementRow;
  model: ModelRow;
  runtime: RuntimeRow;
  quantFormat: QuantFormatRow | null;
  /** The card as the runtime sees it; one of unknown capacity where the source does not say which it was. */
  device: Device;
}

/** An estimate's figure beside the measured one: bytes, tokens or tokens per second. `error` is relative, estimated / measured - 1. */
export interface Comparison {
  component: AccuracyComponent;
  estimated: number;
  measured: number;
  error: number;
}
