import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Architecture, Block } from "../architecture/architecture.js";
import { architectureFromConfig } from "../architecture/from-config.js";
import { countParameters } from "../tensors/count-parameters.js";
import { listTensors } from "../tensors/list-tensors.js";
import { schemeFromConfig } from "./checkpoint-scheme.js";
import { QuantizationError } from "./ggml-types.js";
import type { QuantScheme } from "./scheme.js";
import { storeTensors } from "./store-tensors.js";

const attention: Block["attention"] = { kind: "grouped", heads: 8, kvHeads: 2, keyDim: 128, valueDim: 128 };
const experts: Block["experts"] = {
  count: 8,
  used: 2,
  size: 512,
  gated: true,
  shared: { size: 512, gated: true },
};

/** A dense layer, a mixture, a mixture with linear attention, and a prediction block. */
const MODEL: Architecture = {
  schemaVersion: 1,
  modelType: "test",
  ggufArchitecture: null,
  vocabularySize: 4096,
  hiddenSize: 1024,
  contextLength: 4096,
  tiedEmbeddings: false,
  hasOutput: true,
  blocks: {
    dense: { attention, feedForward: { size: 2048, gated: true }, tensors: [] },
    mixture: { attention, experts, tensors: [] },
    linear: {
      recurrent: { kind: "gated-delta-net", keyHeads: 4, keyDim: 128, valueHeads: 8, valueDim: 128, convKernel: 4 },
      experts,
      tensors: [],
    },
  },
  layers: ["dense", "mixture", "linear"],
  nextTokenPrediction: { layers: ["mixture"], inGguf: true, loadedByLlamaCpp: true, cachedByLlamaCpp: true },
  tensors: [],
};

function typesUnder(quantization: unknown, architecture = MODEL): Map<string, string> {
  const scheme = schemeFromConfig({ quantization_config: quantization });
  if (scheme === null) throw new Error("no scheme");
  const stored = storeTensors(architecture, scheme);
  return new Map(stored.map(({ tensor, type }) => [tensor.name, type]));
}

function expectTypes(types: Map<string, string>, expected: Record<string, string>): void {
  expect(Object.fromEntries(Object.keys(expected).map((name) => [name, types.get(name)]))).toEqual(expected);
}

const float4 = { num_bits: 4, type: "float", group_size: 16, dynamic: false };

