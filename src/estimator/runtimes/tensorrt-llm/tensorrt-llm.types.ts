import type { ActivationConstants, GraphConstants } from "../serving/activation-peak.js";

/** TensorRT-LLM's switches; what is absent takes the version's default. */
export interface TensorrtLlmSettings {
  tensorParallel: number;
  pipelineParallel: number;
  expertParallel: boolean;
  /** Share of the memory free after loading that becomes cache. */
  freeGpuMemoryFraction?: number;
  maxNumTokens?: number;
  maxBatchSize?: number;
}

/** Constants of one version, from the catalogue's Runtime row; see `readTensorrtLlmConstants`. */
export interface TensorrtLlmConstants {
  freeGpuMemoryFraction: number;
  /** Tokens of a cache block. */
  blockSizeTokens: number;
  maxNumTokens: number;
  maxBatchSize: number;
  /** The vocabulary is padded to a multiple of this, and of the devices. */
  vocabularyPadding: number;
  contextGib: number;
  /** Communicators of a group of devices. */
  communicationGib: number;
  activation: ActivationConstants;
  cudaGraphs: GraphConstants & { largestBatch: number };
  /** Window layers give back blocks outside their window; else they keep the whole context. */
  slidingWindowPools: boolean;
  recurrentStateBytes: number;
}
