import type { ActivationConstants, GraphConstants } from "../serving/activation-peak.js";

/** vLLM's switches; what is absent takes the version's default. */
export interface VllmSettings {
  tensorParallel: number;
  pipelineParallel: number;
  /** Experts stay whole and are dealt to the tensor-parallel devices. */
  expertParallel: boolean;
  /** Share of a device's capacity that the engine may fill. */
  gpuMemoryUtilization?: number;
  /** Tokens of one scheduler step. */
  maxNumBatchedTokens?: number;
  /** Sequences of one scheduler step. */
  maxNumSeqs?: number;
  /** No CUDA graphs. */
  enforceEager: boolean;
}

/** Tokens and sequences of one scheduler step unless set. */
export interface BatchDefaults {
  maxNumBatchedTokens: number;
  maxNumSequences: number;
}

/** Constants of one version, from the catalogue's Runtime row; see `readVllmConstants`. */
export interface VllmConstants extends BatchDefaults {
  gpuMemoryUtilization: number;
  /** Tokens of a cache block. */
  blockSizeTokens: number;
  /** Cards with at least this much memory, but for those named so, get larger batches and faster links. */
  largeDevice: BatchDefaults & { fromGib: number; exceptNamed: string[] };
  /** Prompts are cut into steps; else a step holds a whole context. */
  chunkedPrefill: boolean;
  vocabularyPadding: number;
  /** Width and input width of experts in microscaling formats are whole multiples of these. */
  microscalingPadding: { width: number; inputWidth: number };
  /** Taken by the driver and by communicators before the engine takes its first reading: outside its budget. */
  contextGib: { oneGpu: number; severalGpus: number };
  /** Growth outside of PyTorch's pools during the profiling run: inside the budget. */
  forwardNonTorchGib: { oneGpu: number; tensorParallel: number; tensorParallelSmall: number; pipelineOnly: number };
  activation: ActivationConstants;
  cudaGraphs: GraphConstants & { largestBatch: number; insideBudget: boolean };
  /** "GPU KV cache size" is blocks over groups, or the tokens of all sequences that fit at full context. */
  printedTokens: "blocks" | "concurrency";
  slidingWindowGroups: boolean;
  groupStretch: number;
  recurrentBlocksPerSequence: number;
  recurrentStateBytes: number;
}