describe("a checkpoint's own quantization_config", () => {
  it("is absent in ordinary checkpoints", () => {
    expect(schemeFromConfig({ model_type: "llama" })).toBeNull();
    expect(schemeFromConfig({ quantization_config: null })).toBeNull();
  });

  it("FP8 tiles as DeepSeek-V3 and Qwen3-FP8 publish them, with the modules listed left alone", () => {
    const types = typesUnder({
      quant_method: "fp8",
      weight_block_size: [128, 128],
      modules_to_not_convert: [
        "lm_head",
        "model.layers.1.mlp.gate",
        "model.layers.2.linear_attn.in_proj_a",
        "mtp.layers.0.self_attn.q_proj",
      ],
    });
    expectTypes(types, {
      "output.weight": "bf16",
      "token_embd.weight": "bf16",
      "blk.0.attn_q.weight": "fp8-b128x128",
      "blk.1.ffn_up_exps.weight": "fp8-b128x128",
      "blk.1.ffn_gate_inp.weight": "bf16",
      "blk.2.ssm_alpha.weight": "bf16",
      "blk.2.ssm_beta.weight": "fp8-b128x128",
      "blk.3.attn_q.weight": "bf16",
      "blk.3.attn_k.weight": "fp8-b128x128",
    });
  });

  it("NVFP4 by Model Optimizer: wildcards and parents in the list of what is left alone", () => {
    const types = typesUnder({
      quant_method: "modelopt",
      quant_algo: "NVFP4",
      config_groups: { group_0: { weights: float4, targets: ["Linear"] } },
      ignore: ["lm_head", "model.language_model.layers.1.self_attn*", "*.mlp.shared_expert*", "mtp*", "model.visual*"],
    });
    expectTypes(types, {
      "output.weight": "bf16",
      "blk.0.attn_q.weight": "nvfp4-g16",
      "blk.1.attn_q.weight": "bf16",
      "blk.1.ffn_up_exps.weight": "nvfp4-g16",
      "blk.1.ffn_up_shexp.weight": "bf16",
      "blk.2.attn_qkv.weight": "nvfp4-g16",
      "blk.3.ffn_up_exps.weight": "bf16",
    });
  });

  it("mixed precision by Model Optimizer: only the layers listed, each by its algorithm", () => {
    const types = typesUnder({
      quant_method: "modelopt",
      quant_algo: "MIXED_PRECISION",
      quantized_layers: {
        "model.language_model.layers.1.mlp.experts": { quant_algo: "W4A16_NVFP4", group_size: 16 },
        "model.language_model.layers.2.linear_attn.in_proj_qkv": { quant_algo: "FP8" },
        "model.layers.2.block_sparse_moe.experts.5.w1": { quant_algo: "NVFP4" },
        lm_head: { quant_algo: "NVFP4" },
      },
    });
    expectTypes(types, {
      "output.weight": "nvfp4-g16",
      "blk.0.attn_q.weight": "bf16",
      "blk.1.ffn_down_exps.weight": "nvfp4-g16",
      "blk.2.attn_qkv.weight": "fp8-tensor",
      "blk.2.attn_gate.weight": "bf16",
      "blk.2.ffn_gate_exps.weight": "nvfp4-g16",
      "blk.2.ffn_up_exps.weight": "bf16",
    });
  });

  it("compressed-tensors with expressions: INT4 of group 32 in the routed experts only (Kimi-K2-Thinking)", () => {
    const types = typesUnder({
      quant_method: "compressed-tensors",
      format: "pack-quantized",
      config_groups: {
        group_0: {
          targets: ["Linear"],
          weights: { num_bits: 4, type: "int", group_size: 32, symmetric: true, strategy: "group" },
        },
      },
      ignore: ["lm_head", "re:.*self_attn.*", "re:.*shared_experts.*", "re:.*mlp\\.(gate|up|gate_up|down)_proj.*"],
    });
    expectTypes(types, {
      "output.weight": "bf16",
      "blk.0.attn_q.weight": "bf16",
      "blk.0.ffn_up.weight": "bf16",
      "blk.1.ffn_up_exps.weight": "int4-g32",
      "blk.1.ffn_up_shexp.weight": "bf16",
    });
  });

  it("experts beside a dense network in one layer are not part of its mlp (Gemma 4)", () => {
    const both: Architecture = {
      ...MODEL,
      blocks: {
        both: {
          attention,
          experts: { ...experts, fusedGateUp: true },
          feedForward: { size: 2048, gated: true },
          tensors: [],
        },
      },
      layers: ["both"],
    };
    delete both.nextTokenPrediction;
    const types = typesUnder(
      { quant_method: "modelopt", quant_algo: "NVFP4", ignore: ["model.language_model.layers.0.mlp*"] },
      both,
    );
    expectTypes(types, {
      "blk.0.ffn_up.weight": "bf16",
      "blk.0.ffn_gate_up_exps.weight": "nvfp4-g16",
      "blk.0.ffn_down_exps.weight": "nvfp4-g16",
    });
  });

  it("MXFP4 of gpt-oss, and FP4 experts beside FP8 (DeepSeek-V4)", () => {
    expectTypes(
      typesUnder({ quant_method: "mxfp4", modules_to_not_convert: ["model.layers.*.self_attn", "lm_head"] }),
      {
        "blk.1.ffn_up_exps.weight": "mxfp4-g32",
        "blk.1.attn_q.weight": "bf16",
        "output.weight": "bf16",
      },
    );
    const scheme = schemeFromConfig({
      expert_dtype: "fp4",
      quantization_config: { quant_method: "fp8", weight_block_size: [128, 128] },
    }) as QuantScheme;
    const stored = storeTensors(MODEL, scheme);
    const types = new Map(stored.map(({ tensor, type }) => [tensor.name, type]));
    expectTypes(types, { "blk.1.ffn_up_exps.weight": "mxfp4-g32", "blk.1.attn_q.weight": "fp8-b128x128" });
  });

  it("integer formats: GPTQ, AWQ, bitsandbytes, HQQ, MLX, EXL", () => {
    expect(typesUnder({ quant_method: "gptq", bits: 4, group_size: 128 }).get("blk.0.attn_q.weight")).toBe("int4-g128");
    expect(typesUnder({ quant_method: "gptq", bits: 8, group_size: -1 }).get("blk.0.attn_q.weight")).toBe("int8-row");
    expectTypes(
      typesUnder({ quant_method: "awq", bits: 4, group_size: 128, modules_to_not_convert: ["in_proj_b", "in_proj_a"] }),
      {
        "blk.2.ssm_beta.weight": "fp16",
        "blk.2.attn_qkv.weight": "int4-g128",
      },
    );
    const nf4 = { quant_method: "bitsandbytes", load_in_4bit: true, bnb_4bit_use_double_quant: true };
    expect(typesUnder(nf4).get("blk.0.attn_q.weight")).toBe("nf4-b64-dq");
    expect(typesUnder({ load_in_8bit: true }).get("blk.0.attn_q.weight")).toBe("int8-row");
    expect(typesUnder({ bits: 4, group_size: 64 }).get("token_embd.weight")).toBe("mlx4-g64");
    expect(typesUnder({ quant_method: "hqq", nbits: 4, group_size: 64 }).get("blk.0.attn_q.weight")).toBe("hqq4-g64");
    expect(typesUnder({ quant_method: "exl3", bits: 3.5, head_bits: 6 }).get("output.weight")).toBe("exl3");
  });

  it("of MLX states settings by module, and false for modules left alone", () => {
    // As mlx-lm writes gpt-oss with MXFP4 experts and 8 bits elsewhere.
    const eight = { group_size: 64, bits: 8, mode: "affine" };
    expectTypes(
      typesUnder({
        group_size: 32,
        bits: 4,
        mode: "mxfp4",
        "model.embed_tokens": eight,
        "model.layers.0.self_attn.q_proj": eight,
        "model.layers.1.mlp.switch_mlp.up_proj": { group_size: 32, bits: 8 },
        "model.layers.1.mlp.gate": false,
        lm_head: false,
      }),
      {
        "token_embd.weight": "mlx8-g64",
        "blk.0.attn_q.weight": "mlx8-g64",
        "blk.0.attn_k.weight": "mxfp4-g32",
        "blk.1.ffn_up_exps.weight": "mxfp4-g32",
        "blk.1.ffn_gate_exps.weight": "mxfp4-g32",
        "blk.1.ffn_gate_inp.weight": "bf16",
        "blk.2.ffn_gate_inp.weight": "mxfp4-g32",
        "output.weight": "bf16",
      },
    );
    const stored = typesUnder({ group_size: 64, bits: 4, "model.layers.1.mlp.switch_mlp.up_proj": { bits: 6 } });
    expect(stored.get("blk.1.ffn_up_exps.weight")).toBe("mlx6-g64");
  });

  it("of GPTQ may take the output matrix, and skip modules by expression", () => {
    const gptq = { quant_method: "gptq", bits: 4, group_size: 128 };
    expect(typesUnder({ ...gptq, lm_head: true }).get("output.weight")).toBe("int4-g128");
    expectTypes(typesUnder({ ...gptq, dynamic: { "-:.*self_attn.*": {}, "+:.*mlp.*": { bits: 8 } } }), {
      "blk.0.attn_q.weight": "fp16",
      "blk.0.ffn_up.weight": "int4-g128",
    });
    expect(typesUnder({ quant_method: "auto-round", bits: 4, group_size: 128 }).get("blk.0.ffn_up.weight")).toBe(
      "int4-g128",
    );
  });

  it("of Quark is one kind of storage with exceptions", () => {
    const weight = { dtype: "fp4", qscheme: "per_group", group_size: 32 };
    const quark = { quant_method: "quark", global_quant_config: { weight }, exclude: ["lm_head", "*self_attn*"] };
    expectTypes(typesUnder(quark), {
      "blk.0.attn_q.weight": "bf16",
      "blk.1.ffn_up_exps.weight": "mxfp4-g32",
      "output.weight": "bf16",
    });
    expect(() => typesUnder({ ...quark, global_quant_config: { weight: { dtype: "odd" } } })).toThrow(/"odd"/);
  });

  it("is found in a nested text config", () => {
    const nested = { text_config: { quantization_config: { quant_method: "fp8", weight_block_size: [128, 128] } } };
    expect(schemeFromConfig(nested)).toMatchObject({ kind: "uniform", type: "fp8-b128x128" });
  });

  it.each([
    [{ quant_method: "quip" }, /"quip"/],
    [{ quant_method: "constructor" }, /"constructor"/],
    [{}, /quant_method/],
    [{ quant_method: "gptq" }, /bits/],
    [{ quant_method: "gptq", bits: "4", group_size: 128 }, /bits/],
    [{ quant_method: "gptq", bits: 4, group_size: 0 }, /group_size/],
    [{ quant_method: "gptq", bits: 4, group_size: -2 }, /group_size/],
    [{ quant_method: "awq", bits: 1e9, group_size: 128 }, /bits/],
    [{ quant_method: "fp8", weight_block_size: [128] }, /weight_block_size/],
    [{ quant_method: "fp8", weight_block_size: [0, -1] }, /weight_block_size/],
    [{ quant_method: "modelopt", quant_algo: "W3A5" }, /W3A5/],
    [{ quant_method: "compressed-tensors" }, /config_groups/],
    [{ quant_method: "compressed-tensors", config_groups: {} }, /no group/],
    [{ quant_method: "exl2", bits: Number.NaN }, /bits/],
  ])("refuses %j", (quantization, message) => {
    expect(() => schemeFromConfig({ quantization_config: quantization })).toThrow(QuantizationError);
    expect(() => schemeFromConfig({ quantization_config: quantization })).toThrow(message);
  });

  it("answers in time whatever the expressions say", () => {
    const hostile = [
      `re:${"(a|b)".repeat(40)}`,
      "re:(a+)+$",
      `re:${"(".repeat(5000)}`,
      `re:${".*a".repeat(2000)}`,
      "*".repeat(5000),
      "",
    ];
    const start = performance.now();
    const types = typesUnder({ quant_method: "fp8", weight_block_size: [128, 128], modules_to_not_convert: hostile });
    expect(performance.now() - start).toBeLessThan(2000);
    expect(types.size).toBe(listTensors(MODEL).length);
  });

  it("gives a storage of every tensor or a QuantizationError, whatever is changed", () => {
    const int4 = { num_bits: 4, type: "int", group_size: 128, symmetric: true };
    const known = [
      { quant_method: "gptq", bits: 4, group_size: 128, dynamic: {} },
      { quant_method: "awq", bits: 4, group_size: 128, modules_to_not_convert: ["lm_head"] },
      { quant_method: "bitsandbytes", load_in_4bit: true, llm_int8_skip_modules: ["lm_head"] },
      { quant_method: "fp8", weight_block_size: [128, 128], ignored_layers: [] },
      { quant_method: "compressed-tensors", config_groups: { group_0: { targets: ["Linear"], weights: int4 } } },
      { quant_method: "modelopt", quantized_layers: { "model.layers.0.mlp.up_proj": { quant_algo: "NVFP4" } } },
      {
        quant_method: "quark",
        global_quant_config: { weight: { dtype: "fp4", qscheme: "per_group", group_size: 32 } },
      },
      { bits: 4, group_size: 64, mode: "affine", "model.embed_tokens": { bits: 8, group_size: 64 } },
      { quant_method: "exl3", bits: 3.5, head_bits: 6 },
      { quant_method: "hqq", nbits: 4, group_size: 64 },
    ];
    const wrong = fc.oneof(
      fc.constantFrom(null, undefined, "", "4", 0, -1, 3, 1e9, Number.NaN, Number.POSITIVE_INFINITY, true, [], {}),
      fc.constantFrom(["re:((("], ["*"], [null], ["re:.*(a|b)*"], "__proto__", "constructor"),
      fc.jsonValue({ maxDepth: 3 }),
    );
    const fields = (value: object): [Record<string, unknown>, string][] =>
      Object.entries(value).flatMap(([key, inner]) => [
        [value as Record<string, unknown>, key],
        ...(typeof inner === "object" && inner !== null && !Array.isArray(inner) ? fields(inner) : []),
      ]);
    const tensors = listTensors(MODEL);
    fc.assert(
      fc.property(fc.constantFrom(...known), fc.nat(), wrong, (quantization, pick, value) => {
        const config = structuredClone(quantization);
        const all = fields(config);
        const [owner, key] = all[pick % all.length] ?? [config as Record<string, unknown>, "quant_method"];
        owner[key] = value;
        try {
          const scheme = schemeFromConfig({ quantization_config: config });
          if (scheme === null) return;
          const stored = storeTensors(MODEL, scheme);
          expect(stored).toHaveLength(tensors.length);
          for (const { bytes } of stored) expect(Number.isSafeInteger(bytes) && bytes > 0).toBe(true);
        } catch (error) {
          expect(error).toBeInstanceOf(QuantizationError);
        }
      }),
      { numRuns: 600, seed: 20_260_724 },
    );
  });
});

