import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { architectureFromConfig } from "../architecture/from-config.js";
import { ggufFileBytes, likelyTokenizer } from "./gguf-file-size.js";
import { storeTensors } from "./store-tensors.js";

const architectureOf = (name: string) =>
  architectureFromConfig(
    JSON.parse(readFileSync(new URL(`../../../test/fixtures/configs/${name}.json`, import.meta.url), "utf8")),
  );

/** Llama 3's tokenizer, of tiktoken's kind. */
const LLAMA3_MERGES = 280_147;

describe("files of published models", () => {
  // Bytes of files on Hugging Face: bartowski, TheBloke, LM Studio; sizes as their model catalogues list them.
  it.each([
    ["llama-3.2-1b-instruct", "Q4_K_M", 807_694_464, LLAMA3_MERGES],
    ["llama-3.2-1b-instruct", "Q2_K", 580_873_408, LLAMA3_MERGES],
    ["meta-llama-3.1-8b", "Q4_K_M", 4_920_739_168, LLAMA3_MERGES],
    ["gemma-2-2b", "Q6_K", 2_151_393_120, undefined],
    ["phi-2", "Q6_K", 2_285_059_936, 50_000],
    ["mistral-7b-v0.1", "Q6_K", 5_942_065_440, undefined],
  ])("%s %s is %d bytes", (name, fileType, bytes, merges) => {
    const architecture = architectureOf(name);
    const stored = storeTensors(architecture, { kind: "ggml", fileType });
    const tokenizer = { ...likelyTokenizer(architecture), ...(merges === undefined ? {} : { merges }) };
    const data = stored.reduce((total, tensor) => total + tensor.bytes, 0);
    const file = ggufFileBytes(stored, tokenizer);
    expect(Math.abs(file / bytes - 1)).toBeLessThan(1e-4);
    // What a file holds beside its tensors: 2% for vocabularies of that size, 9% for GPT-2's shorter words (Phi-2).
    expect(Math.abs((file - data) / (bytes - data) - 1)).toBeLessThan(0.1);
  });
});

describe("the tokenizer", () => {
  it("is SentencePiece's for small vocabularies and for Gemma", () => {
    expect(likelyTokenizer(architectureOf("mistral-7b-v0.1")).kind).toBe("SENTENCEPIECE");
    expect(likelyTokenizer(architectureOf("gemma-3-27b-it")).kind).toBe("SENTENCEPIECE");
    expect(likelyTokenizer(architectureOf("qwen3-8b"))).toEqual({ kind: "BYTE_PAIR", tokens: 151_936 });
  });

  it("takes bytes for each token and each merge", () => {
    const bytes = (tokens: number, merges: number): number => ggufFileBytes([], { kind: "BYTE_PAIR", tokens, merges });
    expect(bytes(0, 0)).toBeLessThan(10_000);
    expect(bytes(100_000, 0)).toBeGreaterThan(bytes(0, 0) + 12 * 100_000);
    expect(bytes(100_000, 100_000)).toBeGreaterThan(bytes(100_000, 0) + 8 * 100_000);
  });
});
