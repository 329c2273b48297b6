import type { GgufHeader, GgufTensor, GgufValue } from "../../../estimator/architecture/gguf/gguf-header.js";
import { isGgmlType, QuantizationError, tensorBytes } from "../../../estimator/quantization/ggml-types.js";

/** What the header of a GGUF file says, and how large the file is by it. */
export interface ParsedGguf {
  header: GgufHeader;
  /** Bytes of the whole file as its tensors end; null when one has a type that is not known here. */
  sizeBytes: number | null;
  /** Files that the model is split into, and which of them this is, from 0; one file is 1 and 0. */
  split: { count: number; index: number };
}

/** A file that is no GGUF file, or one whose header is cut off. The message is a sentence for people. */
export class GgufError extends Error {
  override readonly name = "GgufError";
}

/** Longest list that is kept: those of a tokenizer are longer, and nothing follows from them. */
const LONGEST_LIST = 4_096;
/** Multiple that tensors begin at, unless a file says otherwise (ggml.h). */
const DEFAULT_ALIGNMENT = 32;

/** A fetch that answers ranges, and how many bytes of the file can be had at all. */
export interface GgufBytes {
  /** More is asked for than is needed, also behind the file's end: of that, nothing is to be answered. */
  fetch: typeof fetch;
  /** Bytes read so far: a header that ends behind them was cut off. */
  bytesRead: () => number;
}

/**
 * Reads the header of a GGUF file.
 * @param address of the file, as the fetch takes it
 * @throws GgufError; whatever the fetch throws
 */
export async function parseGguf(address: string, bytes: GgufBytes): Promise<ParsedGguf> {
  const { gguf, GGMLQuantizationType } = await import("@huggingface/gguf");
  const typeNames: Readonly<Record<number, unknown>> = GGMLQuantizationType;
  const parsed = await read(() => gguf(address, { fetch: bytes.fetch }));
  if (parsed.tensorInfoByteRange[1] > bytes.bytesRead()) {
    throw new GgufError(
      "The header is cut off: the file ends, or what was sent of it, before the list of tensors does.",
    );
  }
  const metadata = Object.fromEntries(
    Object.entries({ ...parsed.metadata } as Readonly<Record<string, unknown>>).flatMap(([key, value]) => {
      const plain = toPlain(value);
      return plain === undefined ? [] : [[key, plain] as const];
    }),
  );
  const tensors = parsed.tensorInfos.map(({ name, shape, dtype }): GgufTensor => {
    const type = typeNames[dtype];
    return { name, shape: shape.map(Number), type: typeof type === "string" && isGgmlType(type) ? type : null };
  });
  const offsets = parsed.tensorInfos.map(({ offset }) => Number(offset));
  return {
    header: { metadata, tensors },
    sizeBytes: fileBytes(Number(parsed.tensorDataOffset), tensors, offsets, metadata["general.alignment"]),
    split: { count: wholeOr(metadata["split.count"], 1), index: wholeOr(metadata["split.no"], 0) },
  };
}

async function read<Answer>(request: () => Promise<Answer>): Promise<Answer> {
  try {
    return await request();
  } catch (error) {
    // The library's own are plain errors; those of a fetch have names of their own.
    const isLibrarys = error instanceof RangeError || (error instanceof Error && error.constructor === Error);
    if (!isLibrarys) throw error;
    const reason = error instanceof RangeError ? "its header is cut off" : withoutAddress(error.message);
    throw new GgufError(`This is no GGUF file that can be read: ${reason}.`);
  }
}

/** Longest message of the library that is repeated. */
const LONGEST_REASON = 200;

function withoutAddress(message: string): string {
  return message
    .replaceAll(/https?:\/\/\S+/g, "the file")
    .replaceAll(/[\p{Cc}\p{Cf}]/gu, "")
    .slice(0, LONGEST_REASON)
    .replace(/\.$/, "");
}

/** A value of the metadata without what is a tokenizer's; undefined for what cannot be kept. */
function toPlain(value: unknown): GgufValue | undefined {
  switch (typeof value) {
    case "string":
    case "boolean":
      return value;
    case "number":
      return Number.isFinite(value) ? value : undefined;
    case "bigint":
      return value <= BigInt(Number.MAX_SAFE_INTEGER) && value >= 0n ? Number(value) : undefined;
    default: {
      if (!Array.isArray(value) || value.length > LONGEST_LIST) return undefined;
      const items = value.map(toPlain);
      return items.every((item) => item !== undefined) ? (items as GgufValue[]) : undefined;
    }
  }
}

function wholeOr(value: GgufValue | undefined, fallback: number): number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0 ? value : fallback;
}

/** Where the last tensor ends, padded as every tensor is. */
function fileBytes(
  dataOffset: number,
  tensors: readonly GgufTensor[],
  offsets: readonly number[],
  stated: GgufValue | undefined,
): number | null {
  const alignment = wholeOr(stated, DEFAULT_ALIGNMENT) || DEFAULT_ALIGNMENT;
  let end = dataOffset;
  for (const [index, { type, shape }] of tensors.entries()) {
    const bytes = bytesOf(type, shape);
    if (bytes === null) return null;
    end = Math.max(end, dataOffset + (offsets[index] ?? 0) + Math.ceil(bytes / alignment) * alignment);
  }
  return Number.isSafeInteger(end) ? end : null;
}

/** Bytes of a tensor; null where its type is not known, or its rows are no whole blocks. */
export function bytesOf(type: string | null, shape: readonly number[]): number | null {
  if (type === null || !isGgmlType(type)) return null;
  try {
    return tensorBytes(type, shape);
  } catch (error) {
    if (error instanceof QuantizationError) return null;
    throw error;
  }
}
