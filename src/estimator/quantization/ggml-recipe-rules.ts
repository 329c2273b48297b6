import { GGML_FILE_TYPES, type GgmlFileTypeName, UNQUANTIZED_FILE_TYPES } from "./ggml-file-types.js";
import { fitsWholeBlocks, type GgmlTypeName } from "./ggml-types.js";

/**
 * llama-quantize's choice of a type for each tensor, as data.
 * Source: llama.cpp, src/llama-quant.cpp (`llama_tensor_get_type_impl`), builds of 2024 to July 2026.
 */

/**
 * - `current`: since about April 2026 a fused QKV matrix (and `attn_kv_b`) is treated as a value matrix, and
 *   per-layer embeddings of a model without an output matrix as an output matrix.
 * - `before-2026-04`: fused QKV has a rule of its own, `attn_kv_b` none, per-layer embeddings count as embeddings.
 */
export type RecipeGeneration = "current" | "before-2026-04";

/** Kinds of tensor that the rules tell apart. */
export type RecipeCategory =
  | "OUTPUT"
  | "EMBEDDING"
  | "VALUE"
  | "FUSED_QKV"
  | "KEY"
  | "QUERY"
  | "ATTENTION_OUTPUT"
  | "UP"
  | "GATE"
  | "DOWN"
  | "OTHER";

/** What the rules ask about the whole model. */
export interface RecipeModel {
  /** GGUF `general.architecture`. */
  ggufArchitecture: string | null;
  /** Layers in the file, prediction blocks included. */
  layers: number;
  /** Value, fused QKV and `attn_kv_b` matrices in the file. */
  valueTensors: number;
  /** Query heads per KV head in the first layer, rounded down; 0 when it declares no KV heads. */
  queriesPerKvHead: number;
  /** Routed experts; 0 for a dense model. */
  experts: number;
  /** llama.cpp labels the model "70B". */
  isLabelled70B: boolean;
}

/** One question to the rules: a tensor in its place. */
export interface RecipeQuestion {
  model: RecipeModel;
  importanceMatrix: boolean;
  baseType: GgmlTypeName;
  /** Input width of the tensor. */
  rowElements: number;
  /** Third dimension above 1. */
  isStacked: boolean;
  isFeedForward: boolean;
  /** How many tensors of the category came before. */
  runningIndex: number;
  /** Layer number in models with experts, `runningIndex` in dense ones. */
  layerIndex: number;
}

/** A condition of a rule. */
interface Condition {
  holds: (question: RecipeQuestion) => boolean;
  /** It asks for the tensor's place: tensors that are alike but for their layer may get different answers. */
  asksPlace: boolean;
}

export interface RecipeRule {
  fileTypes: readonly GgmlFileTypeName[];
  categories: readonly RecipeCategory[];
  when: Condition;
  type: GgmlTypeName;
}

// Names of tensor groups

interface CategoryPattern {
  part: string;
  exact: boolean;
  category: RecipeCategory;
}
const named = (part: string, category: RecipeCategory): CategoryPattern => ({ part, exact: true, category });
const containing = (part: string, category: RecipeCategory): CategoryPattern => ({ part, exact: false, category });

/** Category by tensor name, first match wins. */
export const CATEGORY_PATTERNS: Record<RecipeGeneration, readonly CategoryPattern[]> = {
  current: [
    named("output.weight", "OUTPUT"),
    named("token_embd.weight", "EMBEDDING"),
    named("per_layer_token_embd.weight", "EMBEDDING"),
    containing("attn_qkv.weight", "VALUE"),
    containing("attn_kv_b.weight", "VALUE"),
    containing("attn_v.weight", "VALUE"),
    containing("attn_k.weight", "KEY"),
    containing("attn_q.weight", "QUERY"),
    containing("attn_output.weight", "ATTENTION_OUTPUT"),
    containing("ffn_up", "UP"),
    containing("ffn_gate", "GATE"),
    containing("ffn_down", "DOWN"),
  ],
  "before-2026-04": [
    named("output.weight", "OUTPUT"),
    named("token_embd.weight", "EMBEDDING"),
    named("per_layer_token_embd.weight", "EMBEDDING"),
    containing("attn_v.weight", "VALUE"),
    containing("attn_k.weight", "KEY"),
    containing("attn_q.weight", "QUERY"),
    containing("ffn_down", "DOWN"),
    containing("attn_output.weight", "ATTENTION_OUTPUT"),
    containing("attn_qkv.weight", "FUSED_QKV"),
    containing("ffn_gate", "GATE"),
    containing("ffn_up", "UP"),
  ],
};

/** Embeddings that take the output matrix's type when the file has no output matrix. */
export const TIED_OUTPUT_NAMES: Record<RecipeGeneration, readonly string[]> = {
  current: ["token_embd.weight", "per_layer_token_embd.weight"],
  "before-2026-04": ["token_embd.weight"],
};

