import type { Architecture } from "./architecture.js";
import { plain } from "./block-parts.js";
import { ConfigError } from "./config-error.js";
import { ConfigReader, type Path } from "./config-reader.js";
import { withEncoders } from "./decoder.js";
import { readEncoders } from "./encoders.js";
import type { Family } from "./family.js";
import { familyOfArchitecture, familyOfFields, familyOfModelType, knownModelTypes } from "./registry.js";
import { readRotaryTables } from "./rotary.js";
import { assertArchitecture } from "./validate.js";

/** Where multimodal configs keep the text model. */
const TEXT_PARTS = ["text_config", "language_config", "llm_config", "thinker_config"];
/** A text part may itself nest one (Qwen-Omni's thinker). */
const MAX_NESTING = 3;
/** Characters of a name that a message repeats. */
const LONGEST_NAME = 80;
/** Near names listed when an architecture is refused. */
const SUGGESTIONS = 5;

/**
 * Reads a Hugging Face config.json (transformers 4 and 5, nested text configs, quantized checkpoints) into the
 * description that the estimator works from.
 *
 * @throws ConfigError - INVALID, naming the field, for fields that are missing, of the wrong kind, absurd or
 *   contradictory; NOT_MODELLED for an architecture that is not described here, naming it and what is near.
 */
export function architectureFromConfig(config: unknown): Architecture {
  const root = ConfigReader.of(config);
  const { reader, family } = findTextModel(root);
  const described = withoutMissingOutput(family.describe(reader), reader, family);
  const rotaryTables = readRotaryTables(reader, described);
  const architecture = rotaryTables.length > 0 ? { ...described, rotaryTables } : described;
  return assertPossible(withEncoders(architecture, readEncoders(root, described.hiddenSize)));
}

/** Each field alone was possible; together they may still not be (widths multiplied, parameters in all). */
function assertPossible(architecture: Architecture): Architecture {
  try {
    return assertArchitecture(architecture);
  } catch (error) {
    if (!(error instanceof ConfigError) || error.path.length === 0) throw error;
    throw new ConfigError(`The fields of the configuration do not fit together: ${error.message}`, error.code);
  }
}

interface TextModel {
  reader: ConfigReader;
  family: Family;
}

/** The innermost text config with a family that describes it; outer objects fill in what it leaves out. */
function findTextModel(root: ConfigReader): TextModel {
  const readers = [root];
  for (let depth = 0; depth < MAX_NESTING; depth += 1) {
    const outer = readers[0];
    const inner = outer?.optionalObject(...TEXT_PARTS.filter((name) => outer.has(name)));
    if (!outer || !inner || samePath(inner.path, outer.path)) break;
    readers.unshift(inner);
  }
  for (const [index, reader] of readers.entries()) {
    const family = familyOf(reader);
    if (!family) continue;
    const innermost = readers[0] ?? reader;
    const outer = readers.slice(1).reduce((all, next) => all.withFallback(next), innermost);
    const isNested = readers.length > 1 || index > 0;
    const defaults = { ...family.assumed, ...(isNested ? family.defaults : {}) };
    return { family, reader: outer.withDefaults(defaults) };
  }
  throw notModelled(readers);
}

/** Heads that take the output matrix's place: rerankers and reward models. */
const OTHER_HEADS = /(ForSequenceClassification|ForTokenClassification|ForRewardModel)$/;
/** Bare models (embedders): `Qwen3Model`, `Gemma3TextModel`, `LlamaBidirectionalModel`. */
const BARE_MODEL = /(Text|Bidirectional)?Model$/;

/**
 * Bare models and models with other heads have no output matrix. A GGUF file of a bare model has one all the same,
 * unless its embeddings are tied: llama.cpp's causal architectures hold one, or the token embedding in its place.
 */
function withoutMissingOutput(architecture: Architecture, reader: ConfigReader, family: Family): Architecture {
  const names = reader.optionalTexts("architectures") ?? [];
  if (!architecture.hasOutput || names.length === 0) return architecture;
  const isBare = (name: string): boolean =>
    BARE_MODEL.test(name) && family.architectures.includes(name.replace(BARE_MODEL, "ForCausalLM"));
  if (!names.every((name) => OTHER_HEADS.test(name) || isBare(name))) return architecture;
  const { hiddenSize, vocabularySize, tiedEmbeddings, tensors } = architecture;
  const isInGguf = !tiedEmbeddings && names.every(isBare);
  const output = plain("output.weight", [hiddenSize, vocabularySize], "OUTPUT");
  return {
    ...architecture,
    hasOutput: false,
    tensors: isInGguf ? [...tensors, { ...output, isParameter: false }] : tensors,
  };
}

const samePath = (a: Path, b: Path): boolean => a.length === b.length;

function familyOf(reader: ConfigReader): Family | undefined {
  const modelType = reader.optionalText("model_type");
  const byType = modelType === undefined ? undefined : familyOfModelType(modelType);
  if (byType) return byType;
  const names = reader.optionalTexts("architectures") ?? [];
  for (const name of names) {
    const family = familyOfArchitecture(name);
    if (family) return family;
  }
  return modelType === undefined && names.length === 0 ? familyOfFields((field) => reader.has(field)) : undefined;
}

function notModelled(readers: readonly ConfigReader[]): ConfigError {
  const names = readers.flatMap((reader) => [
    ...(reader.optionalTexts("architectures") ?? []),
    ...(reader.has("model_type") ? [reader.optionalText("model_type") ?? ""] : []),
  ]);
  const root = readers[readers.length - 1];
  if (names.length === 0) {
    return new ConfigError(
      "model_type is missing, and so is architectures: nothing says which architecture this is.",
      "INVALID",
      ["model_type"],
    );
  }
  const modelType = root?.optionalText("model_type");
  const named = (modelType ?? names[0] ?? "").slice(0, LONGEST_NAME);
  const near = nearestNames(named, knownModelTypes());
  return new ConfigError(
    `The architecture "${named}" is not modelled, and its memory is not guessed. Near it: ${near.join(", ")}.`,
    "NOT_MODELLED",
    [modelType === undefined ? "architectures" : "model_type"],
  );
}

/** Known names that share the longest beginning with `name`. */
function nearestNames(name: string, known: readonly string[]): string[] {
  const wanted = name.toLowerCase();
  return known
    .map((candidate) => ({ candidate, shared: sharedPrefix(wanted, candidate) }))
    .sort((a, b) => b.shared - a.shared || a.candidate.length - b.candidate.length)
    .slice(0, SUGGESTIONS)
    .map(({ candidate }) => candidate);
}

function sharedPrefix(a: string, b: string): number {
  let length = 0;
  while (length < a.length && length < b.length && a[length] === b[length]) length += 1;
  return length;
}
