import { describe, expect, it } from "vitest";
import { architectureOf, madeUp, schemeOf } from "../../../test/fixtures/serving-requests.js";
import type { Architecture } from "../architecture/architecture.js";
import type { QuantScheme } from "../quantization/scheme.js";
import { explainIllegal, legalPlans, type ParallelPlan, type ServingEngine } from "./parallel-plans.js";

const BF16 = schemeOf("bf16");
const FP8 = schemeOf("fp8");
const plan = (tensorParallel: number, more: Partial<ParallelPlan> = {}): ParallelPlan => ({
  tensorParallel,
  pipelineParallel: 1,
  expertParallel: false,
  ...more,
});
const refusal = (
  architecture: Architecture,
  tensorParallel: number,
  scheme: QuantScheme = BF16,
  more: Partial<ParallelPlan> = {},
  engine?: ServingEngine,
): string | null => explainIllegal(architecture, scheme, plan(tensorParallel, more), engine)?.message ?? null;

const mixture = (size: number, count = 128): Architecture => {
  const { feedForward: _, ...rest } = madeUp().blocks.layer ?? { tensors: [] };
  return { ...madeUp(), blocks: { layer: { ...rest, experts: { count, used: 8, size, gated: true } } } };
};

describe("heads, widths and vocabulary", () => {
  it("three devices do not divide 32 heads, and the sentence says what does", () => {
    expect(refusal(madeUp(), 3)).toBe(
      "32 attention heads do not divide over 3 devices; tensor parallel sizes of 1, 2, 4, 8 do.",
    );
  });

  it("Qwen2.5-0.5B: 14 heads take 2 and 7, its 2 KV heads and width leave only 2", () => {
    // vLLM: heads, KV heads, intermediate width and vocabulary must all divide.
    const small = {
      ...madeUp({ feedForward: { size: 4864, gated: true } }, { heads: 14, kvHeads: 2, keyDim: 64, valueDim: 64 }),
      vocabularySize: 151_936,
    };
    const legal = Array.from({ length: 16 }, (_, index) => index + 1).filter((size) => refusal(small, size) === null);
    expect(legal).toEqual([1, 2]);
  });

  it("KV heads are repeated evenly or not at all", () => {
    expect(refusal(madeUp({}, { heads: 64, kvHeads: 4 }), 8)).toBeNull();
    expect(refusal(madeUp({}, { heads: 64, kvHeads: 4 }), 16)).toBeNull();
    expect(refusal(madeUp({ feedForward: { size: 12_288, gated: true } }, { heads: 48, kvHeads: 6 }), 4)).toContain(
      "6 key/value heads",
    );
    expect(refusal(madeUp({ feedForward: { size: 12_288, gated: true } }, { heads: 48, kvHeads: 3 }), 4)).toContain(
      "no multiple of 3",
    );
  });

  it("the vocabulary counts in padded tokens, and TensorRT-LLM pads it as it needs", () => {
    const odd = {
      ...madeUp({ feedForward: { size: 12_288, gated: true } }, { heads: 48, kvHeads: 12 }),
      vocabularySize: 151_936,
    };
    expect(refusal(odd, 3)).toContain("A vocabulary of 151936 tokens");
    expect(refusal(odd, 3, BF16, {}, "tensorrt-llm")).toBeNull();
    // 32,001 tokens are padded to 32,064.
    expect(refusal({ ...madeUp(), vocabularySize: 32_001 }, 2)).toBeNull();
  });

  it("recurrent heads count, too", () => {
    const hybrid = architectureOf("qwen3-next-80b-a3b-instruct");
    expect(refusal(hybrid, 2)).toBeNull();
    expect(refusal(hybrid, 32)).toContain("16 linear-attention key heads");
  });

  it.each([0, -1, 1.5, Number.NaN])("a size of %s is refused by its path", (size) => {
    expect(explainIllegal(madeUp(), BF16, plan(size))?.path).toEqual(["runtime", "tensorParallel"]);
    expect(explainIllegal(madeUp(), BF16, plan(1, { pipelineParallel: size }))?.path).toEqual([
      "runtime",
      "pipelineParallel",
    ]);
  });

  it("more stages than layers are refused", () => {
    expect(refusal(madeUp(), 1, BF16, { pipelineParallel: 11 })).toContain("10 layers");
  });
});

