import type { EntityName } from "../catalogue/rules/entities.js";

/** The file of each entity in a folder of the catalogue, a JSON array of rows. */
export const SECTION_FILES: Readonly<Record<EntityName, string>> = {
  models: "models.json",
  modelFiles: "model-files.json",
  quantFormats: "quant-formats.json",
  kvCacheTypes: "kv-cache-types.json",
  gpus: "gpus.json",
  systems: "systems.json",
  runtimes: "runtimes.json",
  scenarios: "scenarios.json",
  measurements: "measurements.json",
};

/** What is in a folder or a document: the rows of each entity as they were given. An entity that is left out is absent. */
export type Sections = ReadonlyMap<EntityName, readonly unknown[]>;
