import { describe, expect, it } from "vitest";
import { ConfigError } from "../src/estimator/architecture/config-error.js";
import { countParameters } from "../src/estimator/tensors/count-parameters.js";
import { compareParameters, formatModelRow, slugOfRepo, titleOfRepo, toModelRow } from "./import-config.js";

/** Fields of meta-llama/Meta-Llama-3.1-8B's config.json that its shape follows from. */
const LLAMA_8B = {
  architectures: ["LlamaForCausalLM"],
  model_type: "llama",
  hidden_size: 4096,
  intermediate_size: 14336,
  num_attention_heads: 32,
  num_hidden_layers: 32,
  num_key_value_heads: 8,
  vocab_size: 128256,
  max_position_embeddings: 131072,
  tie_word_embeddings: false,
};
/** Elements of its tensors, as Hugging Face shows them. */
const LLAMA_8B_PARAMETERS = 8_030_261_248;

describe("slugOfRepo", () => {
  it.each([
    ["deepseek-ai/DeepSeek-V3", "deepseek-v3"],
    ["meta-llama/Llama-3.1-8B-Instruct", "llama-3.1-8b-instruct"],
    ["meta-llama/Meta-Llama-3.1-8B", "llama-3.1-8b"],
    ["microsoft/phi-1_5", "phi-1-5"],
    ["nvidia/NVIDIA-Nemotron-3-Nano-30B-A3B-BF16", "nvidia-nemotron-3-nano-30b-a3b"],
    ["google/gemma-3-27b-it", "gemma-3-27b-it"],
  ])("%s is %s", (repo, slug) => expect(slugOfRepo(repo)).toBe(slug));
});

describe("toModelRow", () => {
  it("takes from the repository's name what is not given", () => {
    const row = toModelRow(JSON.stringify(LLAMA_8B), { repo: "meta-llama/Meta-Llama-3.1-8B" });
    expect(row).toMatchObject({
      slug: "llama-3.1-8b",
      name: "Llama 3.1 8B",
      vendor: "meta-llama",
      licence: null,
      releasedOn: null,
      publishedParameters: null,
      sources: [{ url: "https://huggingface.co/meta-llama/Meta-Llama-3.1-8B" }],
    });
    expect(countParameters(row.architecture).total).toBe(LLAMA_8B_PARAMETERS);
  });

  it("prints a row that reads back as it was, with a line for each block", () => {
    const row = toModelRow(JSON.stringify(LLAMA_8B), { repo: "meta-llama/Meta-Llama-3.1-8B", vendor: "Meta" });
    const text = formatModelRow(row);
    expect(JSON.parse(text)).toEqual(row);
    expect(text.split("\n").length).toBeLessThan(40);
  });

  it.each([
    ["text that is no JSON", "<html>"],
    ["an empty file", ""],
    ["a config that is cut off", JSON.stringify(LLAMA_8B).slice(0, 100)],
    ["an unknown architecture", JSON.stringify({ ...LLAMA_8B, model_type: "none_such", architectures: ["NoneSuch"] })],
    ["a missing field", JSON.stringify({ ...LLAMA_8B, hidden_size: undefined })],
    ["text for a number", JSON.stringify({ ...LLAMA_8B, num_hidden_layers: "many" })],
  ])("refuses %s", (_, text) => {
    expect(() => toModelRow(text, { repo: "meta-llama/Meta-Llama-3.1-8B" })).toThrow(ConfigError);
  });
});

describe("compareParameters", () => {
  const count = countParameters(toModelRow(JSON.stringify(LLAMA_8B), { repo: "a/b" }).architecture);

  it("asks for an explanation above a thousandth", () => {
    expect(compareParameters(count, LLAMA_8B_PARAMETERS)).not.toContain("explain");
    expect(compareParameters(count, 8_000_000_000)).toContain("explain it in parametersNote");
  });

  it("names what a publisher counts with the rest", () => {
    const besides = { ...count, encoders: 400_000_000, nextTokenPrediction: 900_000_000 };
    const explained = (published: number) => compareParameters(besides, published);
    expect(explained(LLAMA_8B_PARAMETERS + 400_000_000)).toContain("it includes encoders; say so in parametersNote");
    expect(explained(LLAMA_8B_PARAMETERS + 900_000_000)).toContain("it includes prediction blocks; say so");
    expect(explained(LLAMA_8B_PARAMETERS + 1_300_000_000)).toContain("it includes prediction blocks and encoders;");
    expect(explained(LLAMA_8B_PARAMETERS + 700_000_000)).toContain("explain it in parametersNote");
  });

  it("says nothing of a published count that is not known", () => {
    expect(compareParameters(count, null)).not.toContain("published");
  });
});

describe("titleOfRepo", () => {
  it("drops the owner and Meta's prefix", () => {
    expect(titleOfRepo("meta-llama/Meta-Llama-3-70B-Instruct")).toBe("Llama 3 70B Instruct");
  });
});
