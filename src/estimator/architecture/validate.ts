import { describeBlockTensors } from "../tensors/list-tensors.js";
import type { Architecture, Block } from "./architecture.js";
import { ConfigError } from "./config-error.js";
import { ConfigReader, invalid } from "./config-reader.js";
import {
  MAX_CONTEXT_TOKENS,
  MAX_EXPERTS,
  MAX_LAYERS,
  MAX_PARAMETERS,
  MAX_PREDICTION_BLOCKS,
  MAX_VOCABULARY,
} from "./limits.js";

/** Tensors stated outright, of one block or outside the blocks. */
const MAX_PLAIN_TENSORS = 500;
/** Dimensions of a ggml tensor. */
const MAX_DIMENSIONS = 4;

const ROLES = [
  "TOKEN_EMBEDDING",
  "OUTPUT",
  "ATTENTION",
  "INDEXER",
  "RECURRENT",
  "FEED_FORWARD",
  "ROUTER",
  "EXPERTS",
  "SHARED_EXPERTS",
  "NORM",
  "PER_LAYER_EMBEDDING",
  "NEXT_TOKEN_PREDICTION",
  "OTHER",
];

/** Fields of one kind of part: whole numbers of at least 1 (or 0), and flags. */
interface PartFields {
  sizes: string[];
  counts?: string[];
  nullableSizes?: string[];
  flags?: string[];
}

const ATTENTION_FIELDS: Record<string, PartFields> = {
  grouped: {
    sizes: ["heads", "kvHeads", "keyDim", "valueDim"],
    flags: ["fusedQkv", "gatedQuery", "outputGate", "valueIsKey", "sharesCache", "ownsNoKeys", "uncached", "noRope"],
  },
  latent: {
    sizes: ["heads", "kvRank", "valueDim"],
    counts: ["ropeDim", "nopeDim"],
    nullableSizes: ["queryRank"],
    flags: ["cachesExpanded", "outputGate"],
  },
  compressed: {
    sizes: ["heads", "keyDim", "ropeDim", "queryRank", "outputGroups", "outputRank"],
    counts: ["compressRatio"],
  },
};

const RECURRENT_FIELDS: Record<string, PartFields> = {
  "gated-delta-net": {
    sizes: ["keyHeads", "keyDim", "valueHeads", "valueDim", "convKernel"],
    flags: ["fusedRates"],
  },
  "kimi-delta-attention": { sizes: ["heads", "headDim", "convKernel"], flags: ["fullRankGate", "fullRankDecay"] },
  mamba1: { sizes: ["innerSize", "stateSize", "timeStepRank", "convKernel"], flags: ["normed"] },
  mamba2: { sizes: ["innerSize", "stateSize", "heads", "groups", "convKernel"], flags: ["convBias", "normed"] },
  "short-convolution": { sizes: ["convKernel"] },
  lightning: { sizes: ["heads", "headDim"] },
};

/**
 * Checks that a value (a description given as JSON) is an {@link Architecture} whose numbers are possible and
 * agree with one another, and returns it.
 *
 * @throws ConfigError (INVALID) naming the field by its path.
 */
