import type { Tensor } from "../tensors/tensor.js";

/**
 * What a GGUF conversion and llama-quantize leave alone, by tensor name.
 * Sources: llama.cpp, convert_hf_to_gguf.py (`prepare_tensors`) and src/llama-quant.cpp
 * (`tensor_allows_quantization`), 2026.
 */

/** Name parts of matrices that conversions write as F32 whatever the output type. */
const CONVERTED_TO_F32 = [
  "_norm.weight",
  "ffn_gate_inp.weight",
  "ffn_gate_inp_shexp.weight",
  "ssm_conv1d",
  "shortconv.conv.weight",
  "altup_correct_coef",
  "altup_predict_coef",
  "position_embd",
  "token_types",
  "attn_rel_b.weight",
  "time_mix_first.weight",
  "time_mix_w0.weight",
  "time_mix_w1.weight",
  "time_mix_w2.weight",
  "time_mix_decay_w1.weight",
  "time_mix_decay_w2.weight",
  "time_mix_lerp_fused.weight",
];

/**
 * Name parts of matrices that llama-quantize keeps in the type it found them in, in the builds up to July 2026
 * (later ones add MiniMax's small index projections).
 */
const NEVER_QUANTIZED = [
  "_norm.weight",
  "ffn_gate_inp.weight",
  "ffn_gate_tid2eid.weight",
  "altup",
  "laurel",
  "per_layer_model_proj",
  "ssm_conv1d",
  "shortconv.conv.weight",
  "time_mix_first.weight",
  "time_mix_w0.weight",
  "time_mix_w1.weight",
  "time_mix_w2.weight",
  "time_mix_v0.weight",
  "time_mix_v1.weight",
  "time_mix_v2.weight",
  "time_mix_a0.weight",
  "time_mix_a1.weight",
  "time_mix_a2.weight",
  "time_mix_g1.weight",
  "time_mix_g2.weight",
  "time_mix_decay_w1.weight",
  "time_mix_decay_w2.weight",
  "time_mix_lerp_fused.weight",
  "attn_rel_b.weight",
  "position_embd",
  "token_types",
  "sam.pos_embd",
  "sam.neck.",
  "sam.net_",
  ".rel_pos",
  ".patch_embd",
  ".patch_merger",
  "a.rvq.codebook",
  "mm.a.code_embd",
];

/** Dimensions of a tensor, trailing dimensions of size 1 not counted. */
export function dimensionCount(shape: readonly number[]): number {
  return shape.findLastIndex((size) => size > 1) + 1;
}

/** Type in which every conversion leaves a tensor, before any quantization; null where it is the file's own. */
export function fixedSourceType(tensor: Tensor): "F32" | "I32" | null {
  if (tensor.isInteger) {
    return "I32";
  }
  const keepsFullPrecision =
    dimensionCount(tensor.shape) < 2 ||
    !tensor.name.endsWith("weight") ||
    CONVERTED_TO_F32.some((part) => tensor.name.includes(part));
  return keepsFullPrecision ? "F32" : null;
}

/** True for the matrices that llama-quantize gives another type. */
export function allowsQuantization(tensor: Tensor): boolean {
  return (
    !tensor.isInteger &&
    dimensionCount(tensor.shape) >= 2 &&
    tensor.name.endsWith("weight") &&
    !NEVER_QUANTIZED.some((part) => tensor.name.includes(part))
  );
}
