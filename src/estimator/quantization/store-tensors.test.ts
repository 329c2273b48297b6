import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import type { Architecture, PlainTensor } from "../architecture/architecture.js";
import { groupTensors, listTensors } from "../tensors/list-tensors.js";
import type { QuantScheme, UniformScheme } from "./scheme.js";
import { storeGroups, storeTensors } from "./store-tensors.js";
import { summarizeWeights } from "./summarize-weights.js";

interface SeedRow {
  slug: string;
  family: string;
  bitsPerWeight: number;
  qualityRank: number;
  scheme: QuantScheme;
}

const FORMATS: SeedRow[] = JSON.parse(
  readFileSync(new URL("../../../seed/quant-formats.json", import.meta.url), "utf8"),
);

function schemeOf(slug: string): QuantScheme {
  const row = FORMATS.find((format) => format.slug === slug);
  if (row === undefined) throw new Error(`no format ${slug}`);
  return row.scheme;
}

const norm = (name: string, width: number): PlainTensor => ({ name: `${name}.weight`, shape: [width], role: "NORM" });

/** Llama-3.1-8B: 8,030,261,248 parameters. */
const LLAMA_8B: Architecture = {
  schemaVersion: 1,
  modelType: "llama",
  ggufArchitecture: "llama",
  vocabularySize: 128256,
  hiddenSize: 4096,
  contextLength: 131072,
  tiedEmbeddings: false,
  hasOutput: true,
  blocks: {
    layer: {
      attention: { kind: "grouped", heads: 32, kvHeads: 8, keyDim: 128, valueDim: 128 },
      feedForward: { size: 14336, gated: true },
      tensors: [norm("attn_norm", 4096), norm("ffn_norm", 4096)],
    },
  },
  layers: new Array(32).fill("layer"),
  tensors: [norm("output_norm", 4096), { name: "rope_freqs.weight", shape: [64], role: "OTHER", isParameter: false }],
};
const LLAMA_8B_PARAMETERS = 8_030_261_248;
const LLAMA_8B_LINEAR = 6_979_321_856;
const LLAMA_8B_UNQUANTIZED = LLAMA_8B_PARAMETERS - LLAMA_8B_LINEAR;

/** A small mixture of experts with a shared expert, a router, a convolution and a prediction block. */
const MIXTURE: Architecture = {
  ...LLAMA_8B,
  vocabularySize: 1024,
  hiddenSize: 256,
  blocks: {
    layer: {
      attention: { kind: "grouped", heads: 4, kvHeads: 2, keyDim: 64, valueDim: 64 },
      experts: { count: 4, used: 1, size: 128, gated: true, shared: { size: 128, gated: true } },
      tensors: [
        norm("attn_norm", 256),
        { name: "ssm_conv1d.weight", shape: [4, 256], role: "RECURRENT" },
        { name: "ffn_gate_tid2eid.weight", shape: [1, 1024], role: "ROUTER", isInteger: true },
      ],
    },
    prediction: {
      attention: { kind: "grouped", heads: 4, kvHeads: 2, keyDim: 64, valueDim: 64 },
      experts: { count: 4, used: 1, size: 128, gated: true },
      tensors: [{ name: "nextn.eh_proj.weight", shape: [512, 256], role: "NEXT_TOKEN_PREDICTION" }],
    },
  },
  layers: ["layer", "layer"],
  nextTokenPrediction: { layers: ["prediction"], inGguf: true, loadedByLlamaCpp: false, cachedByLlamaCpp: false },
};

function store(architecture: Architecture, scheme: QuantScheme) {
  return storeTensors(architecture, scheme);
}

function bytesOf(architecture: Architecture, scheme: QuantScheme): number {
  return store(architecture, scheme).reduce((sum, { bytes }) => sum + bytes, 0);
}

function typesByName(architecture: Architecture, scheme: QuantScheme): Map<string, string> {
  return new Map(store(architecture, scheme).map(({ tensor, type }) => [tensor.name, type]));
}

