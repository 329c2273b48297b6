import type { Architecture } from "../estimator/architecture/architecture.js";
import type { QuantScheme } from "../estimator/quantization/scheme.js";
import type * as Stored from "./prisma/client.js";

/** Where a fact comes from. */
export interface Source {
  title: string;
  url?: string;
}

/**
 * A row as the rest of the program sees it: whole numbers as numbers (all are below 2^53),
 * JSON columns with their types, everything frozen in a snapshot of one catalogue version.
 */
type Row<Columns, Typed> = Readonly<
  {
    [Key in keyof Omit<Columns, keyof Typed | "sources">]: Columns[Key] extends bigint
      ? number
      : Columns[Key] extends bigint | null
        ? number | null
        : Columns[Key];
  } & Typed & { sources: readonly Source[] }
>;

type NoTyped = Record<never, never>;

export type ModelRow = Row<Stored.Model, { architecture: Architecture }>;
export type ModelFileRow = Row<Stored.ModelFile, NoTyped>;
export type QuantFormatRow = Row<Stored.QuantFormat, { scheme: QuantScheme }>;
export type KvCacheTypeRow = Row<Stored.KvCacheType, NoTyped>;
export type GpuRow = Row<Stored.Gpu, NoTyped>;
export type SystemRow = Row<Stored.System, NoTyped>;
export type RuntimeRow = Row<Stored.Runtime, { constants: Readonly<Record<string, unknown>> }>;
export type ScenarioRow = Row<
  Stored.Scenario,
  { settings: Readonly<Record<string, unknown>>; faq: readonly { question: string; answer: string }[] }
>;
export type MeasurementRow = Row<
  Stored.Measurement,
  { settings: Readonly<Record<string, unknown>>; measured: Readonly<Record<string, unknown>> }
>;
