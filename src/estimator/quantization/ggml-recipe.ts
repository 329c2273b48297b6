import type { Architecture, Block, PlainTensor } from "../architecture/architecture.js";
import { onceFor } from "../once-for.js";
import type { Tensor } from "../tensors/tensor.js";
import {
  GGML_FILE_TYPES,
  type GgmlFileTypeName,
  ggmlFileTypeByName,
  UNQUANTIZED_FILE_TYPES,
} from "./ggml-file-types.js";
import {
  CATEGORY_PATTERNS,
  LABELLED_70B,
  LAST_FALLBACK,
  ODD_ROW_FALLBACK,
  RECIPE_CATEGORIES,
  RECIPE_RAISES,
  RECIPE_RULES,
  type RecipeCategory,
  type RecipeGeneration,
  type RecipeModel,
  type RecipeQuestion,
  type RecipeRule,
  TIED_OUTPUT_NAMES,
  VALUE_TENSOR_PARTS,
} from "./ggml-recipe-rules.js";
import { allowsQuantization, fixedSourceType } from "./ggml-source-types.js";
import { fitsWholeBlocks, type GgmlTypeName, ggmlTypeByName, QuantizationError } from "./ggml-types.js";
import type { GgmlScheme } from "./scheme.js";

const OUTPUT_NAME = "output.weight";
const DEFAULT_SOURCE_TYPE = "F16";
const FEED_FORWARD_CATEGORIES: ReadonlySet<RecipeCategory> = new Set(["UP", "GATE", "DOWN"]);

/**
 * The ggml type of each tensor in a file that llama-quantize makes, in the order of `tensors`.
 * Throws {@link QuantizationError} for an unknown file or tensor type, and where llama-quantize itself refuses:
 * a row that is not whole blocks of a type without fallback.
 */
export function ggmlTypes(architecture: Architecture, tensors: readonly Tensor[], scheme: GgmlScheme): GgmlTypeName[] {
  const fileType = ggmlFileTypeByName(scheme.fileType);
  const generation = scheme.recipe ?? "current";
  const baseType = GGML_FILE_TYPES[fileType].baseType;
  const isUnquantized = UNQUANTIZED_FILE_TYPES.has(fileType);
  const overrides = overridesOf(scheme);
  const file = describeFile(tensors);
  const model = describeModel(architecture, tensors);
  const rules = recipeOf(fileType);
  const standInNames = file.isTied ? TIED_OUTPUT_NAMES[generation] : [];
  const counts = new Map<RecipeCategory, number>();
  const types = new Array<GgmlTypeName>(tensors.length);

  for (const { index, tensor, facts } of file.tensors) {
    const { rowElements, isStacked } = facts;
    const ownCategory = facts.categories[generation];
    if (!facts.isQuantizable) {
      types[index] = facts.fixedSourceType ?? scheme.sourceType ?? DEFAULT_SOURCE_TYPE;
      continue;
    }
    const override = overrides(ownCategory, isStacked);
    if (override !== undefined || isUnquantized) {
      types[index] = override ?? baseType;
      continue;
    }
    const category = standInNames.includes(tensor.name) ? "OUTPUT" : ownCategory;
    const runningIndex = counts.get(category) ?? 0;
    counts.set(category, runningIndex + 1);
    const choice = scheme.pure
      ? baseType
      : chooseType(rules.get(category), {
          model,
          importanceMatrix: scheme.importanceMatrix ?? false,
          baseType,
          rowElements,
          isStacked,
          isFeedForward: FEED_FORWARD_CATEGORIES.has(category),
          runningIndex,
          layerIndex: model.experts > 1 ? (tensor.layer ?? runningIndex) : runningIndex,
        });
    types[index] = fitRows(choice, rowElements, tensor.name);
  }
  return types;
}

/** What a tensor's name and shape say, whatever the file type: the same in all layers of a kind. */
interface NamedFacts {
  isQuantizable: boolean;
  fixedSourceType: GgmlTypeName | null;
  rowElements: number;
  isStacked: boolean;
  isValue: boolean;
  categories: Record<RecipeGeneration, RecipeCategory>;
}

const factsByDescription = new WeakMap<PlainTensor, NamedFacts>();

function namesSay(tensor: Tensor): NamedFacts {
  let facts = factsByDescription.get(tensor.description);
  if (facts === undefined) {
    facts = {
      isQuantizable: allowsQuantization(tensor),
      fixedSourceType: fixedSourceType(tensor),
      rowElements: rowElementsOf(tensor),
      isStacked: (tensor.shape[2] ?? 1) > 1,
      isValue: VALUE_TENSOR_PARTS.some((part) => tensor.name.includes(part)),
      categories: {
        current: categoryOf(tensor.name, "current"),
        "before-2026-04": categoryOf(tensor.name, "before-2026-04"),
      },
    };
    factsByDescription.set(tensor.description, facts);
  }
  return facts;
}

/** What the names of a file's tensors say, whatever the file type. */
interface FileDescription {
  /** In the order in which llama.cpp walks the file; `index` is the place in the list given. */
  tensors: { index: number; tensor: Tensor; facts: NamedFacts }[];
  /** No output matrix: the token embedding stands in for it. */
  isTied: boolean;
  valueTensors: number;
}

/** Kept as long as the list itself: one model is asked about under many file types. */
const describeFile: (tensors: readonly Tensor[]) => FileDescription = onceFor((tensors) => ({
  tensors: inFileOrder(tensors).map(({ index, tensor }) => ({ index, tensor, facts: namesSay(tensor) })),
  isTied: !tensors.some((tensor) => tensor.name === OUTPUT_NAME),
  valueTensors: tensors.filter((tensor) => namesSay(tensor).isValue).length,
}));

