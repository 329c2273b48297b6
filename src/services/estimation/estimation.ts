import type { Catalogue } from "../../data/catalogue.js";
import type { EstimationService } from "./types.js";

/** Builds the estimation service over one version of the catalogue. */
export function createEstimationService(_catalogue: Catalogue): EstimationService {
  const notImplemented = (): never => {
    throw new Error("not implemented");
  };
  return { estimate: notImplemented, estimateScenario: notImplemented, findHardware: notImplemented };
}
