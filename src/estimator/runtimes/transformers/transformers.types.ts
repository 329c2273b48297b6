/** How a Transformers program runs the model. */
export interface TransformersSettings {
  /** Tokens of one forward pass; the whole prompt, taken as the whole context, if absent. */
  prefillTokens?: number;
  /** Attention kernel: "eager" stores the scores. */
  attention: "EAGER" | "SDPA" | "FLASH_ATTENTION_2";
}

/** Constants of one version, from the catalogue's Runtime row. */
export interface TransformersConstants {
  /** MiB per device that PyTorch's libraries take through its allocator, whatever the model (cuBLAS workspace). */
  workspaceMib: number;
  /** Positions that logits are computed for: all of the prompt, or the one that is sampled from. */
  logits: "ALL" | "LAST";
  /**
   * What is held beside the cache while a token is appended: a copy of one layer's keys, or of the whole cache where
   * the old cache lives until the new one is complete.
   */
  cacheCopy: "LAYER" | "WHOLE";
  /** Entries kept of layers with a window: as many as the window, or all. */
  windowedLayers: "WINDOW" | "ALL";
  /** What is kept of latent attention. */
  latentCache: "LATENT" | "EXPANDED";
  /** How tokens reach their experts: one expert after another, or all at once on copies of their rows. */
  experts: "LOOP" | "GROUPED";
  /** Storage types whose checkpoints keep an output matrix of their own even where it is tied to the embedding. */
  untiedStorage: readonly string[];
}
