import { readActivationConstants, readGraphConstants } from "../serving/activation-peak.js";
import { type Engine, readConstants } from "../version-constants.js";
import type { TensorrtLlmConstants } from "./tensorrt-llm.types.js";

const TENSORRT_LLM: Engine = { name: "TensorRT-LLM", packages: ["tensorrt-llm"] };

/**
 * The constants that held in a version of TensorRT-LLM, from the `constants` of the catalogue's Runtime row; the row's
 * own when no version is asked.
 *
 * @throws EstimateError at `["runtime", "version"]` with the known versions for an unknown one, and at `["runtime"]`
 * for a row that lacks a constant.
 */
export function readTensorrtLlmConstants(constants: unknown, version?: string): TensorrtLlmConstants {
  const row = readConstants(TENSORRT_LLM, constants, version);
  const graphs = row.object("cudaGraphs");
  return {
    freeGpuMemoryFraction: row.share("freeGpuMemoryFraction"),
    blockSizeTokens: row.count("blockSizeTokens"),
    maxNumTokens: row.count("maxNumTokens"),
    maxBatchSize: row.count("maxBatchSize"),
    vocabularyPadding: row.count("vocabularyPadding"),
    contextGib: row.number("contextGib"),
    communicationGib: row.number("communicationGib"),
    activation: readActivationConstants(row.object("activation")),
    cudaGraphs: { ...readGraphConstants(graphs), largestBatch: graphs.count("largestBatch") },
    slidingWindowPools: row.flag("slidingWindowPools"),
    recurrentStateBytes: row.count("recurrentStateBytes"),
  };
}