/** What the recipe asks about a model. `tensors` are those of the file. */
export function describeModel(architecture: Architecture, tensors: readonly Tensor[]): RecipeModel {
  const prediction = architecture.nextTokenPrediction;
  const queriesPerKvHead = queriesPerKvHeadOfFirstLayer(architecture);
  return {
    ggufArchitecture: architecture.ggufArchitecture,
    layers: architecture.layers.length + (prediction?.inGguf ? prediction.layers.length : 0),
    valueTensors: describeFile(tensors).valueTensors,
    queriesPerKvHead,
    experts: Math.max(0, ...Object.values(architecture.blocks).map((block) => block.experts?.count ?? 0)),
    isLabelled70B: LABELLED_70B.some(
      (label) =>
        label.ggufArchitecture === architecture.ggufArchitecture &&
        label.layers === architecture.layers.length &&
        (!label.groupedQueriesOnly || queriesPerKvHead > 1),
    ),
  };
}

/**
 * Recurrent mixers whose conversions declare the KV heads of the full-attention layers for every layer;
 * the others declare zero KV heads in recurrent layers.
 */
const DECLARES_KV_HEADS_EVERYWHERE: ReadonlySet<string> = new Set(["gated-delta-net"]);

function queriesPerKvHeadOfFirstLayer(architecture: Architecture): number {
  const blocks = architecture.layers.map((name) => architecture.blocks[name]);
  const first = blocks[0];
  const declaresAll = first?.recurrent !== undefined && DECLARES_KV_HEADS_EVERYWHERE.has(first.recurrent.kind);
  const block = declaresAll ? blocks.find((candidate) => candidate?.attention !== undefined) : first;
  return queriesPerKvHead(block);
}

function queriesPerKvHead(block: Block | undefined): number {
  const attention = block?.attention;
  if (attention === undefined) {
    return 0;
  }
  // Latent and compressed attention are converted as one KV head for all queries.
  return attention.kind === "grouped" ? Math.floor(attention.heads / attention.kvHeads) : attention.heads;
}

/** Tensors as llama.cpp walks a file: outside the blocks first, then by layer, then by name. */
function inFileOrder(tensors: readonly Tensor[]): { index: number; tensor: Tensor }[] {
  return tensors
    .map((tensor, index) => ({ index, tensor }))
    .sort((a, b) => (a.tensor.layer ?? -1) - (b.tensor.layer ?? -1) || compareNames(a.tensor.name, b.tensor.name));
}

/** By UTF-16 code unit, which for GGUF names is llama.cpp's order by byte. */
function compareNames(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}

function categoryOf(name: string, generation: RecipeGeneration): RecipeCategory {
  const match = CATEGORY_PATTERNS[generation].find(({ part, exact }) => (exact ? name === part : name.includes(part)));
  return match?.category ?? "OTHER";
}

function rowElementsOf(tensor: Tensor): number {
  const rowElements = tensor.shape[0];
  if (rowElements === undefined) {
    throw new QuantizationError(`tensor ${tensor.name} has no shape`);
  }
  return rowElements;
}

/** Types named outright in the scheme; they pass by the recipe and its counts. */
function overridesOf(scheme: GgmlScheme): (category: RecipeCategory, isStacked: boolean) => GgmlTypeName | undefined {
  const named = (name: string | undefined) => (name === undefined ? undefined : ggmlTypeByName(name));
  const expertsType = named(scheme.expertsType);
  const outputType = named(scheme.outputType);
  const embeddingType = named(scheme.embeddingType);
  return (category, isStacked) => {
    if (category === "OUTPUT") {
      return outputType;
    }
    if (category === "EMBEDDING") {
      return embeddingType;
    }
    return FEED_FORWARD_CATEGORIES.has(category) && isStacked ? expertsType : undefined;
  };
}

/** What may change the base type of one category of tensors, in order. */
interface CategoryRules {
  rules: RecipeRule[];
  raises: (typeof RECIPE_RAISES)[number][];
}

const recipes = new Map<GgmlFileTypeName, ReadonlyMap<RecipeCategory, CategoryRules>>();

/** The rules of a file type by category. */
function recipeOf(fileType: GgmlFileTypeName): ReadonlyMap<RecipeCategory, CategoryRules> {
  let recipe = recipes.get(fileType);
  if (recipe === undefined) {
    const applies = (rule: Pick<RecipeRule, "fileTypes" | "categories">, category: RecipeCategory) =>
      rule.fileTypes.includes(fileType) && rule.categories.includes(category);
    recipe = new Map(
      RECIPE_CATEGORIES.map((category) => [
        category,
        {
          rules: RECIPE_RULES.filter((rule) => applies(rule, category)),
          raises: RECIPE_RAISES.filter((raise) => applies(raise, category)),
        },
      ]),
    );
    recipes.set(fileType, recipe);
  }
  return recipe;
}

function chooseType(recipe: CategoryRules | undefined, question: RecipeQuestion): GgmlTypeName {
  const rule = recipe?.rules.find(({ when }) => when(question));
  const choice = rule?.type ?? question.baseType;
  const raise = recipe?.raises.find(({ when, from }) => from.includes(choice) && when(question));
  return raise?.to ?? choice;
}

function fitRows(type: GgmlTypeName, rowElements: number, tensorName: string): GgmlTypeName {
  if (fitsWholeBlocks(type, rowElements)) {
    return type;
  }
  const fallback = ODD_ROW_FALLBACK[type];
  if (fallback === undefined) {
    throw new QuantizationError(
      `llama-quantize cannot store ${tensorName} as ${type}: its rows of ${rowElements} values are not whole blocks`,
    );
  }
  return fitsWholeBlocks(fallback, rowElements) ? fallback : LAST_FALLBACK;
}
