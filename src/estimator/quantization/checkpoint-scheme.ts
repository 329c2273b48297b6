import type { TensorRole } from "../architecture/architecture.js";
import { QuantizationError } from "./ggml-types.js";
import type { QuantScheme, ScaleLayout, UniformOverride, UniformScheme, UniformStorage } from "./scheme.js";

/**
 * How a published checkpoint stores its weights, by the `quantization_config` of its config.json: the format's
 * own storage, and the modules its list leaves alone. Null when the config names no quantization.
 *
 * Sources: transformers (`quantizers`), compressed-tensors, NVIDIA Model Optimizer, MLX LM, ExLlama.
 * Throws {@link QuantizationError} for a method that is not known here and for fields that make no sense.
 */
export function schemeFromConfig(config: unknown): QuantScheme | null {
  const root = asObject(config, "config");
  const found = findQuantization(root);
  if (found === null) {
    return null;
  }
  const scheme = describeQuantization(found);
  const experts = root.expert_dtype ?? (isObject(root.text_config) ? root.text_config.expert_dtype : undefined);
  return experts === "fp4" && scheme.kind === "uniform"
    ? { ...scheme, overrides: [{ roles: ["EXPERTS"], ...mxfp4() }, ...(scheme.overrides ?? [])] }
    : scheme;
}

/**
 * The method by which a config.json says its checkpoint is quantized, such as "gptq"; null when it names none.
 * Throws {@link QuantizationError} for a quantization that does not say by which method.
 */
export function quantizationMethod(config: unknown): string | null {
  const found = findQuantization(asObject(config, "config"));
  return found === null ? null : methodOf(found);
}

type Json = Record<string, unknown>;

/** Roles of linear layers that quantizers take unless told otherwise. */
const LINEAR_ROLES: TensorRole[] = ["ATTENTION", "INDEXER", "RECURRENT", "FEED_FORWARD", "EXPERTS", "SHARED_EXPERTS"];
/** MLX quantizes everything with rows of whole groups. */
const MLX_ROLES: TensorRole[] = ["TOKEN_EMBEDDING", "OUTPUT", "PER_LAYER_EMBEDDING", "ROUTER", ...LINEAR_ROLES];
const HALF_BITS = 16;
const SINGLE_BITS = 32;
const DEFAULT_GROUP = 128;
/** Two int64: the shape that compressed-tensors stores beside packed weights. */
const PACKED_SHAPE: ScaleLayout = { per: "tensor", bits: 128 };
/** A single-precision scale for the matrix and one for its input. */
const TENSOR_AND_INPUT_SCALE: ScaleLayout = { per: "tensor", bits: 64 };

// Storages

const group = (groupSize: number, bits: number): ScaleLayout => ({ per: "group", groupSize, bits });

const mxfp4 = (): UniformStorage => ({ type: "mxfp4-g32", weightBits: 4, scales: [group(32, 8)] });
const mxfp8 = (): UniformStorage => ({ type: "mxfp8-g32", weightBits: 8, scales: [group(32, 8)] });
const nvfp4 = (): UniformStorage => ({
  type: "nvfp4-g16",
  weightBits: 4,
  scales: [group(16, 8), TENSOR_AND_INPUT_SCALE],
});
const fp8Tensor = (): UniformStorage => ({ type: "fp8-tensor", weightBits: 8, scales: [TENSOR_AND_INPUT_SCALE] });
const fp8Row = (scaleBits: number): UniformStorage => ({
  type: "fp8-row",
  weightBits: 8,
  scales: [{ per: "output-row", bits: scaleBits }],
});
const fp8Tile = (rows: number, columns: number): UniformStorage => ({
  type: `fp8-b${rows}x${columns}`,
  weightBits: 8,
  scales: [{ per: "tile", rows, columns, bits: SINGLE_BITS }],
});

function uniform(storage: UniformStorage, more: Partial<UniformScheme> = {}): UniformScheme {
  return { kind: "uniform", ...storage, quantizedRoles: LINEAR_ROLES, restBits: HALF_BITS, ...more };
}

// Methods

