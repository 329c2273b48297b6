import { describe, expect, it } from "vitest";
import type { Architecture } from "../architecture/architecture.js";
import type { UniformScheme } from "../quantization/scheme.js";
import { type KernelCard, kernelRulesFor, kernelStorage, readKernelRules } from "./kernels.js";

const rule = { what: "FP8 weights", storage: ["fp8"], vendor: "NVIDIA", verdict: "MISSING", note: "it needs more" };
const read = (...rules: object[]) => readKernelRules("Engine", { kernels: { rules } });
const card = (computeCapability: string | null, vendor = "NVIDIA"): KernelCard => ({ vendor, computeCapability });
const use = { storage: ["fp8-b128x128"], cache: [] };

describe("rules of kernels", () => {
  it.each<[string | null, string, boolean]>([
    ["8.6", "NVIDIA", true],
    ["8.9", "NVIDIA", false],
    // Versions of two digits are numbers, not texts.
    ["12.0", "NVIDIA", false],
    ["gfx942", "AMD", false],
    [null, "NVIDIA", false],
  ])("below 8.9 hold for %s of %s: %s", (capability, vendor, holds) => {
    const found = kernelRulesFor(read({ ...rule, below: 8.9 }), card(capability, vendor), use);
    expect(found.length === 1).toBe(holds);
  });

  it("hold from a generation on, and for chips by name", () => {
    const rules = read({ ...rule, from: 10 }, { ...rule, vendor: "AMD", chips: ["gfx90a"] });
    const holds = (one: KernelCard) => kernelRulesFor(rules, one, use).length === 1;
    expect([holds(card("9.0")), holds(card("10.0")), holds(card("12.1"))]).toEqual([false, true, true]);
    expect([holds(card("gfx90a", "AMD")), holds(card("gfx942", "AMD"))]).toEqual([true, false]);
  });

  it("count once for each thing, the first that holds, and only for what the run has", () => {
    const rules = read(
      { ...rule, below: 8, note: "first" },
      { ...rule, below: 9, note: "second", verdict: "FALLBACK" },
      { ...rule, what: "an FP8 cache", storage: undefined, cache: ["fp8"], below: 9, note: "cache" },
      { ...rule, what: "any model", storage: undefined, below: 7, note: "card" },
    );
    const notes = (capability: string, cache: string[], storage = use.storage) =>
      kernelRulesFor(rules, card(capability), { storage, cache }).map(({ note }) => note);
    expect(notes("7.5", [])).toEqual(["first"]);
    expect(notes("8.6", ["fp8"])).toEqual(["second", "cache"]);
    expect(notes("6.1", [], ["int4-g128"])).toEqual(["card"]);
    expect(notes("9.0", ["fp8"])).toEqual([]);
  });

  it("are none where a row has none, and refused where one makes no sense", () => {
    expect(readKernelRules("Engine", {})).toEqual([]);
    expect(() => read({ ...rule, verdict: "SLOW" })).toThrow(/kernels\.rules\[0\]\.verdict .*MISSING, FALLBACK/);
    expect(() => read({ ...rule, below: "8.9" })).toThrow(/below .*number above 0/);
  });
});

describe("what kernels have to be for", () => {
  const model = (experts: object | undefined) => ({ blocks: { all: { experts } } }) as unknown as Architecture;
  const mxfp4: UniformScheme = {
    kind: "uniform",
    type: "mxfp4-g32",
    weightBits: 4,
    scales: [],
    quantizedRoles: ["EXPERTS"],
    restBits: 16,
  };

  it("is the storage of matrices that the model has", () => {
    expect(kernelStorage(mxfp4, model({}))).toEqual(["mxfp4-g32"]);
    expect(kernelStorage(mxfp4, model(undefined))).toEqual([]);
    const override = { type: "fp8-row", weightBits: 8, scales: [], roles: ["ATTENTION" as const] };
    expect(kernelStorage({ ...mxfp4, overrides: [override] }, model({}))).toEqual(["mxfp4-g32", "fp8-row"]);
    expect(kernelStorage({ kind: "ggml", fileType: "BF16" }, model(undefined))).toEqual(["bf16"]);
    expect(kernelStorage({ kind: "ggml", fileType: "Q4_K_M" }, model(undefined))).toEqual([]);
  });
});