describe("formats with one storage for all linear layers", () => {
  it.each([
    // 4 bits, fp16 scale and 4-bit zero per 128, no g_idx
    ["awq-int4", (LLAMA_8B_LINEAR * (4 + 20 / 128)) / 8],
    // 8 bits and an fp32 scale per 128x128 tile
    ["fp8", LLAMA_8B_LINEAR * (1 + 4 / (128 * 128))],
    // 4 bits, bf16 scale per 128, and the shape as two int64 for each of 7 x 32 matrices
    ["ct-w4a16-g128", (LLAMA_8B_LINEAR * (4 + 16 / 128)) / 8 + 224 * 16],
    // 4 bits, E4M3 scale per 16, two fp32 scales for each matrix
    ["nvfp4", (LLAMA_8B_LINEAR * 4.5) / 8 + 224 * 8],
    // 4 bits, fp32 maximum per 64, 16 fp32 codes for each matrix
    ["bnb-nf4", (LLAMA_8B_LINEAR * 4.5) / 8 + 224 * 64],
    // the same with 8-bit maxima, an fp32 per 256 of them, and 256 more codes
    ["bnb-nf4-dq", LLAMA_8B_LINEAR * (0.5 + 1 / 64 + 4 / (64 * 256)) + 224 * (64 + 1024)],
    ["hqq-4bit", (LLAMA_8B_LINEAR * (4 + 32 / 64)) / 8],
  ])("%s on Llama-3.1-8B", (slug, linearBytes) => {
    expect(bytesOf(LLAMA_8B, schemeOf(slug))).toBe(linearBytes + LLAMA_8B_UNQUANTIZED * 2);
  });

  it("GPTQ adds a group index of four bytes for each input", () => {
    const inputs = 32 * (6 * 4096 + 14336);
    expect(bytesOf(LLAMA_8B, schemeOf("gptq-int4"))).toBe(
      (LLAMA_8B_LINEAR * (4 + 20 / 128)) / 8 + inputs * 4 + LLAMA_8B_UNQUANTIZED * 2,
    );
  });

  it("int8 and FP8 per channel have one scale for each output", () => {
    const outputs = 32 * (4096 + 1024 + 1024 + 4096 + 14336 + 14336 + 4096);
    expect(bytesOf(LLAMA_8B, schemeOf("bnb-int8"))).toBe(LLAMA_8B_LINEAR + outputs * 4 + LLAMA_8B_UNQUANTIZED * 2);
    expect(bytesOf(LLAMA_8B, schemeOf("fp8-channel"))).toBe(LLAMA_8B_LINEAR + outputs * 2 + LLAMA_8B_UNQUANTIZED * 2);
  });

  /**
   * Download sizes of mlx-community repositories: weights plus tokenizer, which is the same file for both
   * precisions of a model, so that the differences between precisions are exact.
   */
  it("MLX on Llama-3.1-8B: 8-bit minus 4-bit as published, within the few bytes of the index", () => {
    const difference = bytesOf(LLAMA_8B, schemeOf("mlx-8bit")) - bytesOf(LLAMA_8B, schemeOf("mlx-4bit"));
    expect(Math.abs(difference - (8_541_691_351 - 4_526_682_492))).toBeLessThan(20_000);
    const tokenizer = 4_526_682_492 - bytesOf(LLAMA_8B, schemeOf("mlx-4bit"));
    expect(tokenizer).toBeGreaterThan(9_000_000);
    expect(tokenizer).toBeLessThan(9_500_000);
  });

  it("MLX leaves a matrix alone whose rows are not whole groups", () => {
    const odd: Architecture = {
      ...MIXTURE,
      blocks: { layer: { feedForward: { size: 96, gated: false }, tensors: [] } },
      layers: ["layer"],
    };
    delete odd.nextTokenPrediction;
    const types = typesByName(odd, schemeOf("mlx-4bit"));
    expect(types.get("blk.0.ffn_up.weight")).toBe("mlx4-g64");
    expect(types.get("blk.0.ffn_down.weight")).toBe("bf16");
  });

  it("a short last group has a scale of its own", () => {
    const scheme: UniformScheme = {
      kind: "uniform",
      type: "int4",
      weightBits: 4,
      scales: [{ per: "group", groupSize: 100, bits: 16 }],
      quantizedRoles: ["ATTENTION"],
      restBits: 16,
    };
    const query = store(MIXTURE, scheme).find(({ tensor }) => tensor.name === "blk.0.attn_q.weight");
    expect(query?.bytes).toBe((256 * 256) / 2 + 3 * 256 * 2);
  });

  it("experts are matrices of their own: a scale per matrix is a scale per expert", () => {
    const experts = store(MIXTURE, schemeOf("nvfp4-experts")).find(
      ({ tensor }) => tensor.name === "blk.0.ffn_up_exps.weight",
    );
    expect(experts?.bytes).toBe((256 * 128 * 4 * 4.5) / 8 + 4 * 8);
  });

  it("leaves router, norms, convolutions and what the format names alone; integer tables stay int32", () => {
    const types = typesByName(MIXTURE, schemeOf("nvfp4-experts"));
    expect(types.get("blk.0.ffn_down_exps.weight")).toBe("nvfp4-g16");
    for (const name of ["attn_q.weight", "ffn_down_shexp.weight", "ffn_gate_inp.weight", "ssm_conv1d.weight"]) {
      expect(types.get(`blk.0.${name}`), name).toBe("bf16");
    }
    expect(types.get("blk.0.ffn_gate_tid2eid.weight")).toBe("I32");
    expect(types.get("token_embd.weight")).toBe("bf16");
  });

  it("matrices of prediction blocks count by what they do", () => {
    const types = typesByName(MIXTURE, schemeOf("fp8"));
    expect(types.get("blk.2.ffn_down_exps.weight")).toBe("fp8-b128x128");
    expect(types.get("blk.2.attn_q.weight")).toBe("fp8-b128x128");
    expect(types.get("blk.2.ffn_gate_inp.weight")).toBe("bf16");
    expect(types.get("blk.2.nextn.eh_proj.weight")).toBe("bf16");
  });

  it("stores some roles otherwise where the format mixes", () => {
    const types = typesByName(MIXTURE, schemeOf("nvfp4-fp8-attention"));
    expect(types.get("blk.0.attn_q.weight")).toBe("fp8-tensor");
    expect(types.get("blk.0.ffn_up_exps.weight")).toBe("nvfp4-g16");
  });

  it("has no constants that only a GGUF conversion adds", () => {
    expect(typesByName(LLAMA_8B, schemeOf("fp8")).has("rope_freqs.weight")).toBe(false);
    expect(typesByName(LLAMA_8B, schemeOf("q8_0")).get("rope_freqs.weight")).toBe("F32");
  });
});

