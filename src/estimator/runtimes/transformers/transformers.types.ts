/** How a Transformers program runs the model. */
export interface TransformersSettings {
  /** Tokens of one forward pass; the whole prompt if absent. */
  prefillTokens?: number;
  /** Attention kernel: "eager" stores the scores. */
  attention: "EAGER" | "SDPA" | "FLASH_ATTENTION_2";
}

/** Constants of one version, from the catalogue's Runtime row. */
export type TransformersConstants = Readonly<Record<string, unknown>>;
