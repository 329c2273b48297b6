import type { TensorRole } from "../architecture/architecture.js";
import type { Tensor } from "../tensors/tensor.js";

/**
 * How a quantization format stores weights, as data of the catalogue's QuantFormat rows.
 *
 * - `ggml`: a llama.cpp file type; which tensor gets which type is llama-quantize's rule.
 * - `uniform`: every matrix of the quantized roles is stored the same way, with scales per group;
 *   all other tensors keep `restBits` (GPTQ, AWQ, FP8, NVFP4, MLX ...).
 * - `average`: only an average over all quantized matrices is known (EXL2, EXL3).
 */
export type QuantScheme = GgmlScheme | UniformScheme | AverageScheme;

export interface GgmlScheme {
  kind: "ggml";
  /** llama-quantize's name, e.g. "Q4_K_M". */
  fileType: string;
  /** Made with an importance matrix; matters to Q4_0, Q5_0, IQ3_XXS, IQ4_NL and IQ4_XS. */
  importanceMatrix?: boolean;
}

export interface UniformScheme {
  kind: "uniform";
  /** Bits of one stored weight. */
  weightBits: number;
  /** Scales and zeros, each shared by `groupSize` weights along the input width (or a tile of both widths). */
  scales: ScaleLayout[];
  /** Roles whose matrices are quantized; the others keep `restBits`. */
  quantizedRoles: TensorRole[];
  /** Bits of a weight left alone: 16 in ordinary checkpoints. */
  restBits: number;
  /** Other uniform storage for some roles, in order, first match wins (e.g. FP8 attention beside FP4 experts). */
  overrides?: { roles: TensorRole[]; weightBits: number; scales: ScaleLayout[] }[];
}

/** One scale (or zero, or bias) array. `per` names what shares one entry. */
export type ScaleLayout =
  | { per: "group"; groupSize: number; bits: number }
  | { per: "tile"; rows: number; columns: number; bits: number }
  | { per: "output-row"; bits: number }
  | { per: "input-row"; bits: number }
  | { per: "tensor"; bits: number };

export interface AverageScheme {
  kind: "average";
  /** Average bits per weight of the quantized matrices. */
  bitsPerWeight: number;
  /** Bits per weight of the output matrix. */
  outputBits: number;
  restBits: number;
}

/** A tensor with its storage decided. */
export interface StoredTensor {
  tensor: Tensor;
  /** ggml type name, or the format's own label ("int4-g128", "bf16"). */
  type: string;
  bytes: number;
}
