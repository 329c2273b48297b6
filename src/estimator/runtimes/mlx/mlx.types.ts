/** mlx-lm's switches. */
export interface MlxSettings {
  /** Tokens of one prefill step (`--prefill-step-size`). */
  prefillStepSize?: number;
}

/** Constants of one version, from the catalogue's Runtime row. */
export type MlxConstants = Readonly<Record<string, unknown>>;
