import type { GgmlTypeName } from "./ggml-types.js";
import { QuantizationError } from "./ggml-types.js";

export interface GgmlFileType {
  /** Type of every matrix that no rule of the recipe names. */
  baseType: GgmlTypeName;
  /** llama-quantize refuses to make it without an importance matrix. */
  needsImportanceMatrix: boolean;
  /** Another mix of types comes out when an importance matrix is given. */
  mixDependsOnImportanceMatrix: boolean;
}

const plain = { needsImportanceMatrix: false, mixDependsOnImportanceMatrix: false };
const demanding = { needsImportanceMatrix: true, mixDependsOnImportanceMatrix: false };
const sensitive = { needsImportanceMatrix: false, mixDependsOnImportanceMatrix: true };

/**
 * File types of llama-quantize and the tensor type each is built on.
 * Source: llama.cpp, src/llama-quant.cpp and tools/quantize (2026).
 */
export const GGML_FILE_TYPES = {
  F32: { baseType: "F32", ...plain },
  F16: { baseType: "F16", ...plain },
  BF16: { baseType: "BF16", ...plain },
  Q1_0: { baseType: "Q1_0", ...plain },
  Q2_0: { baseType: "Q2_0", ...plain },
  Q4_0: { baseType: "Q4_0", ...sensitive },
  Q4_1: { baseType: "Q4_1", ...plain },
  Q5_0: { baseType: "Q5_0", ...sensitive },
  Q5_1: { baseType: "Q5_1", ...plain },
  Q8_0: { baseType: "Q8_0", ...plain },
  Q2_K: { baseType: "Q2_K", ...plain },
  Q2_K_S: { baseType: "Q2_K", ...demanding },
  Q3_K_S: { baseType: "Q3_K", ...plain },
  Q3_K_M: { baseType: "Q3_K", ...plain },
  Q3_K_L: { baseType: "Q3_K", ...plain },
  Q4_K_S: { baseType: "Q4_K", ...plain },
  Q4_K_M: { baseType: "Q4_K", ...plain },
  Q5_K_S: { baseType: "Q5_K", ...plain },
  Q5_K_M: { baseType: "Q5_K", ...plain },
  Q6_K: { baseType: "Q6_K", ...plain },
  IQ1_S: { baseType: "IQ1_S", ...demanding },
  IQ1_M: { baseType: "IQ1_M", ...demanding },
  IQ2_XXS: { baseType: "IQ2_XXS", ...demanding },
  IQ2_XS: { baseType: "IQ2_XS", ...demanding },
  IQ2_S: { baseType: "IQ2_XS", ...demanding },
  IQ2_M: { baseType: "IQ2_S", ...demanding },
  IQ3_XXS: { baseType: "IQ3_XXS", needsImportanceMatrix: true, mixDependsOnImportanceMatrix: true },
  IQ3_XS: { baseType: "IQ3_S", ...demanding },
  IQ3_S: { baseType: "IQ3_S", ...plain },
  IQ3_M: { baseType: "IQ3_S", ...plain },
  IQ4_NL: { baseType: "IQ4_NL", ...sensitive },
  IQ4_XS: { baseType: "IQ4_XS", ...sensitive },
  TQ1_0: { baseType: "TQ1_0", ...plain },
  TQ2_0: { baseType: "TQ2_0", ...plain },
  MXFP4_MOE: { baseType: "MXFP4", ...plain },
  NVFP4: { baseType: "NVFP4", ...plain },
} as const satisfies Record<string, GgmlFileType>;

export type GgmlFileTypeName = keyof typeof GGML_FILE_TYPES;

/** File types that leave every weight in a floating-point type: no recipe applies. */
export const UNQUANTIZED_FILE_TYPES: ReadonlySet<GgmlFileTypeName> = new Set(["F32", "F16", "BF16"]);

/** Looks a file type up by llama-quantize's name. Throws {@link QuantizationError} when there is none. */
export function ggmlFileTypeByName(name: string): GgmlFileTypeName {
  if (!Object.hasOwn(GGML_FILE_TYPES, name)) {
    throw new QuantizationError(`"${name}" is not a file type of llama-quantize`);
  }
  return name as GgmlFileTypeName;
}
