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

/** Constants of one version, from the catalogue's Runtime row. */
export type VllmConstants = Readonly<Record<string, unknown>>;
