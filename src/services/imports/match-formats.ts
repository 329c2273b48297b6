import { isDeepStrictEqual } from "node:util";
import type { Catalogue } from "../../data/catalogue.js";
import type { ModelRow, QuantFormatRow } from "../../data/rows.js";
import { prepareModel } from "../../estimator/prepared-model.js";
import { QuantizationError } from "../../estimator/quantization/ggml-types.js";
import type { QuantScheme, UniformScheme } from "../../estimator/quantization/scheme.js";
import type { PublishedFile } from "./source-facts.js";

/** What the catalogue makes of a file. */
export interface FileMatch {
  /** The format that the file is in; null when the catalogue does not have it, or the file's size is not that of it. */
  quantFormat: QuantFormatRow | null;
  /** Whether a row is made of it. */
  becomesRow: boolean;
  /** Why no row was made, or none with a format. */
  note: string | null;
}

/**
 * How far a file's size may be from what its format's rule gives: publishers choose types of single tensors by rules of
 * their own, and tokenizers and prediction blocks come on top. A file of another model is further off.
 */
const LARGEST_DIFFERENCE = 0.15;

/**
 * Looks up the format of a file, and checks that its size is one that the model can have in it: an estimate in that format
 * takes the file's size for its weights.
 */
export function matchFile(file: PublishedFile, model: ModelRow, catalogue: Catalogue): FileMatch {
  if (file.repo === null) {
    return { quantFormat: null, becomesRow: false, note: "Only a file of a repository becomes a row: give repo." };
  }
  const isGguf = file.kind === "gguf";
  if (!isGguf && file.scheme === null) {
    return { quantFormat: null, becomesRow: false, note: "What it takes follows from its parameters." };
  }
  const found = file.scheme === null ? formatNamed(file.quantName, catalogue) : matchScheme(file.scheme, catalogue);
  if (found === null) {
    return { quantFormat: null, becomesRow: true, note: `The catalogue does not have the format "${file.quantName}".` };
  }
  const { architecture } = model;
  if (!isGguf && ((architecture.encoders ?? []).length > 0 || architecture.nextTokenPrediction !== undefined)) {
    const note = "It may hold towers and prediction blocks besides, so that its size is not that of the weights alone.";
    return { quantFormat: null, becomesRow: true, note };
  }
  const expected = expectedBytes(model, found.scheme);
  if (expected !== null && Math.abs(file.sizeBytes / expected - 1) > LARGEST_DIFFERENCE) {
    const note =
      `${found.name} of this model takes ${expected.toLocaleString("en")} bytes by the format's rule, ` +
      `the file ${file.sizeBytes.toLocaleString("en")}: it is not taken for a file in that format.`;
    return { quantFormat: null, becomesRow: true, note };
  }
  return { quantFormat: found, becomesRow: true, note: null };
}

/** The format of GGUF files that llama-quantize calls so. */
function formatNamed(quantName: string, catalogue: Catalogue): QuantFormatRow | null {
  const row = catalogue.quantFormats.bySlug.get(quantName.toLowerCase());
  return row !== undefined && row.archivedAt === null && row.scheme.kind === "ggml" ? row : null;
}

/** Bytes of a model's tensors in a format; null where the model cannot be stored in it. */
function expectedBytes({ architecture }: ModelRow, scheme: QuantScheme): number | null {
  try {
    return prepareModel(architecture, scheme).weights.bytes;
  } catch (error) {
    if (error instanceof QuantizationError) return null;
    throw error;
  }
}

/** The format of the catalogue whose rule a scheme is, whatever modules a checkpoint leaves alone. */
export function matchScheme(scheme: QuantScheme, catalogue: Catalogue): QuantFormatRow | null {
  const wanted = ruleOf(scheme);
  const rows = catalogue.quantFormats.rows.filter(({ archivedAt }) => archivedAt === null);
  return (
    rows.find((row) => isDeepStrictEqual(ruleOf(row.scheme), wanted)) ??
    rows.find((row) => isDeepStrictEqual(storageOf(row.scheme), storageOf(scheme))) ??
    null
  );
}

/** A scheme without what is particular to one checkpoint. */
function ruleOf(scheme: QuantScheme): object {
  const { publishedBytes, ...rule } = scheme;
  if (rule.kind !== "uniform") return asPlain(rule);
  const { keptModules, restType, quantizedRoles, ...storage } = rule as UniformScheme;
  return asPlain({ ...storage, quantizedRoles: [...quantizedRoles].sort() });
}

/** How the bulk of the weights is stored. */
function storageOf(scheme: QuantScheme): object {
  if (scheme.kind !== "uniform") return ruleOf(scheme);
  const { type, weightBits, scales, quantizedRoles } = scheme;
  // The output matrix is one of many, and quantizers leave it alone or list it among the exceptions.
  return asPlain({ type, weightBits, scales, roles: quantizedRoles.filter((role) => role !== "OUTPUT").sort() });
}

function asPlain(value: object): object {
  return JSON.parse(JSON.stringify(value)) as object;
}