describe("quantized formats", () => {
  it.each([
    ["MiniMax-M2.5 and Qwen3-235B", 1536, [2, 4], [8]],
    ["Qwen3-Coder-480B", 2560, [2, 4], [8]],
    ["experts of 640", 640, [], [2]],
  ])("blocks of 128 in FP8: %s", (_name, size, legal, illegal) => {
    for (const devices of legal) expect(refusal(mixture(size), devices, FP8)).toBeNull();
    for (const devices of illegal) {
      expect(refusal(mixture(size), devices, FP8)).toContain(`${size / devices} outputs each, not whole fp8-b128x128`);
      expect(refusal(mixture(size), devices, FP8, { expertParallel: true })).toBeNull();
      expect(refusal(mixture(size), devices, BF16)).toBeNull();
    }
  });

  it("groups of 128: a width of 29,568 over 8 devices cuts through one, 29,696 does not", () => {
    const wide = (size: number): Architecture => madeUp({ feedForward: { size, gated: true } });
    expect(refusal(wide(29_568), 8, schemeOf("gptq-int4"))).toContain("3696");
    expect(refusal(wide(29_696), 8, schemeOf("gptq-int4"))).toBeNull();
    expect(refusal(wide(29_568), 8)).toBeNull();
  });

  it("experts in MXFP4 are padded instead: gpt-oss-120b runs over 8 devices", () => {
    expect(refusal(architectureOf("gpt-oss-120b"), 8, schemeOf("mxfp4"))).toBeNull();
  });
});

describe("experts", () => {
  it("whole ones divide in SGLang; vLLM deals them unevenly as long as there are enough", () => {
    const odd = mixture(1536, 12);
    expect(refusal(odd, 8, BF16, { expertParallel: true }, "sglang")).toContain("12 experts");
    expect(refusal(odd, 8, BF16, { expertParallel: true }, "vllm")).toBeNull();
    expect(refusal(mixture(1536, 4), 8, BF16, { expertParallel: true }, "vllm")).toContain("4 experts");
  });

  it("with attention whole everywhere its heads do not matter", () => {
    const model = mixture(1536, 24);
    expect(refusal(model, 24, BF16, { expertParallel: true }, "sglang")).toContain("32 attention heads");
    expect(
      refusal(
        { ...model, vocabularySize: 64 * 24 },
        24,
        BF16,
        { expertParallel: true, wholeAttention: true },
        "sglang",
      ),
    ).toBeNull();
  });
});

describe("plans", () => {
  it("the widest split first, stages where heads do not divide, whole experts after divided ones", () => {
    expect(legalPlans(madeUp(), BF16, 4)).toEqual([
      plan(4),
      plan(2, { pipelineParallel: 2 }),
      plan(1, { pipelineParallel: 4 }),
    ]);
    expect(legalPlans(madeUp(), BF16, 3)).toEqual([plan(1, { pipelineParallel: 3 })]);
    expect(legalPlans(mixture(1536), FP8, 8)[0]).toEqual(plan(8, { expertParallel: true }));
    expect(legalPlans(madeUp(), BF16, 1)).toEqual([plan(1)]);
    expect(legalPlans(madeUp(), BF16, 11)).toEqual([]);
    for (const count of [0, -1, 2.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 40]) {
      expect(legalPlans(madeUp(), BF16, count)).toEqual([]);
    }
  });

  it("each uses all devices and is legal", () => {
    const architecture = architectureOf("deepseek-v3");
    for (const count of [2, 6, 8, 16]) {
      for (const found of legalPlans(architecture, FP8, count, "sglang")) {
        expect(found.tensorParallel * found.pipelineParallel).toBe(count);
        expect(explainIllegal(architecture, FP8, found, "sglang")).toBeNull();
      }
    }
    // 256 experts of 2,048 and shared ones: 16 devices leave 128 of each.
    expect(legalPlans(architecture, FP8, 16)[0]).toEqual(plan(16));
  });
});