/** Name parts of the tensors that `RecipeModel.valueTensors` counts. */
export const VALUE_TENSOR_PARTS = ["attn_v.weight", "attn_qkv.weight", "attn_kv_b.weight"];

/** Models that llama.cpp labels "70B", by architecture and layer count. */
export const LABELLED_70B: readonly { ggufArchitecture: string; layers: number; groupedQueriesOnly: boolean }[] = [
  { ggufArchitecture: "llama", layers: 80, groupedQueriesOnly: true },
  { ggufArchitecture: "qwen2", layers: 80, groupedQueriesOnly: false },
  { ggufArchitecture: "deci", layers: 80, groupedQueriesOnly: false },
  { ggufArchitecture: "jais2", layers: 68, groupedQueriesOnly: false },
];

// Conditions

const ofKind = (holds: Condition["holds"]): Condition => ({ holds, asksPlace: false });
const ofPlace = (holds: Condition["holds"]): Condition => ({ holds, asksPlace: true });

const always = ofKind(() => true);
const not = ({ holds, asksPlace }: Condition): Condition => ({ holds: (question) => !holds(question), asksPlace });
const both = (a: Condition, b: Condition): Condition => ({
  holds: (question) => a.holds(question) && b.holds(question),
  asksPlace: a.asksPlace || b.asksPlace,
});

const withImportanceMatrix = ofKind(({ importanceMatrix }) => importanceMatrix);
const isFalcon = ofKind(({ model }) => model.ggufArchitecture === "falcon");
/** An exact test in llama.cpp: Mixtral and Grok-1, not "at least eight". */
const hasEightExperts = ofKind(({ model }) => model.experts === 8);
const hasFourExperts = ofKind(({ model }) => model.experts >= 4);
const hasFourQueriesPerKvHead = ofKind(({ model }) => model.queriesPerKvHead >= 4);
const isLabelled70B = ofKind(({ model }) => model.isLabelled70B);
const isBaseType = (type: GgmlTypeName): Condition => ofKind(({ baseType }) => baseType === type);
const hasOddRows = ofKind(({ baseType, rowElements }) => !fitsWholeBlocks(baseType, rowElements));

/** Architectures whose attention has stacked matrices that MXFP4_MOE does not take for experts. */
const EXPERTS_BY_NAME: ReadonlySet<string | null> = new Set(["bailingmoe3"]);
const isExpertStack = ofKind(
  ({ model, isStacked, isFeedForward }) => isStacked && (isFeedForward || !EXPERTS_BY_NAME.has(model.ggufArchitecture)),
);

const part = (layers: number, divisor: number): number => Math.floor(layers / divisor);
const inFirst = (divisor: number): Condition =>
  ofPlace(({ layerIndex, model }) => layerIndex < part(model.layers, divisor));
/** Counts tensors, not layers, in models with experts too. */
const countedInFirstEighth = ofPlace(({ runningIndex, model }) => runningIndex < part(model.layers, 8));
const isAmongFirst = (count: number): Condition => ofPlace(({ runningIndex }) => runningIndex < count);
const inMiddleSixEighths = ofPlace(
  ({ layerIndex, model }) => layerIndex >= part(model.layers, 8) && layerIndex < part(7 * model.layers, 8),
);

/** The layers given more bits: the first and last eighth, and every third between. */
export function getsMoreBits(index: number, count: number): boolean {
  const eighth = part(count, 8);
  return index < eighth || index >= part(7 * count, 8) || (index - eighth) % 3 === 2;
}
const valueGetsMoreBits = ofPlace(({ runningIndex, model }) => getsMoreBits(runningIndex, model.valueTensors));
const layerGetsMoreBits = ofPlace(({ layerIndex, model }) => getsMoreBits(layerIndex, model.layers));

// Groups of file types

const QUANTIZED = (Object.keys(GGML_FILE_TYPES) as GgmlFileTypeName[]).filter(
  (name) => !UNQUANTIZED_FILE_TYPES.has(name),
);
const VERY_LOW_BIT = ["IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ2_M"] as const;
/** File types under the ordinary rules for the matrices of a block. */
const ORDINARY = QUANTIZED.filter((name) => name !== "MXFP4_MOE" && !VERY_LOW_BIT.some((low) => low === name));
/** With eight experts these store the attention output wider. */
const WIDER_ATTENTION_OUTPUT = [
  "Q2_K",
  "IQ3_XXS",
  "IQ3_XS",
  "IQ3_S",
  "IQ3_M",
  "Q3_K_S",
  "Q3_K_M",
  "IQ4_NL",
  "IQ4_XS",
  "Q4_K_S",
  "Q4_K_M",
] as const;
const BLOCK_CATEGORIES = [
  "VALUE",
  "FUSED_QKV",
  "KEY",
  "QUERY",
  "ATTENTION_OUTPUT",
  "UP",
  "GATE",
  "DOWN",
  "OTHER",
] as const;

