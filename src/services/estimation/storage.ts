import type { Catalogue } from "../../data/catalogue.js";
import type { ModelFileRow, ModelRow, QuantFormatRow } from "../../data/rows.js";
import { BadUserInputError } from "../../errors.js";
import type { Architecture } from "../../estimator/architecture/architecture.js";
import { prepareModel } from "../../estimator/prepared-model.js";
import { schemeFromConfig } from "../../estimator/quantization/checkpoint-scheme.js";
import { QuantizationError } from "../../estimator/quantization/ggml-types.js";
import type { QuantScheme } from "../../estimator/quantization/scheme.js";
import { filesOfModel } from "../catalogue/relations.js";
import { requireBySlug } from "../catalogue/suggestions.js";
import type { ArgumentPath } from "./types.js";

/** Stands for the storage that a pasted config names itself. */
export const CHECKPOINT = "checkpoint";

/** How the weights of an estimate are stored, and the published file that says how large they are. */
export interface Storage {
  scheme: QuantScheme;
  file: ModelFileRow | null;
}

/**
 * What a file holds beside its tensors is the tokenizer: some 64 bytes a token with its merges in a GGUF, up to 140 in a
 * repository (262,144 tokens: 15 and 33 MB). A file larger than its tensors by no more than this holds exactly the
 * tensors that the format's rule lists.
 */
const TOKENIZER_BYTES_PER_TOKEN = 145;

/**
 * The storage of a model's weights in a format: by the format's rule, and by the exact size of a published file where
 * the catalogue has one (or one is named).
 *
 * @throws BadUserInputError for a format or file that is not known, or a file of another model or format
 */
export function resolveStorage(
  quant: string,
  file: string | null | undefined,
  model: ModelRow | null,
  path: ArgumentPath,
  catalogue: Catalogue,
): Storage {
  const quantFormat = requireBySlug(catalogue.quantFormats, quant, [...path, "quant"], "quantization format");
  const published = resolveFile(file, model, quantFormat, [...path, "file"], catalogue);
  return storageIn(quantFormat, published, model);
}

/** The storage of a model's weights in a format of the catalogue, by its own choice of a published file. */
export function storageOfFormat(quantFormat: QuantFormatRow, model: ModelRow | null, catalogue: Catalogue): Storage {
  return storageIn(quantFormat, publishedFile(model, quantFormat, catalogue), model);
}

function storageIn(quantFormat: QuantFormatRow, file: ModelFileRow | null, model: ModelRow | null): Storage {
  if (file === null || model === null) return { scheme: quantFormat.scheme, file: null };
  return { scheme: schemeOfFile(file, model, quantFormat.scheme), file };
}

function resolveFile(
  slug: string | null | undefined,
  model: ModelRow | null,
  quantFormat: QuantFormatRow,
  path: ArgumentPath,
  catalogue: Catalogue,
): ModelFileRow | null {
  if (slug == null) return publishedFile(model, quantFormat, catalogue);
  const file = requireBySlug(catalogue.modelFiles, slug, path, "published file");
  if (file.modelId !== model?.id) {
    throw new BadUserInputError(`The file ${slug} is not one of the model asked for.`, path);
  }
  if (file.quantFormatId !== null && file.quantFormatId !== quantFormat.id) {
    throw new BadUserInputError(`The file ${slug} is not in the format ${quantFormat.slug}.`, path);
  }
  return file;
}

function publishedFile(model: ModelRow | null, quantFormat: QuantFormatRow, catalogue: Catalogue): ModelFileRow | null {
  if (model === null) return null;
  const isUsable = (row: ModelFileRow) => row.archivedAt === null && row.quantFormatId === quantFormat.id;
  return filesOfModel(catalogue.modelFiles, model.id).find(isUsable) ?? null;
}

/** Schemes by file and by the scheme they are made from, so that estimates of one file share their work. */
const schemesOfFiles = new WeakMap<ModelFileRow, WeakMap<QuantScheme, QuantScheme>>();

function schemeOfFile(file: ModelFileRow, { architecture }: ModelRow, scheme: QuantScheme): QuantScheme {
  const ofFile = schemesOfFiles.get(file) ?? new WeakMap<QuantScheme, QuantScheme>();
  schemesOfFiles.set(file, ofFile);
  let made = ofFile.get(scheme);
  if (made === undefined) {
    made = withPublishedSize(file.sizeBytes, architecture, scheme);
    ofFile.set(scheme, made);
  }
  return made;
}

function withPublishedSize(fileBytes: number, architecture: Architecture, scheme: QuantScheme): QuantScheme {
  const { bytes } = prepareModel(architecture, scheme).weights;
  const tokenizer = architecture.vocabularySize * TOKENIZER_BYTES_PER_TOKEN;
  const rest = fileBytes - bytes;
  return rest >= 0 && rest <= tokenizer
    ? scheme
    : { ...scheme, publishedBytes: Math.max(1, fileBytes - tokenizer / 2) };
}

/**
 * The storage that a pasted config.json names in its quantization_config, 16 bits where it names none; what is wrong
 * with it, which matters only to those who ask for it.
 */
export function checkpointStorage(config: unknown): QuantScheme | QuantizationError {
  try {
    return schemeFromConfig(config) ?? SIXTEEN_BITS;
  } catch (error) {
    if (error instanceof QuantizationError) return error;
    throw error;
  }
}

const SIXTEEN_BITS: QuantScheme = {
  kind: "uniform",
  type: "bf16",
  weightBits: 16,
  scales: [],
  quantizedRoles: [],
  restBits: 16,
};
