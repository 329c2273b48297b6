/** ExLlama's switches. */
export interface ExllamaSettings {
  /** Tokens of one prefill chunk. */
  chunkSize?: number;
}

/** How one generation of the engine works with packed matrices. */
export interface ExllamaGeneration {
  /** Most values of a matrix that are unpacked at once. */
  unpackedValues: number;
  /** The output matrix is unpacked as well; it is multiplied packed where false. */
  unpacksOutput: boolean;
  /** MiB of scores that attention may hold at once, beside the fused kernel. */
  attentionMib: number;
  /** MiB per device that the process holds whatever the model: CUDA context, and blocks PyTorch keeps for reuse. */
  processMib: number;
}

/** Constants of one version, from the catalogue's Runtime row. */
export interface ExllamaConstants {
  /** The cache's length is a multiple of this. */
  cacheTokensMultiple: number;
  /** Tokens of one prefill chunk unless asked otherwise. */
  chunkTokens: number;
  /** ExLlamaV2, for EXL2 and GPTQ. */
  exl2: ExllamaGeneration;
  /** ExLlamaV3, for EXL3 and 16 bits. */
  exl3: ExllamaGeneration;
}
