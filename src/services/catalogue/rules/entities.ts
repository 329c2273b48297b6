import type { z } from "zod";
import type { Catalogue } from "../../../data/catalogue.js";
import { gpuInput } from "./gpu.js";
import { kvCacheTypeInput } from "./kv-cache-type.js";
import { measurementInput } from "./measurement.js";
import { type ModelInput, modelInput } from "./model.js";
import { deriveModelColumns } from "./model-columns.js";
import { modelFileInput } from "./model-file.js";
import { quantFormatInput } from "./quant-format.js";
import { runtimeInput } from "./runtime.js";
import { scenarioInput } from "./scenario.js";
import { systemInput } from "./system.js";

/** The catalogue's entities by the names of their tables in a snapshot. */
export type EntityName = Exclude<keyof Catalogue, "version">;

/** A field that holds the slug of a row of another entity, or a list of such slugs. */
export interface Reference {
  field: string;
  entity: EntityName;
  /** The column that takes the row's id; a field without one keeps its slugs. */
  column?: string;
}

/** Everything that is particular to one entity when rows are checked and stored. */
export interface EntityRules {
  entity: EntityName;
  /** Table of the database. */
  table: string;
  /** For people: "GPU". */
  label: string;
  input: z.ZodType<{ slug: string } & Readonly<Record<string, unknown>>>;
  references: readonly Reference[];
  /** Columns computed from the others. */
  derive?: (input: Readonly<Record<string, unknown>>) => object;
}

/** All entities, each after those it refers to. */
export const ENTITIES: readonly EntityRules[] = [
  { entity: "runtimes", table: "Runtime", label: "runtime", input: runtimeInput, references: [] },
  {
    entity: "quantFormats",
    table: "QuantFormat",
    label: "quantization format",
    input: quantFormatInput,
    references: [{ field: "runtimes", entity: "runtimes" }],
  },
  {
    entity: "kvCacheTypes",
    table: "KvCacheType",
    label: "KV-cache type",
    input: kvCacheTypeInput,
    references: [{ field: "runtimes", entity: "runtimes" }],
  },
  { entity: "gpus", table: "Gpu", label: "GPU", input: gpuInput, references: [] },
  {
    entity: "systems",
    table: "System",
    label: "system",
    input: systemInput,
    references: [{ field: "gpu", entity: "gpus", column: "gpuId" }],
  },
  {
    entity: "models",
    table: "Model",
    label: "model",
    input: modelInput,
    references: [],
    derive: (input) => deriveModelColumns((input as ModelInput).architecture),
  },
  {
    entity: "modelFiles",
    table: "ModelFile",
    label: "model file",
    input: modelFileInput,
    references: [
      { field: "model", entity: "models", column: "modelId" },
      { field: "quantFormat", entity: "quantFormats", column: "quantFormatId" },
    ],
  },
  {
    entity: "scenarios",
    table: "Scenario",
    label: "scenario",
    input: scenarioInput,
    references: [
      { field: "model", entity: "models", column: "modelId" },
      { field: "quantFormat", entity: "quantFormats", column: "quantFormatId" },
    ],
  },
  {
    entity: "measurements",
    table: "Measurement",
    label: "measurement",
    input: measurementInput,
    references: [
      { field: "runtime", entity: "runtimes", column: "runtimeId" },
      { field: "model", entity: "models", column: "modelId" },
      { field: "quantFormat", entity: "quantFormats", column: "quantFormatId" },
      { field: "gpu", entity: "gpus", column: "gpuId" },
    ],
  },
];

/** The rule of each field that people give. */
export function fieldsOf({ input }: EntityRules): Readonly<Record<string, z.ZodType>> {
  return (input as unknown as z.ZodObject).shape as Readonly<Record<string, z.ZodType>>;
}
