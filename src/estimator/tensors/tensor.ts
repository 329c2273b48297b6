import type { PlainTensor, TensorRole } from "../architecture/architecture.js";

/** One tensor of a model as a GGUF file holds it. */
export interface Tensor {
  /** GGUF name, e.g. "blk.3.attn_q.weight". */
  name: string;
  /** `[ne0, ne1, ne2]`, input width first; stacked experts are the third dimension. */
  shape: readonly number[];
  elements: number;
  role: TensorRole;
  /** Layer number, counting prediction blocks after the last layer; null outside the blocks. */
  layer: number | null;
  /** False for constants a converter adds (rope factors). */
  isParameter: boolean;
  /** Stored as int32 whatever the format. */
  isInteger: boolean;
  /** Looked up by token id in host memory (llama.cpp): token and per-layer embeddings. */
  isInputTable: boolean;
  /** What it was listed from: one and the same object for its likes in all layers of a kind. */
  description: PlainTensor;
}