const METHODS: Record<string, (config: Json) => QuantScheme> = {
  gptq: describeGptq,
  "auto-round": describeGptq,
  "intel/auto-round": describeGptq,
  awq: describeAwq,
  bitsandbytes: describeBitsAndBytes,
  fp8: describeFp8,
  fbgemm_fp8: (config) => uniform(fp8Row(SINGLE_BITS), keptModules(config)),
  "compressed-tensors": describeCompressedTensors,
  modelopt: describeModelOptimizer,
  modelopt_fp4: describeModelOptimizer,
  modelopt_mixed: describeModelOptimizer,
  quark: describeQuark,
  mxfp8: (config) => uniform(mxfp8(), keptModules(config)),
  mxfp4: (config) => uniform(mxfp4(), { quantizedRoles: ["EXPERTS"], ...keptModules(config) }),
  hqq: describeHqq,
  exl2: (config) => describeExl(config, "exl2"),
  exl3: (config) => describeExl(config, "exl3"),
  mlx: describeMlx,
};

function describeQuantization(config: Json): QuantScheme {
  const method = methodOf(config);
  const describe = Object.hasOwn(METHODS, method) ? METHODS[method] : undefined;
  if (describe === undefined) {
    throw new QuantizationError(`quantization_config: the method "${method}" is not known here`);
  }
  return describe(config);
}

function methodOf(config: Json): string {
  if (typeof config.quant_method === "string") return config.quant_method;
  if (typeof config.quant_algo === "string") return "modelopt";
  if (isObject(config.config_groups)) return "compressed-tensors";
  if (config.load_in_4bit === true || config.load_in_8bit === true) return "bitsandbytes";
  if (config.bits !== undefined && config.group_size !== undefined) return "mlx";
  throw new QuantizationError("quantization_config: quant_method is missing");
}

function describeGptq(config: Json): QuantScheme {
  const bits = wholeNumber(config, "bits", 1, 8);
  const groupSize = groupSizeOf(config);
  return uniform(
    {
      type: `int${bits}-${groupSize === null ? "row" : `g${groupSize}`}`,
      weightBits: bits,
      scales: [...scaleAndZero(groupSize, bits), { per: "input-row", bits: SINGLE_BITS }],
    },
    {
      restType: "fp16",
      ...(config.lm_head === true ? { quantizedRoles: [...LINEAR_ROLES, "OUTPUT"] } : {}),
      ...keptModules(config, skippedByGptq(config)),
    },
  );
}

/** GPTQModel's exceptions: expressions marked "-:" leave modules alone. */
function skippedByGptq(config: Json): string[] {
  return isObject(config.dynamic)
    ? Object.keys(config.dynamic).flatMap((key) => (key.startsWith("-:") ? [`re:${key.slice(2)}`] : []))
    : [];
}

function describeAwq(config: Json): QuantScheme {
  const bits = wholeNumber(config, "bits", 1, 8);
  const groupSize = groupSizeOf(config);
  const hasZeros = config.zero_point !== false;
  return uniform(
    {
      type: `int${bits}-${groupSize === null ? "row" : `g${groupSize}`}`,
      weightBits: bits,
      scales: scaleAndZero(groupSize, hasZeros ? bits : 0),
    },
    { restType: "fp16", ...keptModules(config) },
  );
}

/** NF4: 16 codes in single precision for each matrix; nested maxima bring 256 more. Blocks of 64 and 256. */
function describeBitsAndBytes(config: Json): QuantScheme {
  const kept = keptModules(config);
  if (config.load_in_8bit === true) {
    return uniform({ type: "int8-row", weightBits: 8, scales: [{ per: "output-row", bits: SINGLE_BITS }] }, kept);
  }
  const codes: ScaleLayout = { per: "tensor", bits: 16 * SINGLE_BITS };
  const isNested = config.bnb_4bit_use_double_quant === true;
  return uniform(
    {
      type: isNested ? "nf4-b64-dq" : "nf4-b64",
      weightBits: 4,
      scales: isNested
        ? [
            { per: "block", blockSize: 64, bits: 8 },
            { per: "block", blockSize: 64 * 256, bits: SINGLE_BITS },
            codes,
            { per: "tensor", bits: 256 * SINGLE_BITS },
          ]
        : [{ per: "block", blockSize: 64, bits: SINGLE_BITS }, codes],
    },
    kept,
  );
}

