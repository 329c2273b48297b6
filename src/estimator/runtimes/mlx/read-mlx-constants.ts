import { constantsOfVersion, type RawConstants, readAmount, readAmounts, readChoice } from "../read-constants.js";
import type { MlxConstants } from "./mlx.types.js";

/**
 * Constants of a version of MLX LM from the catalogue's row; of the newest where no version is given.
 *
 * @throws EstimateError that names a constant that is missing or makes no sense.
 */
export function readMlxConstants(raw: RawConstants, version?: string): MlxConstants {
  const constants = constantsOfVersion(raw, version);
  return {
    prefillStepTokens: readAmount(constants, "prefillStepTokens"),
    cacheStepTokens: readAmount(constants, "cacheStepTokens"),
    activeCommandBuffers: readAmount(constants, "activeCommandBuffers"),
    commandBufferMib: readAmount(constants, "commandBufferMib"),
    fusedHeadDims: readAmounts(constants, "fusedHeadDims"),
    latentCache: readChoice(constants, "latentCache", ["LATENT", "EXPANDED"]),
  };
}
