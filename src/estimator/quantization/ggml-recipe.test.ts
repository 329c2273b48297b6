import { describe, expect, it } from "vitest";
import type { Architecture, Block, PlainTensor } from "../architecture/architecture.js";
import { groupTensors } from "../tensors/list-tensors.js";
import { membersOf } from "../tensors/tensor.js";
import { GGML_FILE_TYPES } from "./ggml-file-types.js";
import { ggmlTypes } from "./ggml-recipe.js";
import { getsMoreBits } from "./ggml-recipe-rules.js";
import { QuantizationError } from "./ggml-types.js";
import type { GgmlScheme } from "./scheme.js";
import { storeTensors } from "./store-tensors.js";

interface Shape {
  ggufArchitecture?: string;
  layers?: number;
  hiddenSize?: number;
  heads?: number;
  kvHeads?: number;
  feedForward?: number;
  experts?: number;
  tied?: boolean;
  fusedQkv?: boolean;
  vocabularySize?: number;
  predictionLayers?: number;
  blockTensors?: PlainTensor[];
  tensors?: PlainTensor[];
  gated?: boolean;
}

function model(shape: Shape = {}): Architecture {
  const hiddenSize = shape.hiddenSize ?? 1024;
  const heads = shape.heads ?? 8;
  const headDim = hiddenSize / heads;
  const size = shape.feedForward ?? 2048;
  const gated = shape.gated ?? true;
  const block: Block = {
    attention: {
      kind: "grouped",
      heads,
      kvHeads: shape.kvHeads ?? heads,
      keyDim: headDim,
      valueDim: headDim,
      fusedQkv: shape.fusedQkv ?? false,
    },
    tensors: shape.blockTensors ?? [],
    ...(shape.experts ? { experts: { count: shape.experts, used: 2, size, gated } } : { feedForward: { size, gated } }),
  };
  const predictions = shape.predictionLayers ?? 0;
  return {
    schemaVersion: 1,
    modelType: "test",
    ggufArchitecture: shape.ggufArchitecture ?? "llama",
    vocabularySize: shape.vocabularySize ?? 4096,
    hiddenSize,
    contextLength: 4096,
    tiedEmbeddings: shape.tied ?? false,
    hasOutput: true,
    blocks: { layer: block },
    layers: new Array(shape.layers ?? 32).fill("layer"),
    tensors: shape.tensors ?? [],
    ...(predictions === 0
      ? {}
      : {
          nextTokenPrediction: {
            layers: new Array(predictions).fill("layer"),
            inGguf: true,
            loadedByLlamaCpp: true,
            cachedByLlamaCpp: true,
          },
        }),
  };
}

/** Type by tensor name. */
function typesOf(architecture: Architecture, scheme: Omit<GgmlScheme, "kind">): Map<string, string> {
  const typed = ggmlTypes(architecture, groupTensors(architecture), { kind: "ggml", ...scheme });
  return new Map(typed.flatMap(({ type, ...group }) => membersOf(group).map(({ name }) => [name, type])));
}

/** Layers whose tensor of that name has the type. */
function layersWith(types: Map<string, string>, name: string, type: string): number[] {
  return [...types]
    .filter(([key, value]) => key.endsWith(`.${name}.weight`) && value === type)
    .map(([key]) => Number(key.split(".")[1]));
}

const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, index) => from + index);

/** Layers of Llama-3.1-8B that llama-quantize (July 2026 build) gives Q6_K in a Q4_K_M file. */
const MORE_BITS_OF_32 = [0, 1, 2, 3, 6, 9, 12, 15, 18, 21, 24, 27, 28, 29, 30, 31];

