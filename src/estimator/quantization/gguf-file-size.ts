import type { Architecture } from "../architecture/architecture.js";
import type { StoredTensor } from "./scheme.js";

/** What a GGUF file holds of a tokenizer. */
export interface GgufTokenizer {
  /** SentencePiece: a score for each token. Byte pair encoding: merges. */
  kind: "SENTENCEPIECE" | "BYTE_PAIR";
  /** Entries of the vocabulary. */
  tokens: number;
  /** Merges of a byte pair encoding; as many as tokens if absent (tiktoken vocabularies list about twice as many). */
  merges?: number;
}

/** Bytes of a length or a count. */
const LENGTH = 8;
/** Bytes of a type, a number of dimensions, a token's type or score. */
const WORD = 4;
/** Tensor data, and each tensor in it, begin on multiples of this. */
const ALIGNMENT = 32;
/** Magic number, version, and the counts of tensors and keys. */
const HEADER = 24;
/** Keys beside the tokenizer's lists (hyperparameters, names, a chat template): a few thousand bytes. */
const KEYS = 4000;
/**
 * Mean bytes of a token's and of a merge's text, over the vocabularies of Llama 2, Llama 3, Gemma 2 and Qwen 2.5:
 * 6.9 to 7.6, and 11 to 12.3.
 */
const TOKEN_TEXT = 7.3;
const MERGE_TEXT = 11;

/**
 * Bytes of a GGUF file: the tensors with their padding and their entries in the header, and the tokenizer. All but
 * the length of the tokenizer's texts is exact; the whole differs from real files by hundredths of a percent.
 *
 * Source: the GGUF specification (ggml, docs/gguf.md).
 */
export function ggufFileBytes(stored: readonly StoredTensor[], tokenizer: GgufTokenizer): number {
  const data = stored.reduce((total, { bytes }) => total + aligned(bytes), 0);
  return aligned(HEADER + KEYS + tokenizerBytes(tokenizer) + sum(stored.map(tensorEntryBytes))) + data;
}

/** A tensor's entry: its name, dimensions, type and offset. */
function tensorEntryBytes({ tensor }: StoredTensor): number {
  return LENGTH + tensor.name.length + WORD + LENGTH * tensor.shape.length + WORD + LENGTH;
}

function tokenizerBytes({ kind, tokens, merges = tokens }: GgufTokenizer): number {
  const token = LENGTH + TOKEN_TEXT + WORD;
  return kind === "SENTENCEPIECE"
    ? Math.round(tokens * (token + WORD))
    : Math.round(tokens * token + merges * (LENGTH + MERGE_TEXT));
}

/** Largest vocabulary that is taken for SentencePiece's where nothing else says so (Llama 2, Mistral, Phi-3). */
const LARGEST_SENTENCEPIECE = 32_768;

/** The tokenizer that a model most likely has: configurations do not say. */
export function likelyTokenizer({ ggufArchitecture, vocabularySize }: Architecture): GgufTokenizer {
  const isSentencePiece = vocabularySize <= LARGEST_SENTENCEPIECE || ggufArchitecture?.startsWith("gemma") === true;
  return { kind: isSentencePiece ? "SENTENCEPIECE" : "BYTE_PAIR", tokens: vocabularySize };
}

const aligned = (bytes: number): number => Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
