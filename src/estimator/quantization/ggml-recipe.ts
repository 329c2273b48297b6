import type { Architecture, Block } from "../architecture/architecture.js";
import { onceFor, oncePerPair } from "../once-for.js";
import { sumOf } from "../sum-of.js";
import { countMembers, memberIn, type Tensor, type TensorGroup } from "../tensors/tensor.js";
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
/** Stands for the layer of tensors that are in none, which come first. */
const OUTSIDE_LAYERS = -1;
const DEFAULT_SOURCE_TYPE = "F16";
const FEED_FORWARD_CATEGORIES: ReadonlySet<RecipeCategory> = new Set(["UP", "GATE", "DOWN"]);

/** Tensors that are alike and get the same type. */
export interface TypedGroup extends TensorGroup {
  type: GgmlTypeName;
}

/**
 * The ggml types of tensors in a file that llama-quantize makes, in the order of `groups`; a group whose members get
 * several types comes once for each.
 * Throws {@link QuantizationError} for an unknown file or tensor type, and where llama-quantize itself refuses:
 * a row that is not whole blocks of a type without fallback.
 */
export function ggmlTypes(
  architecture: Architecture,
  groups: readonly TensorGroup[],
  scheme: GgmlScheme,
): TypedGroup[] {
  const recipe = readScheme(scheme);
  const model = describeModel(architecture, groups);
  const { kinds, isTied } = describeFile(groups);
  const indices = runningIndices(groups, recipe);
  const typed: TypedGroup[] = [];
  for (let place = 0; place < kinds.length; place += 1) {
    const kind = kinds[place] as TensorKind;
    const type = typeWithoutRecipe(kind, recipe);
    if (type === null) {
      typed.push(...typesByRecipe(kind, { recipe, model, isTied, runningIndices: indices[place] ?? [] }));
    } else {
      typed.push({ first: kind.group.first, layers: kind.group.layers, type });
    }
  }
  return typed;
}

/** A scheme with the names in it looked up. */
interface Recipe {
  fileType: GgmlFileTypeName;
  generation: RecipeGeneration;
  baseType: GgmlTypeName;
  isUnquantized: boolean;
  isPure: boolean;
  importanceMatrix: boolean;
  sourceType: "F16" | "BF16" | "F32";
  /** Types named outright; what has one passes by the recipe and its counts. */
  named: Record<"output" | "embedding" | "experts", GgmlTypeName | null>;
}

const readScheme: (scheme: GgmlScheme) => Recipe = onceFor((scheme) => {
  const fileType = ggmlFileTypeByName(scheme.fileType);
  const lookUp = (name: string | undefined) => (name === undefined ? null : ggmlTypeByName(name));
  return {
    fileType,
    generation: scheme.recipe ?? "current",
    baseType: GGML_FILE_TYPES[fileType].baseType,
    isUnquantized: UNQUANTIZED_FILE_TYPES.has(fileType),
    isPure: scheme.pure ?? false,
    importanceMatrix: scheme.importanceMatrix ?? false,
    sourceType: scheme.sourceType ?? DEFAULT_SOURCE_TYPE,
    named: {
      output: lookUp(scheme.outputType),
      embedding: lookUp(scheme.embeddingType),
      experts: lookUp(scheme.expertsType),
    },
  };
});

/** The type of tensors that the recipe does not decide about; null for all others. */
function typeWithoutRecipe(kind: TensorKind, recipe: Recipe): GgmlTypeName | null {
  if (!kind.isQuantizable) {
    return kind.fixedSourceType ?? recipe.sourceType;
  }
  return namedType(kind, recipe) ?? (recipe.isUnquantized ? recipe.baseType : null);
}

function namedType({ categories, isStacked }: TensorKind, { generation, named }: Recipe): GgmlTypeName | null {
  const category = categories[generation];
  if (category === "OUTPUT") {
    return named.output;
  }
  if (category === "EMBEDDING") {
    return named.embedding;
  }
  return FEED_FORWARD_CATEGORIES.has(category) && isStacked ? named.experts : null;
}

