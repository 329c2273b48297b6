import { type Engine, readConstants } from "../version-constants.js";
import type { TransformersConstants } from "./transformers.types.js";

const TRANSFORMERS: Engine = { name: "Transformers", packages: ["transformers"] };

/**
 * The constants that held in a version of Transformers, from the `constants` of the catalogue's Runtime row; the row's
 * own when no version is asked.
 *
 * @throws EstimateError at `["runtime", "version"]` with the known versions for an unknown one, and at `["runtime"]`
 * for a row that lacks a constant.
 */
export function readTransformersConstants(constants: unknown, version?: string): TransformersConstants {
  const row = readConstants(TRANSFORMERS, constants, version);
  return {
    workspaceMib: row.number("workspaceMib"),
    logits: row.choice("logits", ["ALL", "LAST"]),
    cacheCopy: row.choice("cacheCopy", ["LAYER", "WHOLE"]),
    windowedLayers: row.choice("windowedLayers", ["WINDOW", "ALL"]),
    latentCache: row.choice("latentCache", ["LATENT", "EXPANDED"]),
    experts: row.choice("experts", ["LOOP", "GROUPED"]),
    untiedStorage: row.texts("untiedStorage"),
  };
}