describe("llama-quantize's recipe", () => {
  it("gives more bits to the first and last eighth and every third layer between", () => {
    expect(range(0, 32).filter((layer) => getsMoreBits(layer, 32))).toEqual(MORE_BITS_OF_32);
  });

  it("Q4_K_M: value and down projections of those layers in Q6_K", () => {
    const types = typesOf(model(), { fileType: "Q4_K_M" });
    expect(layersWith(types, "attn_v", "Q6_K")).toEqual(MORE_BITS_OF_32);
    expect(layersWith(types, "ffn_down", "Q6_K")).toEqual(MORE_BITS_OF_32);
    expect(layersWith(types, "attn_q", "Q4_K")).toHaveLength(32);
    expect(types.get("output.weight")).toBe("Q6_K");
    expect(types.get("token_embd.weight")).toBe("Q4_K");
  });

  it("the embedding takes the output's type when there is no output matrix", () => {
    const types = typesOf(model({ tied: true }), { fileType: "Q4_K_M" });
    expect(types.get("token_embd.weight")).toBe("Q6_K");
    expect(typesOf(model({ tied: true }), { fileType: "Q8_0" }).get("token_embd.weight")).toBe("Q8_0");
    expect(typesOf(model({ tied: true }), { fileType: "IQ2_XXS" }).get("token_embd.weight")).toBe("Q5_K");
    expect(typesOf(model(), { fileType: "IQ2_XXS" }).get("token_embd.weight")).toBe("Q2_K");
  });

  it("with an importance matrix the first down projections change, and only there", () => {
    const q4 = typesOf(model(), { fileType: "Q4_0", importanceMatrix: true });
    expect(layersWith(q4, "ffn_down", "Q4_1")).toEqual(range(0, 4));
    expect(layersWith(typesOf(model(), { fileType: "Q4_0" }), "ffn_down", "Q4_1")).toEqual([]);
    expect(layersWith(typesOf(model(), { fileType: "IQ4_XS" }), "ffn_down", "Q5_K")).toEqual(range(0, 4));
    const iq4 = typesOf(model(), { fileType: "IQ4_XS", importanceMatrix: true });
    expect(layersWith(iq4, "ffn_down", "Q5_K")).toEqual([]);
    expect(layersWith(typesOf(model(), { fileType: "IQ3_XXS" }), "ffn_down", "Q3_K")).toEqual(range(4, 32));
    const iq3 = typesOf(model(), { fileType: "IQ3_XXS", importanceMatrix: true });
    expect(layersWith(iq3, "ffn_down", "IQ3_XXS")).toHaveLength(32);
  });

  it("exactly eight experts (Mixtral): keys and values in Q8_0, attention output in Q5_K", () => {
    const mixtral = typesOf(model({ experts: 8, kvHeads: 2 }), { fileType: "Q4_K_M" });
    expect(layersWith(mixtral, "attn_v", "Q8_0")).toHaveLength(32);
    expect(layersWith(mixtral, "attn_k", "Q8_0")).toHaveLength(32);
    expect(layersWith(mixtral, "attn_output", "Q5_K")).toHaveLength(32);
    const sixteen = typesOf(model({ experts: 16, kvHeads: 2 }), { fileType: "Q4_K_M" });
    expect(layersWith(sixteen, "attn_v", "Q8_0")).toEqual([]);
    expect(layersWith(sixteen, "attn_output", "Q4_K")).toHaveLength(32);
  });

  it("80 layers of grouped queries (Llama 70B): values at least Q5_K", () => {
    const llama70B = model({ layers: 80, heads: 8, kvHeads: 1 });
    expect(layersWith(typesOf(llama70B, { fileType: "Q3_K_M" }), "attn_v", "Q5_K")).toHaveLength(80);
    expect(layersWith(typesOf(llama70B, { fileType: "Q4_K_M" }), "attn_v", "Q4_K")).toEqual([]);
    const llama65B = model({ layers: 80, heads: 8, kvHeads: 8 });
    expect(layersWith(typesOf(llama65B, { fileType: "Q3_K_M" }), "attn_v", "Q4_K")).toHaveLength(78);
    const otherArchitecture = model({ layers: 80, heads: 8, kvHeads: 1, ggufArchitecture: "qwen3" });
    expect(layersWith(typesOf(otherArchitecture, { fileType: "Q3_K_M" }), "attn_v", "Q4_K")).toHaveLength(78);
  });

  it("Falcon: output in Q8_0, down projections by its own steps", () => {
    const types = typesOf(model({ ggufArchitecture: "falcon", fusedQkv: true, gated: false }), { fileType: "Q4_K_M" });
    expect(types.get("output.weight")).toBe("Q8_0");
    expect(layersWith(types, "ffn_down", "Q6_K")).toEqual([0, 1]);
    expect(layersWith(types, "ffn_down", "Q5_K")).toEqual(MORE_BITS_OF_32.slice(2));
  });

  it("a fused QKV matrix counts as a value matrix now, and had a rule of its own before", () => {
    const phi = model({ fusedQkv: true, ggufArchitecture: "phi3", kvHeads: 2 });
    const now = typesOf(phi, { fileType: "Q5_K_M" });
    expect(layersWith(now, "attn_qkv", "Q6_K")).toEqual(MORE_BITS_OF_32);
    const before = typesOf(phi, { fileType: "Q5_K_M", recipe: "before-2026-04" });
    expect(layersWith(before, "attn_qkv", "Q6_K")).toHaveLength(32);
    const q3Before = typesOf(phi, { fileType: "Q3_K_M", recipe: "before-2026-04" });
    expect(layersWith(q3Before, "attn_qkv", "Q4_K")).toHaveLength(32);
    const iq2Before = typesOf(phi, { fileType: "IQ2_XXS", recipe: "before-2026-04" });
    expect(layersWith(iq2Before, "attn_qkv", "IQ2_XXS")).toHaveLength(32);
    expect(layersWith(typesOf(phi, { fileType: "IQ2_XXS" }), "attn_qkv", "Q4_K")).toHaveLength(32);
  });

  it("models without fused QKV come out the same in both generations", () => {
    for (const fileType of Object.keys(GGML_FILE_TYPES)) {
      if (fileType === "Q1_0" || fileType === "NVFP4") continue;
      expect(typesOf(model(), { fileType, recipe: "before-2026-04" }), fileType).toEqual(
        typesOf(model(), { fileType }),
      );
    }
  });

  it("prediction blocks count among the layers", () => {
    const types = typesOf(model({ layers: 31, predictionLayers: 1 }), { fileType: "Q4_K_M" });
    expect(layersWith(types, "ffn_down", "Q6_K")).toEqual(MORE_BITS_OF_32);
  });

  it("with experts the layer number decides, but below three bits the running count", () => {
    const shared: PlainTensor[] = [{ name: "ffn_down_shexp.weight", shape: [2048, 1024], role: "SHARED_EXPERTS" }];
    const moe = model({ experts: 64, blockTensors: shared });
    const q4 = typesOf(moe, { fileType: "Q4_K_M" });
    expect(layersWith(q4, "ffn_down_exps", "Q6_K")).toEqual(MORE_BITS_OF_32);
    expect(layersWith(q4, "ffn_down_shexp", "Q6_K")).toEqual(MORE_BITS_OF_32);
    const iq2 = typesOf(moe, { fileType: "IQ2_XXS" });
    expect(layersWith(iq2, "ffn_down_exps", "Q2_K")).toEqual([0, 1]);
    expect(layersWith(iq2, "ffn_down_shexp", "Q2_K")).toEqual([0, 1]);
  });

  it("MXFP4_MOE: stacked experts in MXFP4, all else in Q8_0", () => {
    const types = typesOf(model({ experts: 32 }), { fileType: "MXFP4_MOE" });
    expect(types.get("blk.0.ffn_up_exps.weight")).toBe("MXFP4");
    expect(types.get("blk.0.ffn_gate_inp.weight")).toBe("F32");
    for (const name of ["output.weight", "token_embd.weight", "blk.0.attn_q.weight"]) {
      expect(types.get(name)).toBe("Q8_0");
    }
  });

  it("experts can be kept as published whatever the file type", () => {
    const types = typesOf(model({ experts: 32 }), { fileType: "Q4_K_M", expertsType: "MXFP4" });
    expect(types.get("blk.9.ffn_down_exps.weight")).toBe("MXFP4");
    expect(types.get("blk.0.attn_v.weight")).toBe("Q6_K");
    expect(typesOf(model({ experts: 32 }), { fileType: "F16", expertsType: "MXFP4" }).get("output.weight")).toBe("F16");
  });

  it("output and embedding types can be forced, and the recipe switched off", () => {
    const forced = typesOf(model(), { fileType: "Q4_K_M", outputType: "Q8_0", embeddingType: "Q8_0" });
    expect(forced.get("output.weight")).toBe("Q8_0");
    expect(forced.get("token_embd.weight")).toBe("Q8_0");
    expect(new Set(typesOf(model(), { fileType: "Q4_K_M", pure: true }).values())).toEqual(new Set(["Q4_K"]));
  });

  it("rows that are not whole blocks fall back (hidden 896 of Qwen2.5-0.5B, 2880 of gpt-oss)", () => {
    const odd = model({ hiddenSize: 896, heads: 14, kvHeads: 2, feedForward: 4864, tied: true });
    const types = typesOf(odd, { fileType: "Q4_K_M" });
    expect(types.get("token_embd.weight")).toBe("Q8_0");
    expect(types.get("blk.5.attn_q.weight")).toBe("Q5_0");
    expect(types.get("blk.0.attn_v.weight")).toBe("Q8_0");
    expect(types.get("blk.5.ffn_down.weight")).toBe("Q4_K");
    expect(typesOf(odd, { fileType: "Q5_K_S" }).get("blk.5.attn_q.weight")).toBe("Q5_1");
    expect(typesOf(odd, { fileType: "IQ3_S" }).get("blk.5.attn_q.weight")).toBe("IQ4_NL");
    expect(typesOf(odd, { fileType: "Q2_K" }).get("blk.5.attn_q.weight")).toBe("Q4_0");
    const notEven32 = model({ hiddenSize: 1024, feedForward: 2040 });
    expect(typesOf(notEven32, { fileType: "Q4_K_M" }).get("blk.5.ffn_down.weight")).toBe("F16");
  });

  it("refuses as llama-quantize does where there is no fallback", () => {
    const notEven32 = model({ feedForward: 2040 });
    expect(() => typesOf(notEven32, { fileType: "Q8_0" })).toThrow(/blk\.0\.ffn_down\.weight as Q8_0/);
  });

  it("leaves vectors, norms, routers and convolutions alone, and small matrices in the source's type", () => {
    const blockTensors: PlainTensor[] = [
      { name: "attn_norm.weight", shape: [1024], role: "NORM" },
      { name: "attn_q_norm.weight", shape: [128, 8], role: "NORM" },
      { name: "attn_q.bias", shape: [1024], role: "ATTENTION" },
      { name: "ssm_conv1d.weight", shape: [4, 1024], role: "RECURRENT" },
      { name: "ssm_a", shape: [1, 8], role: "RECURRENT" },
      { name: "ffn_gate_inp_shexp.weight", shape: [1024], role: "ROUTER" },
      { name: "laurel_l.weight", shape: [1024, 64], role: "OTHER" },
      { name: "ffn_gate_tid2eid.weight", shape: [8, 4096], role: "ROUTER", isInteger: true },
    ];
    const types = typesOf(model({ blockTensors }), { fileType: "Q4_K_M" });
    for (const name of ["attn_norm.weight", "attn_q_norm.weight", "attn_q.bias", "ssm_conv1d.weight", "ssm_a"]) {
      expect(types.get(`blk.0.${name}`), name).toBe("F32");
    }
    expect(types.get("blk.0.laurel_l.weight")).toBe("F16");
    expect(types.get("blk.0.ffn_gate_tid2eid.weight")).toBe("I32");
    const fromBf16 = typesOf(model({ blockTensors }), { fileType: "Q4_K_M", sourceType: "BF16" });
    expect(fromBf16.get("blk.0.laurel_l.weight")).toBe("BF16");
  });

  it("Falcon-7B Q4_0: within the tokenizer's size of a published file (gpt4all-falcon, 4,210,994,112 bytes)", () => {
    const norm: PlainTensor[] = ["attn_norm.weight", "attn_norm.bias"].map((name) => ({
      name,
      shape: [4544],
      role: "NORM",
    }));
    const falcon = model({
      ggufArchitecture: "falcon",
      hiddenSize: 4544,
      heads: 71,
      kvHeads: 1,
      feedForward: 4 * 4544,
      gated: false,
      fusedQkv: true,
      vocabularySize: 65024,
      blockTensors: norm,
    });
    const stored = storeTensors(falcon, { kind: "ggml", fileType: "Q4_0" });
    const overhead = 4_210_994_112 - stored.reduce((sum, { bytes }) => sum + bytes, 0);
    expect(overhead).toBeGreaterThan(0);
    expect(overhead).toBeLessThan(4_000_000);
  });

  it.each(["q4_k_m", "Q4_K_XL", "", "constructor"])("refuses the file type %j", (fileType) => {
    expect(() => typesOf(model(), { fileType })).toThrow(QuantizationError);
  });

  it("refuses an unknown type in an override", () => {
    expect(() => typesOf(model(), { fileType: "Q4_K_M", outputType: "Q9_9" })).toThrow(/"Q9_9"/);
  });
});
