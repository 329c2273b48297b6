import type { TensorRole } from "../architecture/architecture.js";
import type { Tensor } from "../tensors/tensor.js";
import { dimensionCount } from "./ggml-source-types.js";

/** Roles of prediction-block tensors by what they do, first match wins; the rest keep the block's own role. */
const PREDICTION_ROLES: readonly { part: string; role: TensorRole }[] = [
  { part: "_exps.", role: "EXPERTS" },
  { part: "_shexp.", role: "SHARED_EXPERTS" },
  { part: ".ffn_gate_inp", role: "ROUTER" },
  { part: ".ffn_", role: "FEED_FORWARD" },
  { part: ".indexer", role: "INDEXER" },
  { part: ".attn_", role: "ATTENTION" },
];

/** Name parts of matrices that are convolution kernels, not linear layers. */
const CONVOLUTIONS = ["ssm_conv1d", "shortconv.conv."];

/**
 * Role by which formats other than GGUF decide about a matrix, or null when the tensor is no linear layer or
 * embedding: vectors, norms, biases, convolutions and integer tables.
 */
export function matrixRole(tensor: Tensor): TensorRole | null {
  const isMatrix =
    !tensor.isInteger &&
    dimensionCount(tensor.shape) >= 2 &&
    tensor.name.endsWith(".weight") &&
    !tensor.name.endsWith("_norm.weight") &&
    !CONVOLUTIONS.some((part) => tensor.name.includes(part));
  if (!isMatrix) {
    return null;
  }
  if (tensor.role !== "NEXT_TOKEN_PREDICTION") {
    return tensor.role;
  }
  return PREDICTION_ROLES.find(({ part }) => tensor.name.includes(part))?.role ?? tensor.role;
}
