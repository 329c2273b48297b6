import { constantsOfVersion, type RawConstants, readAmount, readChoice, readWords } from "../read-constants.js";
import type { TransformersConstants } from "./transformers.types.js";

/**
 * Constants of a version of Transformers from the catalogue's row; of the newest where no version is given.
 *
 * @throws EstimateError that names a constant that is missing or makes no sense.
 */
export function readTransformersConstants(raw: RawConstants, version?: string): TransformersConstants {
  const constants = constantsOfVersion(raw, version);
  return {
    workspaceMib: readAmount(constants, "workspaceMib"),
    logits: readChoice(constants, "logits", ["ALL", "LAST"]),
    cacheCopy: readChoice(constants, "cacheCopy", ["LAYER", "WHOLE"]),
    windowedLayers: readChoice(constants, "windowedLayers", ["WINDOW", "ALL"]),
    latentCache: readChoice(constants, "latentCache", ["LATENT", "EXPANDED"]),
    experts: readChoice(constants, "experts", ["LOOP", "GROUPED"]),
    untiedStorage: readWords(constants, "untiedStorage"),
  };
}
