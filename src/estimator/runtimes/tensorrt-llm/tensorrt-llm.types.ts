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

/** Constants of one version, from the catalogue's Runtime row. */
export type TensorrtLlmConstants = Readonly<Record<string, unknown>>;
