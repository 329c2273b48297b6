/** What the header of a GGUF file says, without its tokenizer. */
export interface GgufHeader {
  /** Keys as in the file, "llama.block_count"; whole numbers as numbers. */
  metadata: Readonly<Record<string, GgufValue>>;
  tensors: readonly GgufTensor[];
}

export type GgufValue = string | number | boolean | readonly GgufValue[];

/** A tensor of a GGUF file. */
export interface GgufTensor {
  name: string;
  /** `[ne0, ne1, ...]`, the input width first. */
  shape: readonly number[];
  /** ggml's name of its type; null for one that is not known here. */
  type: string | null;
}
