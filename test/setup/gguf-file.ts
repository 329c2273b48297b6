import type { GgufHeader, GgufValue } from "../../src/estimator/architecture/gguf/gguf-header.js";
import { GGML_TYPES, isGgmlType, tensorBytes } from "../../src/estimator/quantization/ggml-types.js";

/** Numbers of value types and tensor types in GGUF files (gguf.md, ggml.h). */
const UINT32 = 4;
const FLOAT32 = 6;
const BOOL = 7;
const STRING = 8;
const ARRAY = 9;
const TENSOR_TYPES: Readonly<Record<string, number>> = { F32: 0, F16: 1, Q8_0: 8, Q4_K: 12, Q6_K: 14, BF16: 30 };
const ALIGNMENT = 32;

/** The beginning of a GGUF file, and how large the whole would be. */
export interface GgufFile {
  /** Header and list of tensors, padded. */
  header: Buffer;
  sizeBytes: number;
}

/** Writes the header of a GGUF file, version 3, with a tokenizer of so many tokens. */
export function writeGguf({ metadata, tensors }: GgufHeader, tokens = 0): GgufFile {
  const parts: Buffer[] = [];
  const entries = Object.entries(metadata);
  const tokenizer = tokens > 0 ? 2 : 0;
  parts.push(Buffer.from("GGUF"), uint32(3), uint64(tensors.length), uint64(entries.length + tokenizer));
  if (tokens > 0) {
    parts.push(text("tokenizer.ggml.tokens"), uint32(ARRAY), uint32(STRING), uint64(tokens));
    for (let index = 0; index < tokens; index++) parts.push(text(`token-${index}`));
    parts.push(text("tokenizer.ggml.scores"), uint32(ARRAY), uint32(FLOAT32), uint64(tokens), Buffer.alloc(4 * tokens));
  }
  for (const [key, value] of entries) parts.push(text(key), typedValue(value));
  let offset = 0;
  for (const { name, shape, type } of tensors) {
    const known = type !== null && isGgmlType(type) ? type : "F16";
    parts.push(text(name), uint32(shape.length), ...shape.map(uint64));
    parts.push(uint32(TENSOR_TYPES[known] ?? 1), uint64(offset));
    const bytes =
      shape.length === 1 && (shape[0] ?? 0) % GGML_TYPES[known].blockElements !== 0 ? 0 : tensorBytes(known, shape);
    offset += padded(bytes);
  }
  const bare = Buffer.concat(parts);
  const header = Buffer.concat([bare, Buffer.alloc(padded(bare.length) - bare.length)]);
  return { header, sizeBytes: header.length + offset };
}

function padded(bytes: number): number {
  return Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function uint64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([uint64(bytes.length), bytes]);
}

function typedValue(value: GgufValue): Buffer {
  if (Array.isArray(value)) {
    const [first = 0] = value;
    return Buffer.concat([uint32(ARRAY), uint32(typeOf(first)), uint64(value.length), ...value.map(plainValue)]);
  }
  return Buffer.concat([uint32(typeOf(value)), plainValue(value)]);
}

function typeOf(value: GgufValue): number {
  if (typeof value === "string") return STRING;
  if (typeof value === "boolean") return BOOL;
  return Number.isInteger(value) ? UINT32 : FLOAT32;
}

function plainValue(value: GgufValue): Buffer {
  switch (typeOf(value)) {
    case STRING:
      return text(String(value));
    case BOOL:
      return Buffer.from([value === true ? 1 : 0]);
    case UINT32:
      return uint32(Number(value));
    default: {
      const bytes = Buffer.alloc(4);
      bytes.writeFloatLE(Number(value));
      return bytes;
    }
  }
}
