import { describe, expect, it } from "vitest";
import { compileSearch } from "./search.js";

const finds = (search: string, ...texts: (string | null)[]) => compileSearch(search)(texts);

describe("compileSearch", () => {
  it.each([
    ["llama3 70b", "llama-3.1-70b"],
    ["70B llama", "llama-3.1-70b"],
    ["LLAMA 3.1", "llama-3.1-70b"],
    ["eepsee", "DeepSeek-V3"],
    ["deepseekv3", "DeepSeek-V3"],
    ["deepseek v3", "deepseek-v3"],
    ["q4km", "q4_k_m"],
    ["Q4_K_M", "q4_k_m"],
    ["rtx3090", "NVIDIA GeForce RTX 3090 24GB"],
    ["h100", "nvidia-h100-80gb-sxm"],
    ["dragon", "Drágon"],
    ["ДРАКОН", "дракон"],
    ["straße", "Straße"],
    ["", "anything"],
    [" - . ", "anything"],
  ])("%j finds %j", (search, text) => {
    expect(finds(search, text)).toBe(true);
  });

  it.each([
    ["llama 8b", "llama-3.1-70b"],
    ["8b", "dragon-38b"],
    ["7b", "llama-3.1-70b"],
    ["llama qwen", "llama-3.1-70b"],
    ["llama", ""],
  ])("%j does not find %j", (search, text) => {
    expect(finds(search, text)).toBe(false);
  });

  it("looks for each word in every text, and passes over texts that are missing", () => {
    expect(finds("instinct mi300x", "amd-mi300x-192gb", null, "AMD Instinct")).toBe(true);
    expect(finds("instinct", null)).toBe(false);
  });
});
