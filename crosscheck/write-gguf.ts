/**
 * The head of a GGUF file: metadata and the list of tensors, without their data.
 * Format: ggml, docs/gguf.md (version 3, little endian).
 */

/** A metadata value with its GGUF type; arrays hold values of one type. */
export type GgufValue =
  | { type: "uint32" | "float32"; value: number }
  | { type: "bool"; value: boolean }
  | { type: "string"; value: string }
  | { type: "uint32[]" | "int32[]" | "float32[]"; value: readonly number[] }
  | { type: "bool[]"; value: readonly boolean[] };

/** ggml's numbers of tensor types (`enum ggml_type`, ggml.h). */
const TENSOR_TYPES = {
  F32: 0,
  F16: 1,
  Q4_0: 2,
  Q4_1: 3,
  Q5_0: 6,
  Q5_1: 7,
  Q8_0: 8,
  Q2_K: 10,
  Q3_K: 11,
  Q4_K: 12,
  Q5_K: 13,
  Q6_K: 14,
  IQ4_NL: 20,
  IQ4_XS: 23,
  I32: 26,
  BF16: 30,
  MXFP4: 39,
} as const;

export interface GgufTensor {
  name: string;
  /** `[ne0, ne1, ...]`, the contiguous dimension first. */
  shape: readonly number[];
  /** ggml's name of the type, e.g. "Q4_K". */
  type: string;
  /** Bytes of the data that would follow. */
  bytes: number;
}

const MAGIC = "GGUF";
const VERSION = 3;
/** Alignment of tensor data where the metadata does not name another. */
const ALIGNMENT = 32;
const ARRAY_TYPE = 9;
const VALUE_TYPES = { uint32: 4, int32: 5, float32: 6, bool: 7, string: 8 } as const;
type ScalarType = keyof typeof VALUE_TYPES;

/**
 * The bytes of the file up to where tensor data would begin.
 *
 * @throws RangeError for a tensor type that is not in the list above.
 */
export function encodeGgufHead(metadata: ReadonlyMap<string, GgufValue>, tensors: readonly GgufTensor[]): Buffer {
  const parts = [Buffer.from(MAGIC), uint32(VERSION), uint64(tensors.length), uint64(metadata.size)];
  for (const [key, value] of metadata) parts.push(text(key), encodeValue(value));
  let offset = 0n;
  for (const { name, shape, type, bytes } of tensors) {
    parts.push(text(name), uint32(shape.length), ...shape.map(uint64), uint32(tensorType(type)), uint64(offset));
    offset += BigInt(Math.ceil(bytes / ALIGNMENT) * ALIGNMENT);
  }
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  parts.push(Buffer.alloc((ALIGNMENT - (length % ALIGNMENT)) % ALIGNMENT));
  return Buffer.concat(parts);
}

function tensorType(name: string): number {
  if (!Object.hasOwn(TENSOR_TYPES, name)) throw new RangeError(`No number is known of the ggml type ${name}.`);
  return TENSOR_TYPES[name as keyof typeof TENSOR_TYPES];
}

function encodeValue(entry: GgufValue): Buffer {
  if (!Array.isArray(entry.value)) {
    const type = entry.type as ScalarType;
    return Buffer.concat([uint32(VALUE_TYPES[type]), encodeScalar(type, entry.value as number | boolean | string)]);
  }
  const type = entry.type.slice(0, -"[]".length) as ScalarType;
  return Buffer.concat([
    uint32(ARRAY_TYPE),
    uint32(VALUE_TYPES[type]),
    uint64(entry.value.length),
    ...entry.value.map((value: number | boolean) => encodeScalar(type, value)),
  ]);
}

function encodeScalar(type: ScalarType, value: number | boolean | string): Buffer {
  switch (type) {
    case "string":
      return text(String(value));
    case "bool":
      return Buffer.from([value ? 1 : 0]);
    case "uint32":
      return uint32(Number(value));
    case "int32": {
      const buffer = Buffer.alloc(4);
      buffer.writeInt32LE(Number(value));
      return buffer;
    }
    case "float32": {
      const buffer = Buffer.alloc(4);
      buffer.writeFloatLE(Number(value));
      return buffer;
    }
  }
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([uint64(bytes.length), bytes]);
}

function uint32(value: number): Buffer {
  const buffer = Buffer.alloc(4);
  buffer.writeUInt32LE(value);
  return buffer;
}

function uint64(value: number | bigint): Buffer {
  const buffer = Buffer.alloc(8);
  buffer.writeBigUInt64LE(BigInt(value));
  return buffer;
}