export function assertArchitecture(value: unknown): Architecture {
  const root = ConfigReader.of(value);
  if (root.whole(["schemaVersion"], { min: 1 }) !== 1) throw root.invalid("schemaVersion", "must be 1");
  requireText(root, "modelType");
  root.optionalText("ggufArchitecture");
  root.whole(["vocabularySize"], { min: 1, max: MAX_VOCABULARY });
  root.size("hiddenSize");
  root.optionalSize("residualStreams");
  root.optionalSize("recurrentStateBytes");
  root.whole(["contextLength"], { min: 1, max: MAX_CONTEXT_TOKENS });
  requireFlag(root, "tiedEmbeddings");
  requireFlag(root, "hasOutput");
  const blocks = checkBlocks(root.object("blocks"), value as Architecture);
  checkLayers(root, "layers", blocks, MAX_LAYERS);
  checkPlainTensors(root, "tensors");
  const prediction = root.optionalObject("nextTokenPrediction");
  if (prediction) {
    checkLayers(prediction, "layers", blocks, MAX_PREDICTION_BLOCKS);
    for (const name of ["inGguf", "loadedByLlamaCpp", "cachedByLlamaCpp"]) requireFlag(prediction, name);
  }
  for (const encoder of root.optionalObjects("encoders") ?? []) {
    checkChoice(encoder, "kind", ["vision", "audio"]);
    encoder.whole(["parameters"], { min: 0, max: MAX_PARAMETERS });
    encoder.optionalText("modelType");
    encoder.optionalWhole(["injectedLayers"], { min: 1, max: MAX_LAYERS });
  }
  for (const table of root.optionalObjects("rotaryTables") ?? []) {
    table.size("width");
    table.whole(["positions"], { min: 1, max: MAX_CONTEXT_TOKENS });
    table.optionalFlag("sectioned");
  }
  const architecture = value as Architecture;
  checkTotal(architecture);
  return architecture;
}

function checkBlocks(blocks: ConfigReader, architecture: Architecture): ReadonlySet<string> {
  const names = Object.keys(architecture.blocks);
  if (names.length > MAX_LAYERS)
    throw invalid(blocks.path, `has ${names.length} blocks; at most ${MAX_LAYERS} are read`);
  for (const name of names) checkBlock(blocks.object(name));
  return new Set(names);
}

function checkBlock(block: ConfigReader): void {
  const attention = block.optionalObject("attention");
  if (attention) checkAttention(attention);
  const recurrent = block.optionalObject("recurrent");
  if (recurrent) checkRecurrent(recurrent);
  const feedForward = block.optionalObject("feedForward");
  if (feedForward) {
    feedForward.size("size");
    requireFlag(feedForward, "gated");
    feedForward.optionalFlag("fusedGateUp");
  }
  const experts = block.optionalObject("experts");
  if (experts) checkExperts(experts);
  checkPlainTensors(block, "tensors");
}

function checkAttention(attention: ConfigReader): void {
  const kind = checkPart(attention, ATTENTION_FIELDS);
  const window = attention.optionalObject("window");
  if (window) {
    checkChoice(window, "kind", ["sliding", "chunked"]);
    window.whole(["size"], { min: 1, max: MAX_CONTEXT_TOKENS });
  } else if (kind === "compressed") {
    attention.object("window");
  }
  const indexer = attention.optionalObject("indexer");
  if (indexer) for (const name of ["heads", "keyDim", "topK"]) indexer.size(name);
  if (kind === "grouped") attention.optionalSize("queryRank");
  attention.optionalWhole(["crossTokens"], { min: 1, max: MAX_CONTEXT_TOKENS });
  if (kind === "grouped") checkDivides(attention, "kvHeads", "heads");
  if (kind === "compressed") checkDivides(attention, "outputGroups", "heads");
}

function checkRecurrent(recurrent: ConfigReader): void {
  if (checkPart(recurrent, RECURRENT_FIELDS) === "mamba2") checkDivides(recurrent, "groups", "innerSize");
}

function checkExperts(experts: ConfigReader): void {
  const count = experts.whole(["count"], { min: 1, max: MAX_EXPERTS });
  const used = experts.size("used");
  if (used > count) throw experts.invalid("used", `is ${used}, more than the ${count} experts there are`);
  experts.size("size");
  requireFlag(experts, "gated");
  experts.optionalFlag("fusedGateUp");
  experts.optionalSize("latentSize");
  experts.optionalFlag("latentNorm");
  const shared = experts.optionalObject("shared");
  if (shared) {
    shared.size("size");
    requireFlag(shared, "gated");
    shared.optionalFlag("hasGateVector");
  }
}

/** Checks the fields of one kind of part and returns the kind. */
function checkPart(part: ConfigReader, kinds: Record<string, PartFields>): string {
  const kind = checkChoice(part, "kind", Object.keys(kinds));
  const fields = kinds[kind];
  for (const name of fields?.sizes ?? []) part.size(name);
  for (const name of fields?.counts ?? []) part.count(name);
  for (const name of fields?.nullableSizes ?? []) part.optionalSize(name);
  for (const name of fields?.flags ?? []) part.optionalFlag(name);
  return kind;
}