function rule(
  fileTypes: readonly GgmlFileTypeName[],
  categories: readonly RecipeCategory[],
  when: Condition,
  type: GgmlTypeName,
): RecipeRule {
  return { fileTypes, categories, when, type };
}

/** In order: the first rule that applies decides; where none does, the file type's base type stands. */
export const RECIPE_RULES: readonly RecipeRule[] = [
  // Output matrix, or the embedding that stands in for it
  rule(["MXFP4_MOE"], ["OUTPUT"], always, "Q8_0"),
  rule(QUANTIZED, ["OUTPUT"], isFalcon, "Q8_0"),
  rule(QUANTIZED, ["OUTPUT"], hasOddRows, "Q8_0"),
  rule([...VERY_LOW_BIT, "IQ3_XXS"], ["OUTPUT"], always, "Q5_K"),
  rule(QUANTIZED, ["OUTPUT"], not(isBaseType("Q8_0")), "Q6_K"),

  // MXFP4_MOE: experts in MXFP4, everything else in Q8_0
  rule(["MXFP4_MOE"], BLOCK_CATEGORIES, isExpertStack, "MXFP4"),
  rule(["MXFP4_MOE"], ["EMBEDDING", ...BLOCK_CATEGORIES], always, "Q8_0"),

  // Token embedding beside an output matrix
  rule(["IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS"], ["EMBEDDING"], always, "Q2_K"),
  rule(["IQ2_S", "IQ2_M", "IQ3_XXS"], ["EMBEDDING"], always, "IQ3_S"),
  rule(["TQ1_0", "TQ2_0", "Q2_0"], ["EMBEDDING"], always, "Q4_K"),

  // Blocks, two bits and below
  rule(VERY_LOW_BIT, ["VALUE"], hasFourQueriesPerKvHead, "Q4_K"),
  rule(VERY_LOW_BIT, ["VALUE"], hasFourExperts, "Q4_K"),
  rule(["IQ2_S", "IQ2_M"], ["VALUE"], always, "IQ3_S"),
  rule(VERY_LOW_BIT, ["VALUE"], always, "Q2_K"),
  rule(VERY_LOW_BIT, ["KEY"], hasEightExperts, "Q4_K"),
  rule(["IQ2_S", "IQ2_M"], ["DOWN"], countedInFirstEighth, "IQ3_S"),
  rule(VERY_LOW_BIT, ["DOWN"], countedInFirstEighth, "Q2_K"),
  rule(VERY_LOW_BIT, ["ATTENTION_OUTPUT"], hasEightExperts, "Q5_K"),
  rule(["IQ1_S", "IQ1_M"], ["ATTENTION_OUTPUT"], always, "IQ2_XXS"),
  rule(["IQ2_S", "IQ2_M"], ["ATTENTION_OUTPUT"], always, "IQ3_S"),

  // Value matrices
  rule(ORDINARY, ["VALUE"], hasEightExperts, "Q8_0"),
  rule(["Q2_K", "Q2_K_S", "IQ3_XXS", "IQ3_XS", "IQ3_S"], ["VALUE"], hasFourQueriesPerKvHead, "Q4_K"),
  rule(["Q2_K"], ["VALUE"], always, "Q3_K"),
  rule(["IQ3_XXS"], ["VALUE"], not(withImportanceMatrix), "IQ3_S"),
  rule(["IQ3_M"], ["VALUE"], always, "Q4_K"),
  rule(["Q3_K_M"], ["VALUE"], isAmongFirst(2), "Q5_K"),
  rule(["Q3_K_M"], ["VALUE"], always, "Q4_K"),
  rule(["Q3_K_L"], ["VALUE"], always, "Q5_K"),
  rule(["IQ4_NL", "IQ4_XS"], ["VALUE"], hasFourQueriesPerKvHead, "Q5_K"),
  rule(["Q4_K_M", "Q5_K_M"], ["VALUE"], valueGetsMoreBits, "Q6_K"),
  rule(["Q4_K_S"], ["VALUE"], isAmongFirst(4), "Q5_K"),

  // Fused QKV in the older generation
  rule(["Q3_K_M", "Q3_K_L", "IQ3_M"], ["FUSED_QKV"], always, "Q4_K"),
  rule(["Q4_K_M"], ["FUSED_QKV"], always, "Q5_K"),
  rule(["Q5_K_M"], ["FUSED_QKV"], always, "Q6_K"),

  // Keys and queries
  rule(ORDINARY, ["KEY"], hasEightExperts, "Q8_0"),
  rule(["IQ3_XS"], ["KEY", "QUERY"], always, "IQ3_XXS"),
  rule(["IQ3_XXS"], ["KEY", "QUERY"], always, "IQ2_S"),

  // Down projections
  rule(["Q2_K"], ["DOWN"], always, "Q3_K"),
  rule(["Q2_K_S"], ["DOWN"], inFirst(8), "Q4_K"),
  rule(["IQ3_XXS"], ["DOWN"], both(not(withImportanceMatrix), inFirst(8)), "Q4_K"),
  rule(["IQ3_XXS"], ["DOWN"], not(withImportanceMatrix), "Q3_K"),
  rule(["Q3_K_M"], ["DOWN"], inFirst(16), "Q5_K"),
  rule(["Q3_K_M"], ["DOWN"], both(isFalcon, not(layerGetsMoreBits)), "Q3_K"),
  rule(["Q3_K_M"], ["DOWN"], always, "Q4_K"),
  rule(["IQ3_M"], ["DOWN"], inFirst(8), "Q4_K"),
  rule(["IQ3_M"], ["DOWN"], both(hasEightExperts, layerGetsMoreBits), "Q4_K"),
  rule(["Q3_K_L"], ["DOWN"], isFalcon, "Q4_K"),
  rule(["Q3_K_L"], ["DOWN"], always, "Q5_K"),
  rule(["Q4_K_M"], ["DOWN"], both(isFalcon, inFirst(16)), "Q6_K"),
  rule(["Q4_K_M"], ["DOWN"], both(isFalcon, layerGetsMoreBits), "Q5_K"),
  rule(["Q4_K_M"], ["DOWN"], both(not(isFalcon), layerGetsMoreBits), "Q6_K"),
  rule(["Q5_K_M"], ["DOWN"], layerGetsMoreBits, "Q6_K"),
  rule(["IQ4_NL", "IQ4_XS"], ["DOWN"], both(not(withImportanceMatrix), inFirst(8)), "Q5_K"),
  rule(["Q4_K_S"], ["DOWN"], both(not(isFalcon), inFirst(8)), "Q5_K"),
  rule(["Q4_0"], ["DOWN"], both(withImportanceMatrix, inFirst(8)), "Q4_1"),
  rule(["Q5_0"], ["DOWN"], both(withImportanceMatrix, inFirst(8)), "Q5_1"),

  // Attention output
  rule(["Q3_K_L"], ["ATTENTION_OUTPUT"], isFalcon, "Q4_K"),
  rule(WIDER_ATTENTION_OUTPUT, ["ATTENTION_OUTPUT"], both(not(isFalcon), hasEightExperts), "Q5_K"),
  ...(
    [
      ["Q2_K", "Q3_K"],
      ["IQ3_XXS", "IQ3_S"],
      ["Q3_K_M", "Q4_K"],
      ["Q3_K_L", "Q5_K"],
      ["IQ3_M", "Q4_K"],
    ] as const
  ).map(([fileType, type]) => rule([fileType], ["ATTENTION_OUTPUT"], both(not(isFalcon), not(hasEightExperts)), type)),

  // Gate and up projections
  rule(["IQ3_XS"], ["UP", "GATE"], inMiddleSixEighths, "IQ3_XXS"),
];