function describeFp8(config: Json): QuantScheme {
  const block = config.weight_block_size;
  const storage = block === undefined || block === null ? fp8Tensor() : tileOf(block);
  return uniform(storage, keptModules(config));
}

function tileOf(block: unknown): UniformStorage {
  const [rows, columns] = Array.isArray(block) ? block : [];
  if (!isWholeBetween(rows, 1, MOST_GROUP) || !isWholeBetween(columns, 1, MOST_GROUP)) {
    throw new QuantizationError("quantization_config.weight_block_size: two whole numbers are expected");
  }
  return fp8Tile(rows, columns);
}

function describeHqq(config: Json): QuantScheme {
  const inner = isObject(config.quant_config) ? config.quant_config : config;
  const weights = isObject(inner.weight_quant_params) ? inner.weight_quant_params : inner;
  const bits = wholeNumber(weights, weights.nbits === undefined ? "bits" : "nbits", 1, 8);
  const groupSize = groupSizeOf(weights) ?? DEFAULT_GROUP;
  return uniform(
    {
      type: `hqq${bits}-g${groupSize}`,
      weightBits: bits,
      scales: [group(groupSize, HALF_BITS), group(groupSize, HALF_BITS)],
    },
    { restType: "fp16", ...keptModules(config) },
  );
}

function describeExl(config: Json, type: string): QuantScheme {
  const headBits = config.head_bits ?? config.lm_head_bits ?? 6;
  const bits = config.bits;
  if (typeof bits !== "number" || !(bits >= 1 && bits <= 16)) {
    throw new QuantizationError("quantization_config.bits: a number from 1 to 16 is expected");
  }
  if (typeof headBits !== "number" || !(headBits >= 1 && headBits <= 16)) {
    throw new QuantizationError("quantization_config.head_bits: a number from 1 to 16 is expected");
  }
  return {
    kind: "average",
    type,
    bitsPerWeight: bits,
    outputBits: headBits,
    quantizedRoles: LINEAR_ROLES,
    restBits: HALF_BITS,
  };
}

function describeMlx(config: Json): QuantScheme {
  return uniform(mlxStorage(config, config), { quantizedRoles: MLX_ROLES, ...mlxModules(config) });
}

/** MLX's storage by `bits`, `group_size` and `mode`; a module's own settings fall back on the model's. */
function mlxStorage(settings: Json, model: Json): UniformStorage {
  const stated: Json = { mode: model.mode, ...settings };
  const bits = wholeNumber(stated.bits === undefined ? model : stated, "bits", 1, 8);
  const mode = stated.mode ?? "affine";
  const groupSize = groupSizeOf(stated) ?? 64;
  const affine: UniformStorage = {
    type: `mlx${bits}-g${groupSize}`,
    weightBits: bits,
    scales: [group(groupSize, HALF_BITS), group(groupSize, HALF_BITS)],
  };
  const scaled: UniformStorage = {
    type: `${String(mode)}-g${groupSize}`,
    weightBits: bits,
    scales: [group(groupSize, 8)],
  };
  return { ...(mode === "affine" ? affine : scaled), oddGroups: "leave" };
}

/** MLX stacks the experts of a layer into one module; elsewhere they are named by number. */
const unstacked = (module: string): string =>
  module.replace(/\b(?:experts\.switch_glu|switch_mlp|experts)\.(?=[a-z])/, "experts.0.");

/** Entries by module: settings of its own, or `false` for one left alone. */
function mlxModules(config: Json): Pick<UniformScheme, "overrides" | "keptModules"> {
  const overrides = new Map<string, UniformStorage & { modules: string[] }>();
  const kept: string[] = [];
  for (const [module, settings] of Object.entries(config)) {
    if (settings === false) kept.push(unstacked(module));
    if (!isObject(settings) || (settings.bits === undefined && settings.group_size === undefined)) continue;
    const storage = mlxStorage(settings, config);
    const known = overrides.get(storage.type);
    if (known === undefined) overrides.set(storage.type, { ...storage, modules: [unstacked(module)] });
    else known.modules.push(unstacked(module));
  }
  return {
    ...(overrides.size === 0 ? {} : { overrides: [...overrides.values()] }),
    ...(kept.length === 0 ? {} : { keptModules: kept }),
  };
}

