import type { TensorRole } from "../architecture/architecture.js";
import type { Tensor, TensorGroup } from "../tensors/tensor.js";

/**
 * How a quantization format stores weights, as data of the catalogue's QuantFormat rows.
 *
 * - `ggml`: a llama.cpp file type; which tensor gets which type is llama-quantize's rule.
 * - `uniform`: every matrix of the quantized roles is stored the same way, with scales per group;
 *   all other tensors keep `restBits` (GPTQ, AWQ, FP8, NVFP4, MLX ...).
 * - `average`: only an average over all quantized matrices is known (EXL2, EXL3).
 */
export type QuantScheme = GgmlScheme | UniformScheme | AverageScheme;

/** What a scheme of any kind may say of one published checkpoint. */
export interface PublishedSize {
  /** Bytes of all tensors together as published: the format's rule then only shares them out. */
  publishedBytes?: number;
}

export interface GgmlScheme extends PublishedSize {
  kind: "ggml";
  /** llama-quantize's name, e.g. "Q4_K_M". */
  fileType: string;
  /** Made with an importance matrix; matters to Q4_0, Q5_0, IQ3_XXS, IQ4_NL and IQ4_XS. */
  importanceMatrix?: boolean;
  /** Generation of llama-quantize's rule; the current one if absent. They differ for fused QKV matrices. */
  recipe?: "current" | "before-2026-04";
  /** Type of the matrices in the file that was quantized, kept by those never quantized; F16 if absent. */
  sourceType?: "F16" | "BF16" | "F32";
  /** ggml type of the stacked routed experts whatever the file type says (gpt-oss as published: "MXFP4"). */
  expertsType?: string;
  /** ggml type of the output matrix (`--output-tensor-type`). */
  outputType?: string;
  /** ggml type of token and per-layer embeddings (`--token-embedding-type`). */
  embeddingType?: string;
  /** Every matrix in the base type, no recipe (`--pure`). */
  pure?: boolean;
}

/** How the values of a matrix are stored. */
export interface UniformStorage {
  /** Label of the storage, e.g. "int4-g128". */
  type: string;
  /** Bits of one stored weight. */
  weightBits: number;
  /** Scales, zeros and tables beside the weights. */
  scales: ScaleLayout[];
  /**
   * What becomes of a matrix whose input width is not whole groups: the last group is short (`short`, the
   * default) or the matrix is left alone (`leave`, as MLX does).
   */
  oddGroups?: "short" | "leave";
}

export interface UniformScheme extends UniformStorage, PublishedSize {
  kind: "uniform";
  /**
   * Roles whose matrices are quantized; the others keep `restBits`. Matrices of prediction blocks count by what
   * they do (attention, experts ...); vectors, norms, convolutions and integer tables are never quantized.
   */
  quantizedRoles: TensorRole[];
  /** Bits of a weight left alone: 16 in ordinary checkpoints. */
  restBits: number;
  /** Label of the weights left alone; "bf16" if absent. */
  restType?: string;
  /** Other uniform storage for some matrices, in order, first match wins (e.g. FP8 attention beside FP4 experts). */
  overrides?: UniformOverride[];
  /** Modules left alone, as the checkpoint's own configuration lists them; they win over everything above. */
  keptModules?: string[];
}

/** Storage of the matrices of some roles, or of the modules a checkpoint's configuration names. */
export type UniformOverride = UniformStorage & ({ roles: TensorRole[] } | { modules: string[] });

/** One scale (or zero, bias, code table) array. `per` names what shares one entry of `bits` bits. */
export type ScaleLayout =
  /** `groupSize` weights along the input width. */
  | { per: "group"; groupSize: number; bits: number }
  /** `blockSize` consecutive weights of the matrix taken as one long row. */
  | { per: "block"; blockSize: number; bits: number }
  /** A tile of `rows` outputs by `columns` inputs. */
  | { per: "tile"; rows: number; columns: number; bits: number }
  | { per: "output-row"; bits: number }
  | { per: "input-row"; bits: number }
  /** One matrix; each expert of a stack is one. */
  | { per: "tensor"; bits: number };

export interface AverageScheme extends PublishedSize {
  kind: "average";
  /** Label of the storage, e.g. "exl2". */
  type: string;
  /** Average bits per weight of the quantized matrices, scales included. */
  bitsPerWeight: number;
  /** Bits per weight of the output matrix. */
  outputBits: number;
  /** Roles that `bitsPerWeight` is the average of. */
  quantizedRoles: TensorRole[];
  restBits: number;
  /** Label of the weights left alone; "fp16" if absent. */
  restType?: string;
}

/** A tensor with its storage decided. */
export interface StoredTensor {
  tensor: Tensor;
  /** ggml type name, or the format's own label ("int4-g128", "bf16"). */
  type: string;
  bytes: number;
}

/** Tensors that are alike and stored alike: a group, or those of a group that get the same storage. */
export interface StoredGroup extends TensorGroup {
  type: string;
  /** Bytes of each of them. */
  bytes: number;
}
