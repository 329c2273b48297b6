import type { Architecture } from "../../../estimator/architecture/architecture.js";
import { ConfigError } from "../../../estimator/architecture/config-error.js";
import { architectureFromGguf } from "../../../estimator/architecture/gguf/from-gguf.js";
import type { GgufHeader } from "../../../estimator/architecture/gguf/gguf-header.js";
import type { GGML_FILE_TYPES } from "../../../estimator/quantization/ggml-file-types.js";
import type { ArgumentPath } from "../../editing/user-error.js";
import { ImportError } from "../import-error.js";

/** What a GGUF file's header says of the model in it. */
export interface GgufFacts {
  architecture: Architecture;
  name: string | null;
  licence: string | null;
  /** llama-quantize's name of the file's type: "Q4_K_M"; null when the header does not say. */
  quantName: string | null;
  notes: readonly string[];
}

/**
 * Describes the model in a GGUF file.
 * @param path argument that the header came in, which errors name
 * @throws ImportError INVALID, NOT_MODELLED
 */
export function describeGguf(header: GgufHeader, path: ArgumentPath): GgufFacts {
  try {
    return {
      architecture: architectureFromGguf(header),
      name: textOf(header, "general.name"),
      licence: textOf(header, "general.license"),
      quantName: fileTypeOf(header),
      notes: ["A GGUF file has the text model alone: towers and what its converter leaves out are not described."],
    };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw new ImportError(error.code, path, error.message);
  }
}

/** Longest text that is taken from a header. */
const LONGEST_TEXT = 200;

function textOf({ metadata }: GgufHeader, key: string): string | null {
  const value = Object.hasOwn(metadata, key) ? metadata[key] : undefined;
  if (typeof value !== "string") return null;
  const text = value
    .replaceAll(/\p{Cc}/gu, " ")
    .trim()
    .slice(0, LONGEST_TEXT)
    .trim();
  return text === "" ? null : text;
}

/** llama.h, enum llama_ftype. Numbers that are missing were taken out of use. */
const FILE_TYPES: Readonly<Record<number, keyof typeof GGML_FILE_TYPES>> = {
  0: "F32",
  1: "F16",
  2: "Q4_0",
  3: "Q4_1",
  7: "Q8_0",
  8: "Q5_0",
  9: "Q5_1",
  10: "Q2_K",
  11: "Q3_K_S",
  12: "Q3_K_M",
  13: "Q3_K_L",
  14: "Q4_K_S",
  15: "Q4_K_M",
  16: "Q5_K_S",
  17: "Q5_K_M",
  18: "Q6_K",
  19: "IQ2_XXS",
  20: "IQ2_XS",
  21: "Q2_K_S",
  22: "IQ3_XS",
  23: "IQ3_XXS",
  24: "IQ1_S",
  25: "IQ4_NL",
  26: "IQ3_S",
  27: "IQ3_M",
  28: "IQ2_S",
  29: "IQ2_M",
  30: "IQ4_XS",
  31: "IQ1_M",
  32: "BF16",
  36: "TQ1_0",
  37: "TQ2_0",
  38: "MXFP4_MOE",
  39: "NVFP4",
  40: "Q1_0",
  41: "Q2_0",
};

function fileTypeOf({ metadata }: GgufHeader): string | null {
  const number = metadata["general.file_type"];
  return typeof number === "number" && Object.hasOwn(FILE_TYPES, number) ? (FILE_TYPES[number] ?? null) : null;
}