// compressed-tensors: groups of targets

function describeCompressedTensors(config: Json): QuantScheme {
  const groups = Object.values(asObject(config.config_groups, "quantization_config.config_groups"));
  const described = groups.map((entry) => {
    const settings = asObject(entry, "quantization_config.config_groups");
    const weights = asObject(settings.weights, "quantization_config.config_groups.weights");
    const format = settings.format ?? config.format;
    return {
      storage: compressedStorage(weights, typeof format === "string" ? format : ""),
      targets: texts(settings.targets),
    };
  });
  return fromGroups(described, config);
}

/** Kinds of module that stand for "every linear layer" in a list of targets. */
const WHOLE_MODEL_TARGETS: ReadonlySet<string> = new Set(["Linear", "FusedMoE", "MoE"]);

function fromGroups(groups: { storage: UniformStorage; targets: string[] }[], config: Json): QuantScheme {
  const whole = groups.find(
    ({ targets }) => targets.length === 0 || targets.some((target) => WHOLE_MODEL_TARGETS.has(target)),
  );
  const rest: UniformOverride[] = groups
    .filter((entry) => entry !== whole)
    .map(({ storage, targets }) => ({ ...storage, modules: shortenExperts(targets) }));
  const first = whole ?? groups[0];
  if (first === undefined) {
    throw new QuantizationError("quantization_config: no group says how weights are stored");
  }
  return uniform(first.storage, {
    quantizedRoles: whole === undefined ? [] : [...LINEAR_ROLES, "OUTPUT"],
    overrides: rest,
    ...keptModules(config),
  });
}

function compressedStorage(weights: Json, format: string): UniformStorage {
  const bits = wholeNumber(weights, "num_bits", 1, 16);
  const groupSize = groupSizeOf(weights);
  if (weights.type === "float") {
    return floatStorage(bits, groupSize, weights, format);
  }
  const zeroBits = weights.symmetric === false ? bits : 0;
  const isPacked = bits < 8 || format === "pack-quantized";
  const scales: ScaleLayout[] =
    weights.strategy === "tensor" ? [{ per: "tensor", bits: HALF_BITS }] : scaleAndZero(groupSize, zeroBits);
  return {
    type: `int${bits}-${groupSize === null ? "row" : `g${groupSize}`}`,
    weightBits: bits,
    scales: isPacked ? [...scales, PACKED_SHAPE] : scales,
  };
}

function floatStorage(bits: number, groupSize: number | null, weights: Json, format: string): UniformStorage {
  if (bits === 4) {
    return format.startsWith("mxfp4") || groupSize === 32 ? mxfp4() : nvfp4();
  }
  if (Array.isArray(weights.block_structure)) {
    return tileOf(weights.block_structure);
  }
  if (groupSize !== null) {
    return groupSize === 32
      ? mxfp8()
      : { type: `fp8-g${groupSize}`, weightBits: bits, scales: [group(groupSize, HALF_BITS)] };
  }
  return weights.strategy === "channel" ? fp8Row(HALF_BITS) : fp8Tensor();
}

// NVIDIA Model Optimizer: an algorithm for the model, or one for each module

const ALGORITHMS: Record<string, () => UniformStorage> = {
  FP8: fp8Tensor,
  FP8_PER_CHANNEL_PER_TOKEN: () => fp8Row(SINGLE_BITS),
  FP8_PB_WO: () => fp8Tile(128, 128),
  NVFP4: nvfp4,
  W4A16_NVFP4: nvfp4,
  NVFP4_AWQ: nvfp4,
  MXFP4: mxfp4,
  MXFP8: mxfp8,
};

function algorithm(name: unknown): UniformStorage {
  const storage = typeof name === "string" && Object.hasOwn(ALGORITHMS, name) ? ALGORITHMS[name] : undefined;
  if (storage === undefined) {
    throw new QuantizationError(`quantization_config: the algorithm ${JSON.stringify(name)} is not known here`);
  }
  return storage();
}

