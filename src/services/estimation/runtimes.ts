import type { Catalogue } from "../../data/catalogue.js";
import type { RuntimeRow } from "../../data/rows.js";
import { BadUserInputError } from "../../errors.js";
import type { RuntimeRequest } from "../../estimator/estimate.types.js";
import { EstimateError } from "../../estimator/estimate-error.js";
import { readExllamaConstants } from "../../estimator/runtimes/exllama/read-exllama-constants.js";
import { readKernelRules } from "../../estimator/runtimes/kernels.js";
import { readMlxConstants } from "../../estimator/runtimes/mlx/read-mlx-constants.js";
import { readSglangConstants } from "../../estimator/runtimes/sglang/read-sglang-constants.js";
import { readTensorrtLlmConstants } from "../../estimator/runtimes/tensorrt-llm/read-tensorrt-llm-constants.js";
import { readTransformersConstants } from "../../estimator/runtimes/transformers/read-transformers-constants.js";
import { readVllmConstants } from "../../estimator/runtimes/vllm/read-vllm-constants.js";
import { readSpeedConstants } from "../../estimator/speed/read-speed-constants.js";
import type { ArgumentPath, LlamaCppInput, RuntimeInput, VersionedInput } from "./types.js";

/** llama.cpp's own defaults (common/common.h), the same as the defaults in the schema. */
export const LLAMA_CPP_DEFAULTS: LlamaCppInput = {
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

/** An engine of the catalogue, and what the estimator is asked of it. */
export interface ResolvedRuntime {
  runtime: RuntimeRow;
  request: RuntimeRequest;
}

/** The settings of each engine, as the key of RuntimeInput that holds them. */
type Engine = keyof RuntimeInput;

/** The slug of each engine's row. */
const SLUGS: Readonly<Record<Engine, string>> = {
  llamaCpp: "llama-cpp",
  vllm: "vllm",
  sglang: "sglang",
  tensorrtLlm: "tensorrt-llm",
  transformers: "transformers",
  mlx: "mlx",
  exllama: "exllama",
  ruleOfThumb: "rule-of-thumb",
};

/** The engine that an input names, by the key of its settings; llama.cpp if it names none. */
export function engineOf(input: RuntimeInput): Engine {
  return (Object.keys(SLUGS) as Engine[]).find((key) => input[key] != null) ?? "llamaCpp";
}

/** The catalogue's row of the engine that an input names. */
export function runtimeOf(input: RuntimeInput, catalogue: Catalogue): RuntimeRow {
  return requireRuntime(SLUGS[engineOf(input)], catalogue);
}

/**
 * Finds the engine of an input, llama.cpp if none is named, with the constants of the version asked for.
 *
 * @throws EstimateError for a version that is not known
 */
export function resolveRuntime(input: RuntimeInput, path: ArgumentPath, catalogue: Catalogue): ResolvedRuntime {
  const engine = engineOf(input);
  const runtime = requireRuntime(SLUGS[engine], catalogue);
  return { runtime, request: requestOf(engine, input, runtime, [...path, engine]) };
}

/** Whether the estimator computes an engine by this slug. */
export function isEngine(slug: string): boolean {
  return Object.values(SLUGS).includes(slug);
}

const constantReaders: Partial<Record<Engine, (constants: RuntimeRow["constants"]) => unknown>> = {
  vllm: readVllmConstants,
  sglang: readSglangConstants,
  tensorrtLlm: readTensorrtLlmConstants,
  transformers: readTransformersConstants,
  mlx: readMlxConstants,
  exllama: readExllamaConstants,
};

/** Why an engine could not be computed with these constants, in a sentence; null when it can, or has no rules here. */
export function explainUnusable(slug: string, constants: RuntimeRow["constants"]): string | null {
  const engine = (Object.keys(SLUGS) as Engine[]).find((key) => SLUGS[key] === slug);
  try {
    if (engine === undefined) return null;
    constantReaders[engine]?.(constants);
    readSpeedConstants(slug, constants);
    readKernelRules(slug, constants);
    return null;
  } catch (error) {
    if (error instanceof EstimateError) return error.message;
    throw error;
  }
}

function requestOf(engine: Engine, input: RuntimeInput, row: RuntimeRow, path: ArgumentPath): RuntimeRequest {
  switch (engine) {
    case "llamaCpp":
      return { kind: "llama-cpp", settings: withoutNulls({ ...LLAMA_CPP_DEFAULTS, ...input.llamaCpp }) };
    case "vllm":
      return { kind: "vllm", ...versioned(input.vllm, row, readVllmConstants) };
    case "sglang":
      return { kind: "sglang", ...versioned(input.sglang, row, readSglangConstants) };
    case "tensorrtLlm":
      return { kind: "tensorrt-llm", ...versioned(input.tensorrtLlm, row, readTensorrtLlmConstants) };
    case "transformers":
      return { kind: "transformers", ...versioned(input.transformers, row, readTransformersConstants) };
    case "mlx":
      return { kind: "mlx", ...versioned(input.mlx, row, readMlxConstants) };
    case "exllama":
      return { kind: "exllama", ...versioned(input.exllama, row, readExllamaConstants) };
    case "ruleOfThumb":
      return { kind: "rule-of-thumb", overhead: requireOverhead(input.ruleOfThumb?.overhead ?? 0, path) };
  }
}

/** The settings without the version, and the constants that hold in it. */
function versioned<Input extends VersionedInput, Constants>(
  input: Input | null | undefined,
  row: RuntimeRow,
  read: (constants: RuntimeRow["constants"], version?: string) => Constants,
): { settings: Settings<Omit<Input, "version">>; constants: Constants } {
  const { version, ...settings } = input ?? ({} as Input);
  const isOwn = typeof version !== "string" || version === row.constants.version;
  return {
    settings: withoutNulls(settings),
    constants: isOwn ? constantsOf(row, read) : read(row.constants, version),
  };
}

/** Whether a request is for the newest version that the row describes, or for an engine whose versions do not differ. */
export function isOwnVersion(request: RuntimeRequest, row: RuntimeRow): boolean {
  return !("constants" in request) || ownConstants.get(row) === request.constants;
}

const ownConstants = new WeakMap<RuntimeRow, unknown>();

/** The constants of a row's own version, read once. */
function constantsOf<Constants>(row: RuntimeRow, read: (constants: RuntimeRow["constants"]) => Constants): Constants {
  let constants = ownConstants.get(row) as Constants | undefined;
  if (constants === undefined) {
    constants = read(row.constants);
    ownConstants.set(row, constants);
  }
  return constants;
}

/** An input without its nulls, which mean the same as absence. */
type Settings<Input> = {
  [Key in keyof Input as null extends Input[Key] ? never : Key]: Input[Key];
} & {
  [Key in keyof Input as null extends Input[Key] ? Key : never]?: NonNullable<Input[Key]>;
};

function withoutNulls<Input extends object>(input: Input): Settings<Input> {
  return Object.fromEntries(Object.entries(input).filter(([, value]) => value != null)) as Settings<Input>;
}

function requireOverhead(overhead: number, path: ArgumentPath): number {
  if (overhead >= 0 && overhead <= MAX_RULE_OF_THUMB_OVERHEAD) return overhead;
  throw new BadUserInputError(
    `The overhead is a share of weights and cache from 0 to ${MAX_RULE_OF_THUMB_OVERHEAD}, such as 0.1 for 10%; it was ${overhead}.`,
    [...path, "overhead"],
  );
}

/** The row of an engine that estimates are made for: it is always there. */
export function requireRuntime(slug: string, catalogue: Catalogue): RuntimeRow {
  const runtime = catalogue.runtimes.bySlug.get(slug);
  if (!runtime) throw new Error(`the catalogue has no runtime "${slug}"`);
  return runtime;
}
