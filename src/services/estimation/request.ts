import type { Catalogue } from "../../data/catalogue.js";
import type { GpuRow, KvCacheTypeRow, ModelFileRow, ModelRow, RuntimeRow, SystemRow } from "../../data/rows.js";
import { BadUserInputError } from "../../errors.js";
import type { Architecture } from "../../estimator/architecture/architecture.js";
import { ConfigError } from "../../estimator/architecture/config-error.js";
import { architectureFromConfig } from "../../estimator/architecture/from-config.js";
import { parseConfigText } from "../../estimator/architecture/parse-config-text.js";
import { MIB } from "../../estimator/byte-units.js";
import type { ExtraConsumers } from "../../estimator/consumers/consumers.types.js";
import type { CacheType, EstimateRequest } from "../../estimator/estimate.types.js";
import { EstimateError } from "../../estimator/estimate-error.js";
import { QuantizationError } from "../../estimator/quantization/ggml-types.js";
import type { QuantScheme } from "../../estimator/quantization/scheme.js";
import { decodeGlobalId } from "../catalogue/global-ids.js";
import { requireBySlug } from "../catalogue/suggestions.js";
import { keepRecent } from "../kept.js";
import { describeCacheType } from "./cache-types.js";
import { resolveHardware } from "./devices.js";
import { inputPathOf } from "./input-path.js";
import { type ResolvedRuntime, resolveRuntime } from "./runtimes.js";
import { CHECKPOINT, checkpointStorage, resolveStorage, type Storage } from "./storage.js";
import type { ArgumentPath, EstimateInput, ExtrasInput, ModelRef, RuntimeInput } from "./types.js";

/** The rule of thumb takes any type of cache. */
const RULE_OF_THUMB = "rule-of-thumb";

/** An estimator's request and the catalogue's cards behind its devices. */
export interface ResolvedRequest {
  request: EstimateRequest;
  /** The catalogue's row of the model; null for a pasted config. */
  model: ModelRow | null;
  /** Card of each device; empty when no hardware was given. */
  gpus: readonly GpuRow[];
  /** The system that was named as hardware. */
  system: SystemRow | null;
  runtime: RuntimeRow;
  /** The published file whose size was taken. */
  file: ModelFileRow | null;
}

/**
 * Looks up everything an EstimateInput names and checks its numbers: the one bridge from the API to the estimator.
 *
 * @throws BadUserInputError with the path of the value at fault
 */
export function resolveRequest(input: EstimateInput, path: ArgumentPath, catalogue: Catalogue): ResolvedRequest {
  const model = resolveModel(input.model, [...path, "model"], catalogue);
  const { scheme, file } = storageOf(model, input.quant, input.file, path, catalogue);
  const { runtime, settings } = resolveSettings(input, path, catalogue);
  const hardware = input.hardware
    ? resolveHardware(input.hardware, [...path, "hardware"], catalogue, runtime)
    : undefined;
  const request: EstimateRequest = {
    architecture: model.architecture,
    scheme,
    ...settings,
    ...(hardware && { devices: hardware.devices }),
    ...(hardware?.hostMemory && { hostMemory: hardware.hostMemory }),
  };
  const extras = input.extras && resolveExtras(input.extras, [...path, "extras"], catalogue)(request);
  return {
    request: { ...request, ...(extras && { extras }) },
    model: model.row,
    gpus: hardware?.gpus ?? [],
    system: hardware?.system ?? null,
    runtime,
    file,
  };
}

/** How a model is run, whichever it is. */
export interface ResolvedSettings {
  runtime: RuntimeRow;
  settings: Pick<EstimateRequest, "contextTokens" | "sequences" | "runtime" | "cacheTypeK" | "cacheTypeV">;
}

/**
 * The part of an EstimateInput that says how a model is run.
 *
 * @throws BadUserInputError with the path of the value at fault
 */
export function resolveSettings(
  input: Pick<EstimateInput, "context" | "sequences" | "cacheTypeK" | "cacheTypeV" | "runtime">,
  path: ArgumentPath,
  catalogue: Catalogue,
): ResolvedSettings {
  requireCount(input.context, [...path, "context"], "The context", "tokens");
  requireCount(input.sequences, [...path, "sequences"], "The number of sequences", "sequences");
  const { runtime, request } = requireEngine(input.runtime ?? {}, path, catalogue);
  const cacheTypeK = resolveCacheType(input.cacheTypeK, [...path, "cacheTypeK"], catalogue, runtime);
  const cacheTypeV = resolveCacheType(input.cacheTypeV, [...path, "cacheTypeV"], catalogue, runtime);
  return {
    runtime,
    settings: {
      contextTokens: input.context,
      sequences: input.sequences,
      runtime: request,
      ...(cacheTypeK && { cacheTypeK }),
      ...(cacheTypeV && { cacheTypeV }),
    },
  };
}

/** The engine that an input names; a version that it never had is the input's fault. */
function requireEngine(input: RuntimeInput, path: ArgumentPath, catalogue: Catalogue): ResolvedRuntime {
  try {
    return resolveRuntime(input, [...path, "runtime"], catalogue);
  } catch (error) {
    throw error instanceof EstimateError
      ? new BadUserInputError(error.message, [...path, ...inputPathOf(error.path, input)])
      : error;
  }
}

