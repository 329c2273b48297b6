/** SGLang's switches; what is absent takes the version's default. */
export interface SglangSettings {
  tensorParallel: number;
  pipelineParallel: number;
  expertParallel: boolean;
  /** Attention runs data-parallel over the tensor-parallel devices (`--enable-dp-attention`). */
  dataParallelAttention: boolean;
  /** Share of a device's memory for weights and cache; computed from the rest if absent. */
  memFractionStatic?: number;
  chunkedPrefillSize?: number;
  cudaGraphMaxBatch?: number;
}

/** Constants of one version, from the catalogue's Runtime row. */
export type SglangConstants = Readonly<Record<string, unknown>>;
