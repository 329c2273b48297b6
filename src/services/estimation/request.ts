import type { Catalogue } from "../../data/catalogue.js";
import type { GpuRow, KvCacheTypeRow, RuntimeRow } from "../../data/rows.js";
import { BadUserInputError } from "../../errors.js";
import type { Architecture } from "../../estimator/architecture/architecture.js";
import { ConfigError } from "../../estimator/architecture/config-error.js";
import { architectureFromConfig } from "../../estimator/architecture/from-config.js";
import { parseConfigText } from "../../estimator/architecture/parse-config-text.js";
import type { CacheType, EstimateRequest, LlamaCppSettings, RuntimeRequest } from "../../estimator/estimate.types.js";
import { decodeGlobalId } from "../catalogue/global-ids.js";
import { requireBySlug } from "../catalogue/suggestions.js";
import { resolveHardware } from "./devices.js";
import type { ArgumentPath, EstimateInput, LlamaCppInput, ModelRef, RuntimeInput } from "./types.js";

/** Runtimes this service estimates for, by the slug of their rows. */
const LLAMA_CPP = "llama-cpp";
const RULE_OF_THUMB = "rule-of-thumb";

/** llama.cpp's own defaults (common/common.h), the same as the defaults in the schema. */
const LLAMA_CPP_DEFAULTS: LlamaCppInput = {
  ubatchSize: 512,
  batchSize: 2048,
  flashAttention: true,
  kvUnified: true,
  swaFull: false,
  cpuMoeLayers: 0,
  splitMode: "LAYER",
};

/** Above this share the rule of thumb is a slip, such as 10 for 10%. */
const MAX_RULE_OF_THUMB_OVERHEAD = 5;

/** An estimator's request and the catalogue's cards behind its devices. */
export interface ResolvedRequest {
  request: EstimateRequest;
  /** Card of each device; empty when no hardware was given. */
  gpus: readonly GpuRow[];
  runtime: RuntimeRow;
}

/**
 * Looks up everything an EstimateInput names and checks its numbers: the one bridge from the API to the estimator.
 *
 * @throws BadUserInputError with the path of the value at fault
 */
export function resolveRequest(input: EstimateInput, path: ArgumentPath, catalogue: Catalogue): ResolvedRequest {
  const architecture = resolveModel(input.model, [...path, "model"], catalogue);
  const quantFormat = requireBySlug(catalogue.quantFormats, input.quant, [...path, "quant"], "quantization format");
  requireCount(input.context, [...path, "context"], "The context", "tokens");
  requireCount(input.sequences, [...path, "sequences"], "The number of sequences", "sequences");
  const { runtime, request: runtimeRequest } = resolveRuntime(input.runtime ?? {}, [...path, "runtime"], catalogue);
  const cacheTypeK = resolveCacheType(input.cacheTypeK, [...path, "cacheTypeK"], catalogue, runtime);
  const cacheTypeV = resolveCacheType(input.cacheTypeV, [...path, "cacheTypeV"], catalogue, runtime);
  const hardware = input.hardware
    ? resolveHardware(input.hardware, [...path, "hardware"], catalogue, runtime)
    : undefined;
  return {
    request: {
      architecture,
      scheme: quantFormat.scheme,
      contextTokens: input.context,
      sequences: input.sequences,
      runtime: runtimeRequest,
      ...(cacheTypeK && { cacheTypeK }),
      ...(cacheTypeV && { cacheTypeV }),
      ...(hardware && { devices: hardware.devices }),
    },
    gpus: hardware?.gpus ?? [],
    runtime,
  };
}

function resolveModel(ref: ModelRef, path: ArgumentPath, catalogue: Catalogue): Architecture {
  if (typeof ref.slug === "string") {
    return requireBySlug(catalogue.models, ref.slug, [...path, "slug"], "model").architecture;
  }
  if (typeof ref.id === "string") {
    const id = decodeGlobalId(ref.id);
    const model = id?.type === "Model" ? catalogue.models.byId.get(id.id) : undefined;
    if (!model) throw new BadUserInputError(`There is no model with the id "${ref.id}".`, [...path, "id"]);
    return model.architecture;
  }
  return readConfig(ref.huggingFaceConfig, [...path, "huggingFaceConfig"]);
}

/** Descriptions read from pasted configs, kept as long as their text is asked for again and again. */
const CONFIGS_KEPT = 200;
const readConfigs = new Map<string, Architecture>();

function readConfig(config: unknown, path: ArgumentPath): Architecture {
  const text = typeof config === "string" ? config : (JSON.stringify(config) ?? "");
  const known = readConfigs.get(text);
  if (known) return known;
  try {
    const architecture = architectureFromConfig(parseConfigText(text));
    if (readConfigs.size >= CONFIGS_KEPT) readConfigs.delete(readConfigs.keys().next().value ?? "");
    readConfigs.set(text, architecture);
    return architecture;
  } catch (error) {
    if (error instanceof ConfigError) throw new BadUserInputError(error.message, [...path, ...error.path.map(String)]);
    throw error;
  }
}

function resolveRuntime(
  input: RuntimeInput,
  path: ArgumentPath,
  catalogue: Catalogue,
): { runtime: RuntimeRow; request: RuntimeRequest } {
  if (input.ruleOfThumb) {
    const { overhead } = input.ruleOfThumb;
    if (!(overhead >= 0 && overhead <= MAX_RULE_OF_THUMB_OVERHEAD)) {
      throw new BadUserInputError(
        `The overhead is a share of weights and cache from 0 to ${MAX_RULE_OF_THUMB_OVERHEAD}, such as 0.1 for 10%; it was ${overhead}.`,
        [...path, "ruleOfThumb", "overhead"],
      );
    }
    return { runtime: requireRuntime(RULE_OF_THUMB, catalogue), request: { kind: "rule-of-thumb", overhead } };
  }
  const settings = { ...LLAMA_CPP_DEFAULTS, ...input.llamaCpp };
  return {
    runtime: requireRuntime(LLAMA_CPP, catalogue),
    request: { kind: "llama-cpp", settings: withoutNulls(settings) },
  };
}

/** An input's null means the same as its absence. */
function withoutNulls({ outputRows, gpuLayers, ...settings }: LlamaCppInput): LlamaCppSettings {
  return {
    ...settings,
    ...(typeof outputRows === "number" && { outputRows }),
    ...(typeof gpuLayers === "number" && { gpuLayers }),
  };
}

function requireRuntime(slug: string, catalogue: Catalogue): RuntimeRow {
  const runtime = catalogue.runtimes.bySlug.get(slug);
  if (!runtime) throw new Error(`the catalogue has no runtime "${slug}"`);
  return runtime;
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
  return { slug: row.slug, blockElements: row.blockElements, blockBytes: row.blockBytes };
}

function requireCount(value: number, path: ArgumentPath, what: string, unit: string): void {
  if (Number.isInteger(value) && value >= 1) return;
  throw new BadUserInputError(`${what} is a whole number of ${unit}, at least 1; it was ${value}.`, path);
}