/** A model of the catalogue, or one described by a pasted config. */
interface ResolvedModel {
  architecture: Architecture;
  row: ModelRow | null;
  /** Storage that a pasted config names itself, or what is wrong with it. */
  checkpoint: QuantScheme | QuantizationError | null;
}

function resolveModel(ref: ModelRef, path: ArgumentPath, catalogue: Catalogue): ResolvedModel {
  if (typeof ref.slug === "string") {
    return ofRow(requireBySlug(catalogue.models, ref.slug, [...path, "slug"], "model"));
  }
  if (typeof ref.id === "string") {
    const id = decodeGlobalId(ref.id);
    const model = id?.type === "Model" ? catalogue.models.byId.get(id.id) : undefined;
    if (!model) throw new BadUserInputError(`There is no model with the id "${ref.id}".`, [...path, "id"]);
    return ofRow(model);
  }
  return readConfig(ref.huggingFaceConfig, [...path, "huggingFaceConfig"]);
}

function ofRow(row: ModelRow): ResolvedModel {
  return { architecture: row.architecture, row, checkpoint: null };
}

function storageOf(
  { row, checkpoint }: ResolvedModel,
  quant: string,
  file: string | null | undefined,
  path: ArgumentPath,
  catalogue: Catalogue,
): Storage {
  if (quant !== CHECKPOINT) return resolveStorage(quant, file, row, path, catalogue);
  if (checkpoint instanceof QuantizationError) {
    throw new BadUserInputError(checkpoint.message, [...path, "model", "huggingFaceConfig", "quantization_config"]);
  }
  if (checkpoint !== null) return { scheme: checkpoint, file: null };
  throw new BadUserInputError(
    `Only a pasted config says how its checkpoint is stored; name a quantization format instead of "${CHECKPOINT}".`,
    [...path, "quant"],
  );
}

/** Descriptions read from pasted configs, kept as long as their text is asked for again and again. */
const CONFIGS_KEPT = 200;
const readConfigs = keepRecent<ResolvedModel>(CONFIGS_KEPT);

function readConfig(config: unknown, path: ArgumentPath): ResolvedModel {
  const text = typeof config === "string" ? config : (JSON.stringify(config) ?? "");
  try {
    return readConfigs.get(text, () => {
      const parsed = parseConfigText(text);
      return { architecture: architectureFromConfig(parsed), row: null, checkpoint: checkpointStorage(parsed) };
    });
  } catch (error) {
    if (error instanceof ConfigError) throw new BadUserInputError(error.message, [...path, ...error.path.map(String)]);
    throw error;
  }
}

/** What stands beside a model, whichever it is: the same draft model for each, in the same engine. */
export type ExtrasOf = (run: Pick<EstimateRequest, "contextTokens" | "sequences" | "runtime">) => ExtraConsumers;

/**
 * Looks up what an ExtrasInput names.
 *
 * @throws BadUserInputError with the path of the value at fault
 */
export function resolveExtras(input: ExtrasInput, path: ArgumentPath, catalogue: Catalogue): ExtrasOf {
  const { lora, draftModel, predictionHead, vision, displayReserveMib } = input;
  const draft = draftModel && resolveDraft(draftModel, [...path, "draftModel"], catalogue);
  return ({ contextTokens, sequences, runtime }) => ({
    ...(lora && { lora: { ...lora } }),
    ...(draft && {
      draftModel: {
        request: { ...draft, contextTokens: draftModel?.context ?? contextTokens, sequences, runtime },
        followsModel: typeof draftModel?.context !== "number",
      },
    }),
    ...(predictionHead && { predictionHead: { ...predictionHead } }),
    ...(vision && { vision: { ...vision } }),
    displayReserveBytes: displayReserveMib * MIB,
  });
}

function resolveDraft(
  { model: ref, quant }: { model: ModelRef; quant: string },
  path: ArgumentPath,
  catalogue: Catalogue,
): Pick<EstimateRequest, "architecture" | "scheme"> {
  const model = resolveModel(ref, [...path, "model"], catalogue);
  return { architecture: model.architecture, scheme: storageOf(model, quant, null, path, catalogue).scheme };
}

function resolveCacheType(
  slug: string | null | undefined,
  path: ArgumentPath,
  catalogue: Catalogue,
  runtime: RuntimeRow,
): CacheType | undefined {
  if (typeof slug !== "string") return undefined;
  const row = requireBySlug(catalogue.kvCacheTypes, slug, path, "KV-cache type");
  if (runtime.slug !== RULE_OF_THUMB && !row.runtimes.includes(runtime.slug)) {
    const offered = catalogue.kvCacheTypes.rows.filter(
      (other: KvCacheTypeRow) => other.archivedAt === null && other.runtimes.includes(runtime.slug),
    );
    const slugs = offered.map((other) => other.slug);
    throw new BadUserInputError(
      `${runtime.name} has no KV-cache type ${row.slug}; it offers ${slugs.join(", ")}.`,
      path,
      slugs,
    );
  }
  return describeCacheType(row);
}

function requireCount(value: number, path: ArgumentPath, what: string, unit: string): void {
  if (Number.isInteger(value) && value >= 1) return;
  throw new BadUserInputError(`${what} is a whole number of ${unit}, at least 1; it was ${value}.`, path);
}
