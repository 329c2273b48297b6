import { type Engine, readConstants } from "../version-constants.js";
import type { MlxConstants } from "./mlx.types.js";

const MLX: Engine = { name: "MLX", packages: ["mlx-lm"] };

/**
 * The constants that held in a version of MLX LM, from the `constants` of the catalogue's Runtime row; the row's own
 * when no version is asked.
 *
 * @throws EstimateError at `["runtime", "version"]` with the known versions for an unknown one, and at `["runtime"]`
 * for a row that lacks a constant.
 */
export function readMlxConstants(constants: unknown, version?: string): MlxConstants {
  const row = readConstants(MLX, constants, version);
  return {
    prefillStepTokens: row.count("prefillStepTokens"),
    cacheStepTokens: row.count("cacheStepTokens"),
    activeCommandBuffers: row.count("activeCommandBuffers"),
    commandBufferMib: row.number("commandBufferMib"),
    fusedHeadDims: row.counts("fusedHeadDims"),
    latentCache: row.choice("latentCache", ["LATENT", "EXPANDED"]),
  };
}
