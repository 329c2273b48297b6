/** mlx-lm's switches. */
export interface MlxSettings {
  /** Tokens of one prefill step (`--prefill-step-size`). */
  prefillStepSize?: number;
}

/** Constants of one version, from the catalogue's Runtime row. */
export interface MlxConstants {
  /** Tokens of one prefill step unless asked otherwise. */
  prefillStepTokens: number;
  /** Entries by which a cache grows. */
  cacheStepTokens: number;
  /** Command buffers that may be under way before the next operation waits. */
  activeCommandBuffers: number;
  /** MiB of intermediate results that one command buffer keeps alive. */
  commandBufferMib: number;
  /** Widths of a head that the fused attention kernel takes; with others the scores are stored. */
  fusedHeadDims: readonly number[];
  /** What is kept of latent attention. */
  latentCache: "LATENT" | "EXPANDED";
}