function describeModelOptimizer(config: Json): QuantScheme {
  if (isObject(config.quantized_layers)) {
    const modules = new Map<string, string[]>();
    for (const [module, settings] of Object.entries(config.quantized_layers)) {
      const name = String(asObject(settings, "quantization_config.quantized_layers").quant_algo);
      const known = modules.get(name);
      if (known === undefined) modules.set(name, [module]);
      else known.push(module);
    }
    return fromGroups(
      [...modules].map(([name, targets]) => ({ storage: algorithm(name), targets })),
      config,
    );
  }
  if (typeof config.quant_algo === "string") {
    return fromGroups([{ storage: algorithm(config.quant_algo), targets: [] }], config);
  }
  return describeCompressedTensors(config);
}

/** AMD Quark: one kind of storage for all linear layers that are not excluded. */
function describeQuark(config: Json): QuantScheme {
  const global = asObject(config.global_quant_config, "quantization_config.global_quant_config");
  const weights = asObject(global.weight, "quantization_config.global_quant_config.weight");
  const dtype = String(weights.dtype);
  const bits = /^(?:fp|int|uint)(4|8)/.exec(dtype)?.[1];
  if (bits === undefined) {
    throw new QuantizationError(
      `quantization_config: the weight type ${JSON.stringify(dtype.slice(0, 40))} is not known here`,
    );
  }
  const scheme = String(weights.qscheme);
  return uniform(
    compressedStorage(
      {
        num_bits: Number(bits),
        type: dtype.startsWith("fp") ? "float" : "int",
        group_size: scheme === "per_group" ? weights.group_size : undefined,
        strategy: scheme === "per_channel" ? "channel" : scheme === "per_tensor" ? "tensor" : "group",
      },
      "",
    ),
    keptModules(config),
  );
}

// Fields

/** Largest group or tile side taken seriously. */
const MOST_GROUP = 1 << 20;

/** Weights that share a scale; null for one scale for each output. */
function groupSizeOf(config: Json): number | null {
  const value = config.group_size;
  if (value === undefined || value === null || value === -1) {
    return null;
  }
  return wholeNumber(config, "group_size", 1, MOST_GROUP);
}

function scaleAndZero(groupSize: number | null, zeroBits: number): ScaleLayout[] {
  const per = (bits: number): ScaleLayout =>
    groupSize === null ? { per: "output-row", bits } : group(groupSize, bits);
  return zeroBits === 0 ? [per(HALF_BITS)] : [per(HALF_BITS), per(zeroBits)];
}

const KEPT_FIELDS = [
  "modules_to_not_convert",
  "exclude",
  "ignore",
  "exclude_modules",
  "ignored_layers",
  "llm_int8_skip_modules",
  "skip_modules",
];

function keptModules(config: Json, more: readonly string[] = []): { keptModules?: string[] } {
  const modules = [...KEPT_FIELDS.flatMap((field) => texts(config[field])), ...more];
  return modules.length === 0 ? {} : { keptModules: modules };
}

/** Lists that name every expert say the same of each: one entry is enough. */
function shortenExperts(modules: readonly string[]): string[] {
  return [...new Set(modules.map((module) => module.replace(/\bexperts\.\d+\./, "experts.0.")))];
}

const QUANTIZATION_FIELDS = ["quantization_config", "compression_config", "quantization"];
const TEXT_FIELDS = ["text_config", "language_config", "llm_config", "thinker_config"];

function findQuantization(config: Json): Json | null {
  for (const field of QUANTIZATION_FIELDS) {
    const value = config[field];
    if (isObject(value)) return value;
  }
  for (const field of TEXT_FIELDS) {
    const inner = config[field];
    const value = isObject(inner) ? QUANTIZATION_FIELDS.map((name) => inner[name]).find(isObject) : undefined;
    if (value !== undefined) return value;
  }
  return null;
}

function texts(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((entry): entry is string => typeof entry === "string") : [];
}

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function asObject(value: unknown, name: string): Json {
  if (!isObject(value)) {
    throw new QuantizationError(`${name}: an object is expected`);
  }
  return value;
}

function isWholeBetween(value: unknown, least: number, most: number): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= least && value <= most;
}

function wholeNumber(config: Json, field: string, least: number, most: number): number {
  const value = config[field];
  if (!isWholeBetween(value, least, most)) {
    throw new QuantizationError(`quantization_config.${field}: a whole number from ${least} to ${most} is expected`);
  }
  return value;
}