interface RecipePlace {
  recipe: Recipe;
  model: RecipeModel;
  isTied: boolean;
  /** Of each member: how many tensors of the category came before. */
  runningIndices: readonly number[];
}

function typesByRecipe(kind: TensorKind, place: RecipePlace): TypedGroup[] {
  const { recipe, model, isTied, runningIndices } = place;
  const { first, layers } = kind.group;
  const category = categoryIn(kind, recipe.generation, isTied);
  const rules = rulesOf(recipe.fileType, category);
  const question: RecipeQuestion = {
    model,
    importanceMatrix: recipe.importanceMatrix,
    baseType: recipe.baseType,
    rowElements: kind.rowElements,
    isStacked: kind.isStacked,
    isFeedForward: FEED_FORWARD_CATEGORIES.has(category),
    runningIndex: runningIndices[0] ?? 0,
    layerIndex: 0,
  };
  const typeAt = (index: number, layer: number | null): GgmlTypeName => {
    question.runningIndex = runningIndices[index] ?? 0;
    question.layerIndex = model.experts > 1 ? (layer ?? question.runningIndex) : question.runningIndex;
    const choice = recipe.isPure ? recipe.baseType : chooseType(rules, question);
    return fitRows(choice, kind.rowElements, first, layer);
  };
  if (layers === null || !rules.askPlace || recipe.isPure) {
    return [{ first, layers, type: typeAt(0, first.layer) }];
  }
  const byType = new Map<GgmlTypeName, number[]>();
  for (let index = 0; index < layers.length; index += 1) {
    const layer = layers[index] as number;
    const type = typeAt(index, layer);
    const alike = byType.get(type);
    if (alike === undefined) byType.set(type, [layer]);
    else alike.push(layer);
  }
  return [...byType].map(([type, alike]) => ({ first: memberIn(first, alike[0] ?? 0), layers: alike, type }));
}

/** What the name of a kind of tensor says, whatever the file type. */
interface TensorKind {
  group: TensorGroup;
  isQuantizable: boolean;
  fixedSourceType: GgmlTypeName | null;
  isStacked: boolean;
  rowElements: number;
  categories: Record<RecipeGeneration, RecipeCategory>;
}

/** What the names of a file's tensors say, whatever the file type. */
interface FileDescription {
  /** In the order of the groups. */
  kinds: readonly TensorKind[];
  /** No output matrix: the token embedding stands in for it. */
  isTied: boolean;
  valueTensors: number;
}

const describeFile: (groups: readonly TensorGroup[]) => FileDescription = onceFor((groups) => ({
  kinds: groups.map((group) => ({
    group,
    isQuantizable: allowsQuantization(group.first),
    fixedSourceType: fixedSourceType(group.first),
    isStacked: (group.first.shape[2] ?? 1) > 1,
    rowElements: rowElementsOf(group.first),
    categories: {
      current: categoryOf(group.first.name, "current"),
      "before-2026-04": categoryOf(group.first.name, "before-2026-04"),
    },
  })),
  isTied: !groups.some(({ first }) => first.name === OUTPUT_NAME),
  valueTensors: sumOf(
    groups.filter(({ first }) => VALUE_TENSOR_PARTS.some((part) => first.name.includes(part))),
    countMembers,
  ),
}));

/** The category that a tensor counts in: the embedding's, where it stands in for the output matrix, is the output's. */
function categoryIn({ group, categories }: TensorKind, generation: RecipeGeneration, isTied: boolean): RecipeCategory {
  return isTied && TIED_OUTPUT_NAMES[generation].includes(group.first.name) ? "OUTPUT" : categories[generation];
}

const numberings = new WeakMap<readonly TensorGroup[], Map<string, number[][]>>();

/**
 * Of each member of each group, how many tensors of its category come before it in the file; those that have a type
 * named outright are not counted. Numbered once for all recipes that name the same.
 */
function runningIndices(groups: readonly TensorGroup[], recipe: Recipe): number[][] {
  const { generation, named } = recipe;
  let known = numberings.get(groups);
  if (known === undefined) {
    known = new Map();
    numberings.set(groups, known);
  }
  const key = `${generation} ${named.output !== null} ${named.embedding !== null} ${named.experts !== null}`;
  let indices = known.get(key);
  if (indices === undefined) {
    indices = numberTensors(describeFile(groups), recipe);
    known.set(key, indices);
  }
  return indices;
}