describe("formats known by their average", () => {
  it("EXL3 at 4 bits: average over linear layers, six-bit head, embedding in 16 bits", () => {
    const matrix = 128256 * 4096;
    const norms = LLAMA_8B_UNQUANTIZED - 2 * matrix;
    expect(bytesOf(LLAMA_8B, schemeOf("exl3-4bpw"))).toBe(
      LLAMA_8B_LINEAR / 2 + (matrix * 6) / 8 + (matrix + norms) * 2,
    );
  });
});

describe("the catalogue's formats", () => {
  it.each(FORMATS.map((format) => [format.slug, format] as const))("%s stores every tensor", (_slug, format) => {
    for (const architecture of [LLAMA_8B, MIXTURE]) {
      const tensors = listTensors(architecture).filter(({ isParameter }) => isParameter);
      const stored = store(architecture, format.scheme).filter(({ tensor }) => tensor.isParameter);
      expect(stored.map(({ tensor }) => tensor.name)).toEqual(tensors.map(({ name }) => name));
      expect(stored.every(({ bytes }) => Number.isSafeInteger(bytes) && bytes > 0)).toBe(true);
    }
  });

  it("has slugs of its own and bits per weight that hold for a dense model or a mixture of experts", () => {
    expect(new Set(FORMATS.map(({ slug }) => slug)).size).toBe(FORMATS.length);
    for (const { slug, scheme, bitsPerWeight } of FORMATS) {
      const isAboutExperts =
        (scheme.kind === "uniform" && !scheme.quantizedRoles.includes("FEED_FORWARD")) ||
        (scheme.kind === "ggml" && (scheme.fileType === "MXFP4_MOE" || scheme.expertsType !== undefined)) ||
        slug === "nvfp4-experts" ||
        slug === "mxfp4-fp8";
      if (isAboutExperts) continue;
      expect((bytesOf(LLAMA_8B, scheme) * 8) / LLAMA_8B_PARAMETERS, slug).toBeCloseTo(bitsPerWeight, 2);
    }
  });
});

describe("summary of weights", () => {
  const summarize = (architecture: Architecture, scheme: QuantScheme) =>
    summarizeWeights(architecture, storeGroups(architecture, groupTensors(architecture), scheme));

  it("adds up to the parts, by type and by role", () => {
    const stored = store(MIXTURE, { kind: "ggml", fileType: "Q4_K_M" });
    const summary = summarize(MIXTURE, { kind: "ggml", fileType: "Q4_K_M" });
    const total = stored.reduce((sum, { bytes }) => sum + bytes, 0);
    expect(summary.bytes).toBe(total);
    expect(summary.byTensorType.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(total);
    expect(summary.byTensorType.reduce((sum, { tensors }) => sum + tensors, 0)).toBe(stored.length);
    expect(summary.byRole.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(total);
    expect(summary.byRole.reduce((sum, { parameters }) => sum + parameters, 0)).toBe(summary.parameters);
    expect(summary.byRole.map(({ role }) => role)).toContain("NEXT_TOKEN_PREDICTION");
    expect(summary.activeParameters).toBeLessThan(summary.parameters);
  });

  it("Llama-3.1-8B Q4_K_M: 4,685.30 MiB and 4.89 bits per weight (llama-quantize --dry-run, July 2026 build)", () => {
    const summary = summarize(LLAMA_8B, { kind: "ggml", fileType: "Q4_K_M" });
    expect(summary.bytes / 2 ** 20).toBeCloseTo(4685.3, 2);
    expect(summary.parameters).toBe(LLAMA_8B_PARAMETERS);
    expect(summary.bitsPerWeight).toBeCloseTo(4.89, 2);
    expect(summary.byTensorType[0]?.type).toBe("Q4_K");
  });

  it("nothing stored has no bits per weight", () => {
    expect(summarizeWeights(LLAMA_8B, []).bitsPerWeight).toBe(0);
  });
});
