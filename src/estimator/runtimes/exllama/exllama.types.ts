/** ExLlama's switches. */
export interface ExllamaSettings {
  /** Tokens of one prefill chunk. */
  chunkSize?: number;
}

/** Constants of one version, from the catalogue's Runtime row. */
export type ExllamaConstants = Readonly<Record<string, unknown>>;