/** Files are walked layer by layer, what is outside them first; groups come by name, so that theirs is the order in a layer. */
function numberTensors({ kinds, isTied }: FileDescription, recipe: Recipe): number[][] {
  const indices: number[][] = kinds.map(() => []);
  const placesByLayer = new Map<number, number[]>();
  kinds.forEach((kind, place) => {
    if (!kind.isQuantizable || namedType(kind, recipe) !== null) {
      return;
    }
    for (const layer of kind.group.layers ?? [OUTSIDE_LAYERS]) {
      const places = placesByLayer.get(layer);
      if (places === undefined) placesByLayer.set(layer, [place]);
      else places.push(place);
    }
  });
  const counts = new Map<RecipeCategory, number>();
  for (const layer of [...placesByLayer.keys()].sort((a, b) => a - b)) {
    for (const place of placesByLayer.get(layer) ?? []) {
      const category = categoryIn(kinds[place] as TensorKind, recipe.generation, isTied);
      const count = counts.get(category) ?? 0;
      counts.set(category, count + 1);
      indices[place]?.push(count);
    }
  }
  return indices;
}

/** What the recipe asks about a model. `groups` are the tensors of the file. */
export const describeModel: (architecture: Architecture, groups: readonly TensorGroup[]) => RecipeModel =
  oncePerPair(readModel);

function readModel(architecture: Architecture, groups: readonly TensorGroup[]): RecipeModel {
  const prediction = architecture.nextTokenPrediction;
  const queriesPerKvHead = queriesPerKvHeadOfFirstLayer(architecture);
  return {
    ggufArchitecture: architecture.ggufArchitecture,
    layers: architecture.layers.length + (prediction?.inGguf ? prediction.layers.length : 0),
    valueTensors: describeFile(groups).valueTensors,
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

/** Rules and raises for the tensors of a category in a file type. */
interface PlaceRules {
  rules: RecipeRule[];
  raises: (typeof RECIPE_RAISES)[number][];
  /** Whether tensors that are alike but for their layer may get different types. */
  askPlace: boolean;
}

const RULES_BY_PLACE = new Map<GgmlFileTypeName, Map<RecipeCategory, PlaceRules>>();

function rulesOf(fileType: GgmlFileTypeName, category: RecipeCategory): PlaceRules {
  let ofFileType = RULES_BY_PLACE.get(fileType);
  if (ofFileType === undefined) {
    ofFileType = new Map();
    RULES_BY_PLACE.set(fileType, ofFileType);
  }
  let found = ofFileType.get(category);
  if (found === undefined) {
    const isOfPlace = ({ fileTypes, categories }: Pick<RecipeRule, "fileTypes" | "categories">) =>
      fileTypes.includes(fileType) && categories.includes(category);
    const rules = RECIPE_RULES.filter(isOfPlace);
    const raises = RECIPE_RAISES.filter(isOfPlace);
    found = { rules, raises, askPlace: [...rules, ...raises].some(({ when }) => when.asksPlace) };
    ofFileType.set(category, found);
  }
  return found;
}

function chooseType({ rules, raises }: PlaceRules, question: RecipeQuestion): GgmlTypeName {
  const choice = rules.find(({ when }) => when.holds(question))?.type ?? question.baseType;
  return raises.find(({ when, from }) => from.includes(choice) && when.holds(question))?.to ?? choice;
}

function fitRows(type: GgmlTypeName, rowElements: number, first: Tensor, layer: number | null): GgmlTypeName {
  if (fitsWholeBlocks(type, rowElements)) {
    return type;
  }
  const fallback = ODD_ROW_FALLBACK[type];
  if (fallback === undefined) {
    const { name } = layer === null ? first : memberIn(first, layer);
    throw new QuantizationError(
      `llama-quantize cannot store ${name} as ${type}: its rows of ${rowElements} values are not whole blocks`,
    );
  }
  return fitsWholeBlocks(fallback, rowElements) ? fallback : LAST_FALLBACK;
}