/** Applied to the choice made: `from` becomes `to`. */
export const RECIPE_RAISES: readonly (Omit<RecipeRule, "type"> & {
  from: readonly GgmlTypeName[];
  to: GgmlTypeName;
})[] = [{ fileTypes: ORDINARY, categories: ["VALUE"], when: isLabelled70B, from: ["Q3_K", "Q4_K"], to: "Q5_K" }];

/** Type taken when a row is not whole blocks of the type chosen; absent: llama-quantize stops with an error. */
export const ODD_ROW_FALLBACK: Partial<Record<GgmlTypeName, GgmlTypeName>> = {
  IQ1_S: "IQ4_NL",
  IQ1_M: "IQ4_NL",
  IQ2_XXS: "IQ4_NL",
  IQ2_XS: "IQ4_NL",
  IQ2_S: "IQ4_NL",
  IQ3_XXS: "IQ4_NL",
  IQ3_S: "IQ4_NL",
  IQ4_XS: "IQ4_NL",
  Q2_0: "Q4_0",
  Q2_K: "Q4_0",
  Q3_K: "Q4_0",
  TQ1_0: "Q4_0",
  TQ2_0: "Q4_0",
  Q4_K: "Q5_0",
  Q5_K: "Q5_1",
  Q6_K: "Q8_0",
};

/** Type taken when a row is not whole blocks of the fallback either. */
export const LAST_FALLBACK: GgmlTypeName = "F16";
