import type { Architecture, Attention, RotaryTable } from "./architecture.js";
import type { ConfigReader } from "./config-reader.js";
import { MAX_CONTEXT_TOKENS, MAX_WIDTH } from "./limits.js";

/*
 * Tables of cosines and sines by which serving engines rotate queries and keys. One table per distinct width, base and
 * scaling (vLLM and SGLang, layers/rotary_embedding: get_rope).
 */

/** Text parts whose positions have sections for time, height and width also where the config leaves the sections out. */
const SECTIONED_MODEL_TYPES = /^(qwen2_vl|qwen2_5_vl|qwen3_vl|qwen3_5|glm4v)(_moe)?(_text)?$/;

const DEFAULT_BASE = 10_000;
/** transformers' default bases where windowed layers have one of their own, by model type. */
const TWO_BASES: readonly { types: RegExp; windowed: number; full: number }[] = [
  { types: /^gemma3n?(_text)?$/, windowed: 10_000, full: 1_000_000 },
];

/** transformers' default share of a head that is rotated, by the beginning of the model type; else all of it. */
const DEFAULT_SHARES: readonly (readonly [RegExp, number])[] = [
  [/^(qwen3_next|qwen3_5|stablelm|gpt_neox)/, 0.25],
  [/^(glm|glm4|glm4_moe|glm4v_text|glm4v_moe_text|chatglm|phi|nemotron)$/, 0.5],
];

/** Position embeddings that are no rotation. */
const OTHER_POSITIONS = new Set(["absolute", "alibi", "relative_key", "relative_key_query", "nope"]);

/** Kinds of scaling whose table covers the stated context times the factor, and the original context times it. */
const STRETCHED = new Set(["linear", "dynamic", "ntk"]);
const STRETCHED_ORIGINAL = new Set(["yarn", "deepseek_yarn"]);

/**
 * The rotary tables of a model: empty where nothing is rotated (learned positions, ALiBi, layers without positions).
 * Fields are read leniently: those that make no sense are left to the parts of the description that need them.
 */
export function readRotaryTables(config: ConfigReader, architecture: Architecture): RotaryTable[] {
  const { blocks, layers, tensors } = architecture;
  if (
    config.raw("alibi") === true ||
    config.raw("mla_use_nope") === true ||
    OTHER_POSITIONS.has(String(config.raw("position_embedding_type"))) ||
    tensors.some(({ name }) => name === "position_embd.weight")
  ) {
    return [];
  }
  const tables = new Map<string, RotaryTable>();
  for (const name of new Set(layers)) {
    const attention = blocks[name]?.attention;
    if (attention !== undefined) addTable(tables, attention, config, architecture);
  }
  return [...tables.values()];
}

function addTable(
  tables: Map<string, RotaryTable>,
  attention: Attention,
  config: ConfigReader,
  architecture: Architecture,
): void {
  const rotation = rotationOf(attention, config, architecture);
  const width = widthOf(attention, config, rotation, architecture.modelType);
  if (width < 1) return;
  const positions = Math.min(positionsOf(rotation, config, architecture), MAX_CONTEXT_TOKENS);
  const isSectioned = rotation.fields.mrope_section !== undefined || SECTIONED_MODEL_TYPES.test(architecture.modelType);
  tables.set(JSON.stringify([width, rotation.base, rotation.kind, positions]), {
    width,
    positions,
    ...(isSectioned && { sectioned: true }),
  });
}

/** How positions become angles in a layer. */
interface Rotation {
  base: number;
  /** "default", "linear", "yarn" ... */
  kind: string;
  /** The config's object about it; empty where it has none. */
  fields: Fields;
}

type Fields = Readonly<Record<string, unknown>>;

function rotationOf(attention: Attention, config: ConfigReader, { modelType }: Architecture): Rotation {
  const stated = fieldsOf(config.raw("rope_parameters") ?? config.raw("rope_scaling"));
  const isWindowed = attention.kind === "compressed" ? attention.compressRatio < 2 : "window" in attention;
  const part = isWindowed
    ? (stated.sliding_attention ?? stated.main)
    : (stated.full_attention ?? stated.compress ?? stated.main);
  if (part !== undefined) {
    return toRotation(fieldsOf(part), numberOf(config, "rope_theta"));
  }
  if (attention.kind === "compressed") {
    const compressed = { base: numberOf(config, "compress_rope_theta"), fields: stated };
    const { base, fields } = isWindowed ? { base: numberOf(config, "rope_theta"), fields: {} } : compressed;
    return { ...toRotation(fields, undefined), base: base ?? DEFAULT_BASE };
  }
  const defaults = TWO_BASES.find(({ types }) => types.test(modelType));
  const windowedBase =
    numberOf(config, "rope_local_base_freq") ?? numberOf(config, "swa_rope_theta") ?? defaults?.windowed;
  return isWindowed && windowedBase !== undefined
    ? { base: windowedBase, kind: "default", fields: {} }
    : toRotation(stated, numberOf(config, "rope_theta") ?? defaults?.full);
}

function toRotation(fields: Fields, base: number | undefined): Rotation {
  const kind = fields.rope_type ?? fields.type;
  const own = fields.rope_theta;
  return {
    base: typeof own === "number" ? own : (base ?? DEFAULT_BASE),
    kind: typeof kind === "string" ? kind : "default",
    fields,
  };
}

/** Values of a head that are rotated. */
function widthOf(attention: Attention, config: ConfigReader, { kind, fields }: Rotation, modelType: string): number {
  if (attention.kind !== "grouped") return attention.ropeDim;
  if (attention.noRope || attention.crossTokens !== undefined) return 0;
  const { keyDim } = attention;
  const stated = numberOf(config, "rotary_dim");
  if (stated !== undefined) return Math.min(Math.max(0, Math.floor(stated)), keyDim, MAX_WIDTH);
  // Gemma 4 turns part of a head, but its tables are as wide as the head: the rest is turned by nothing.
  if (kind === "proportional") return keyDim;
  const own = fields.partial_rotary_factor;
  const share =
    (typeof own === "number" ? own : undefined) ??
    numberOf(config, "partial_rotary_factor") ??
    numberOf(config, "rotary_pct") ??
    DEFAULT_SHARES.find(([types]) => types.test(modelType))?.[1] ??
    1;
  return Math.floor(keyDim * Math.min(Math.max(share, 0), 1));
}

function positionsOf({ kind, fields }: Rotation, config: ConfigReader, { contextLength }: Architecture): number {
  const factor = typeof fields.factor === "number" && fields.factor >= 1 ? fields.factor : 1;
  const stated = fields.original_max_position_embeddings ?? config.raw("original_max_position_embeddings");
  const original = typeof stated === "number" && stated >= 1 ? Math.floor(stated) : contextLength;
  if (STRETCHED.has(kind)) return Math.floor(contextLength * factor);
  if (STRETCHED_ORIGINAL.has(kind)) return Math.floor(original * factor);
  // Two tables one after the other: for prompts of the original length and for longer ones.
  return kind === "longrope" || kind === "su" ? original + contextLength : contextLength;
}

function fieldsOf(value: unknown): Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Fields) : {};
}

function numberOf(config: ConfigReader, name: string): number | undefined {
  const value = config.raw(name);
  return typeof value === "number" && Number.isFinite(value) ? value : undefined;
}
