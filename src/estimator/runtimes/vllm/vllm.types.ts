import type { ActivationConstants, GraphConstants } from "../serving/activation-peak.js";
import type { ExpertPadding } from "../serving/sharded-weights.js";

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
  /** Kernel for experts in microscaling formats (`--moe-backend`); what suits the card if absent. */
  expertKernel?: string;
}

/** A kernel for experts and the multiples it asks for; see `expertKernels`. */
export interface ExpertKernel extends ExpertPadding {
  name: string;
  fromCapability: number;
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
  /** Kernels for experts in microscaling formats, by the compute capability from which on cards run them. */
  expertKernels: ExpertKernel[];
  /** The one taken for cards of unknown capability. */
  defaultExpertKernel: string;
  /** Towers that every device holds whole, by the checkpoint's model type. */
  wholeEncoders: string[];
  /** The same, of checkpoints that are not quantized. */
  wholePlainEncoders: string[];
  /** Bytes of a cosine or sine in rotary tables, and how much longer tables with sections are. */
  rotaryTables: { valueBytes: number; sectionedStretch: number };
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
  /** Bytes of a value of recurrent states whose precision the model's config does not state. */
  recurrentStateBytes: number;
}
