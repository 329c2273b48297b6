/**
 * Storage of every ggml tensor type: `blockBytes` bytes hold `blockElements` consecutive values of a row.
 * Source: block structs of llama.cpp, ggml/src/ggml-common.h (2026).
 */
export const GGML_TYPES = {
  F32: { blockElements: 1, blockBytes: 4 },
  F16: { blockElements: 1, blockBytes: 2 },
  BF16: { blockElements: 1, blockBytes: 2 },
  F64: { blockElements: 1, blockBytes: 8 },
  I8: { blockElements: 1, blockBytes: 1 },
  I16: { blockElements: 1, blockBytes: 2 },
  I32: { blockElements: 1, blockBytes: 4 },
  I64: { blockElements: 1, blockBytes: 8 },
  Q1_0: { blockElements: 128, blockBytes: 18 },
  Q2_0: { blockElements: 64, blockBytes: 18 },
  Q4_0: { blockElements: 32, blockBytes: 18 },
  Q4_1: { blockElements: 32, blockBytes: 20 },
  Q5_0: { blockElements: 32, blockBytes: 22 },
  Q5_1: { blockElements: 32, blockBytes: 24 },
  Q8_0: { blockElements: 32, blockBytes: 34 },
  Q8_1: { blockElements: 32, blockBytes: 36 },
  Q2_K: { blockElements: 256, blockBytes: 84 },
  Q3_K: { blockElements: 256, blockBytes: 110 },
  Q4_K: { blockElements: 256, blockBytes: 144 },
  Q5_K: { blockElements: 256, blockBytes: 176 },
  Q6_K: { blockElements: 256, blockBytes: 210 },
  Q8_K: { blockElements: 256, blockBytes: 292 },
  IQ1_S: { blockElements: 256, blockBytes: 50 },
  IQ1_M: { blockElements: 256, blockBytes: 56 },
  IQ2_XXS: { blockElements: 256, blockBytes: 66 },
  IQ2_XS: { blockElements: 256, blockBytes: 74 },
  IQ2_S: { blockElements: 256, blockBytes: 82 },
  IQ3_XXS: { blockElements: 256, blockBytes: 98 },
  IQ3_S: { blockElements: 256, blockBytes: 110 },
  IQ4_NL: { blockElements: 32, blockBytes: 18 },
  IQ4_XS: { blockElements: 256, blockBytes: 136 },
  TQ1_0: { blockElements: 256, blockBytes: 54 },
  TQ2_0: { blockElements: 256, blockBytes: 66 },
  MXFP4: { blockElements: 32, blockBytes: 17 },
  NVFP4: { blockElements: 64, blockBytes: 36 },
} as const satisfies Record<string, GgmlTypeLayout>;

export interface GgmlTypeLayout {
  blockElements: number;
  blockBytes: number;
}

export type GgmlTypeName = keyof typeof GGML_TYPES;

/** A tensor type or shape that cannot be stored as asked; the message says which and why. */
export class QuantizationError extends Error {
  override readonly name = "QuantizationError";
}

export function isGgmlType(name: string): name is GgmlTypeName {
  return Object.hasOwn(GGML_TYPES, name);
}

/** Looks a type up by ggml's name. Throws {@link QuantizationError} when there is no such type. */
export function ggmlTypeByName(name: string): GgmlTypeName {
  if (!isGgmlType(name)) {
    throw new QuantizationError(`"${name}" is not a ggml tensor type`);
  }
  return name;
}

/** True when a row of `rowElements` values is a whole number of the type's blocks. */
export function fitsWholeBlocks(type: GgmlTypeName, rowElements: number): boolean {
  return rowElements % GGML_TYPES[type].blockElements === 0;
}

/**
 * Bytes of a tensor of shape `[ne0, ne1, ...]` in one type: row bytes times rows.
 * Throws {@link QuantizationError} when a dimension is not a positive whole number or a row is not whole blocks.
 */
export function tensorBytes(type: GgmlTypeName, shape: readonly number[]): number {
  const [rowElements] = shape;
  if (rowElements === undefined) {
    throw new QuantizationError("[] is not a tensor shape");
  }
  let rows = 1;
  for (let dimension = 0; dimension < shape.length; dimension += 1) {
    const size = shape[dimension] as number;
    if (!Number.isSafeInteger(size) || size < 1) {
      throw new QuantizationError(`[${shape.join(", ")}] is not a tensor shape`);
    }
    rows *= dimension === 0 ? 1 : size;
  }
  const { blockElements, blockBytes } = GGML_TYPES[type];
  if (rowElements % blockElements !== 0) {
    throw new QuantizationError(`a row of ${rowElements} values is not whole ${type} blocks of ${blockElements}`);
  }
  return (rowElements / blockElements) * blockBytes * rows;
}