describe("checkpoints as engines load them, and as they are published", () => {
  const GIB = 2 ** 30;
  const int8 = { num_bits: 8, type: "int", strategy: "channel", symmetric: true };
  const compressed = (weights: object, ignore: string[]) => ({
    quant_method: "compressed-tensors",
    format: "int-quantized",
    config_groups: { group_0: { targets: ["Linear"], weights } },
    ignore,
  });
  const eight = { group_size: 64, bits: 8, mode: "affine" };
  const gptOss = Object.fromEntries([
    ...["model.embed_tokens", "lm_head"].map((module) => [module, eight]),
    ...Array.from({ length: 36 }, (_, layer) =>
      ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.router"].map((module) => [
        `model.layers.${layer}.${module}`,
        eight,
      ]),
    ).flat(),
  ]);

  it.each<[string, string, object, number]>([
    // vLLM's "model weights take" on one GPU (v0.19.0 start-up logs, and of Qwen3-8B-FP8).
    ["GPTQ", "meta-llama-3.1-8b", { quant_method: "gptq", bits: 4, group_size: 128 }, 5.38 * GIB],
    ["INT8", "devstral-small-2-24b-instruct-2512", compressed(int8, ["re:.*lm_head", "re:vision_.*"]), 24.07 * GIB],
    ["FP8", "qwen3-8b", { quant_method: "fp8", weight_block_size: [128, 128] }, 8.8 * GIB],
    // Bytes of repositories of mlx-community, tokenizer included.
    ["MLX 4", "meta-llama-3.1-8b", { group_size: 64, bits: 4 }, 4_526_682_492],
    ["MLX 8", "meta-llama-3.1-8b", { group_size: 64, bits: 8 }, 8_541_691_351],
    ["MLX MXFP4 and 8", "gpt-oss-120b", { group_size: 32, bits: 4, mode: "mxfp4", ...gptOss }, 63_414_972_073],
  ])("%s: %s", (_format, name, quantization, bytes) => {
    const file = new URL(`../../../test/fixtures/configs/${name}.json`, import.meta.url);
    const { quantization_config: _, ...config } = JSON.parse(readFileSync(file, "utf8"));
    const architecture = architectureFromConfig(config);
    const scheme = schemeFromConfig({ ...config, quantization });
    if (scheme === null) throw new Error("no scheme");
    const towers = 2 * countParameters(architecture).encoders;
    const stored = storeTensors(architecture, scheme);
    const ours = stored.reduce((sum, tensor) => sum + tensor.bytes, towers);
    expect(Math.abs(ours / bytes - 1)).toBeLessThan(0.01);
  });
});