function checkLayers(owner: ConfigReader, name: string, blocks: ReadonlySet<string>, max: number): void {
  const layers = owner.optionalTexts(name);
  if (!layers) throw owner.invalid(name, "is missing");
  if (layers.length === 0) throw owner.invalid(name, "is empty: a model has at least one layer");
  if (layers.length > max) throw owner.invalid(name, `has ${layers.length} entries; at most ${max} are read`);
  layers.forEach((block, index) => {
    if (!blocks.has(block)) {
      throw invalid([...owner.path, name, index], `names the block "${block}", which is not in blocks`);
    }
  });
}

function checkPlainTensors(owner: ConfigReader, name: string): void {
  const tensors = owner.optionalObjects(name);
  if (!tensors) throw owner.invalid(name, "is missing");
  if (tensors.length > MAX_PLAIN_TENSORS) {
    throw owner.invalid(name, `has ${tensors.length} entries; at most ${MAX_PLAIN_TENSORS} are read`);
  }
  for (const tensor of tensors) {
    requireText(tensor, "name");
    checkChoice(tensor, "role", ROLES);
    const shape = tensor.optionalWholes(["shape"], { min: 1, max: MAX_VOCABULARY });
    if (!shape) throw tensor.invalid("shape", "is missing");
    if (shape.length < 1 || shape.length > MAX_DIMENSIONS) {
      throw tensor.invalid("shape", `must have 1 to ${MAX_DIMENSIONS} dimensions, but has ${shape.length}`);
    }
    for (const flag of ["isParameter", "isInteger", "isLeftOutOfGguf", "isInputTable"]) tensor.optionalFlag(flag);
  }
}

/** Keeps every later sum of bytes a safe integer. */
function checkTotal(architecture: Architecture): void {
  const { hiddenSize, vocabularySize, layers, blocks } = architecture;
  const blockElements = new Map<string, number>();
  for (const [name, block] of Object.entries(blocks)) blockElements.set(name, countElements(block, hiddenSize));
  const inLayers = [...layers, ...(architecture.nextTokenPrediction?.layers ?? [])].reduce(
    (sum, name) => sum + (blockElements.get(name) ?? 0),
    0,
  );
  const outside = architecture.tensors.reduce((sum, { shape }) => sum + product(shape), 0);
  const total = inLayers + outside + 2 * hiddenSize * vocabularySize;
  if (total > MAX_PARAMETERS) {
    throw new ConfigError(
      `The configuration adds up to ${total.toExponential(1)} parameters, a hundred times more than any model has.`,
      "INVALID",
    );
  }
}

function countElements(block: Block, hiddenSize: number): number {
  return describeBlockTensors(block, hiddenSize).reduce((sum, { shape }) => sum + product(shape), 0);
}

const product = (shape: readonly number[]): number => shape.reduce((all, width) => all * width, 1);

function checkDivides(part: ConfigReader, divisor: string, whole: string): void {
  if (part.size(whole) % part.size(divisor) !== 0) {
    throw part.invalid(divisor, `is ${part.size(divisor)}, which does not divide ${whole} (${part.size(whole)})`);
  }
}

function checkChoice(owner: ConfigReader, name: string, choices: readonly string[]): string {
  const choice = requireText(owner, name);
  if (!choices.includes(choice)) {
    throw owner.invalid(name, `must be one of ${choices.join(", ")}, but is ${JSON.stringify(choice)}`);
  }
  return choice;
}

function requireText(owner: ConfigReader, name: string): string {
  const text = owner.optionalText(name);
  if (text === undefined) throw owner.invalid(name, "is missing");
  return text;
}

function requireFlag(owner: ConfigReader, name: string): void {
  if (owner.optionalFlag(name) === undefined) throw owner.invalid(name, "is missing");
}
