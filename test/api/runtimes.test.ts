import { describe, expect, it } from "vitest";
import { serveSeed } from "./setup/seeded-server.js";

const seeded = serveSeed();

const GIB = 2 ** 30;
const H100 = { gpu: "nvidia-h100-sxm5-80gb" };

async function estimate(input: Record<string, unknown>, fields: string) {
  const answer = await seeded.server.query(`query ($input: EstimateInput!) { estimate(input: $input) { ${fields} } }`, {
    input,
  });
  return { errors: answer.errors, estimate: answer.data?.estimate };
}

async function failure(input: Record<string, unknown>) {
  const { errors } = await estimate(input, "total { bytes }");
  return { message: errors?.[0]?.message, argument: errors?.[0]?.extensions.argument };
}

describe("vLLM", () => {
  // vLLM 0.19.0 start-up log, Qwen2.5-7B-Instruct, TP2 on H100 80GB, utilization 0.95: 7.12 GiB of weights per GPU,
  // "GPU KV cache size: 2,390,592 tokens", "Maximum concurrency for 8,192 tokens per request: 291.82x"
  // (llm-d-planner pull request 205).
  const run = {
    model: { slug: "qwen2.5-7b-instruct" },
    quant: "bf16",
    context: 8192,
    runtime: { vllm: { version: "0.19", tensorParallel: 2, gpuMemoryUtilization: 0.95 } },
    hardware: { gpus: [{ ...H100, count: 2 }] },
  };

  it("makes of what is left the cache that the engine prints", async () => {
    const { estimate: memory } = await estimate(
      run,
      "fits pool { tokens blockTokens maxConcurrency perDevice { gib } } devices { weights { bytes } kvCache { bytes } }",
    );
    expect(memory.fits).toBe(true);
    expect(memory.devices).toHaveLength(2);
    expect(memory.devices[0].weights.bytes / GIB / 7.12).toBeCloseTo(1, 2);
    expect(memory.pool.blockTokens).toBe(16);
    expect(Math.abs(memory.pool.tokens / 2_390_592 - 1)).toBeLessThan(0.02);
    expect(Math.abs(memory.pool.maxConcurrency / 291.82 - 1)).toBeLessThan(0.02);
  });

  it("takes other constants in other versions, and says which it knows", async () => {
    const tokens = async (version: string) => {
      const runtime = { vllm: { ...run.runtime.vllm, version } };
      return (await estimate({ ...run, runtime }, "pool { tokens }")).estimate?.pool.tokens;
    };
    expect(await tokens("0.11")).not.toBe(await tokens("0.19"));
    const { message, argument } = await failure({ ...run, runtime: { vllm: { version: "0.0.1" } } });
    expect(message).toMatch(/0\.0\.1 is not known.*0\.1/);
    expect(argument).toEqual(["input", "runtime", "vllm", "version"]);
  });

  it.each([
    [{ tensorParallel: 3 }, "tensorParallel"],
    [{ tensorParallel: 0 }, "tensorParallel"],
    [{ gpuMemoryUtilization: 1.5 }, "gpuMemoryUtilization"],
    [{ maxNumSeqs: 0 }, "maxNumSeqs"],
  ])("refuses %o, naming it", async (settings, name) => {
    const { message, argument } = await failure({ ...run, hardware: null, runtime: { vllm: settings } });
    expect(argument).toEqual(["input", "runtime", "vllm", name]);
    expect(message).not.toMatch(/internal/i);
  });

  it("finds the sets and systems that hold the model, with a split the engine accepts", async () => {
    const { estimate: memory } = await estimate(
      { model: { slug: "llama-3.3-70b-instruct" }, quant: "bf16", context: 8192, runtime: { vllm: {} } },
      `hardware(filter: { gpu: ["nvidia-h100-sxm5-80gb"], kind: CARDS }, first: 5) {
        nodes { count plan { kind tensor pipeline } fits: headroom { bytes } devices { weights { gib } } } }`,
    );
    const [smallest] = memory.hardware.nodes;
    expect(smallest.plan.kind).toBe("TENSOR_PIPELINE");
    expect(smallest.count).toBe(smallest.plan.tensor * smallest.plan.pipeline);
    expect(smallest.count).toBe(2);
    expect(smallest.devices[0].weights.gib).toBeGreaterThan(60);
  });
});

describe("the other runtimes", () => {
  it.each([
    ["sglang", { sglang: { tensorParallel: 2 } }, "bf16", "nvidia-h100-sxm5-80gb", 2],
    ["tensorrtLlm", { tensorrtLlm: { tensorParallel: 2 } }, "fp8", "nvidia-h100-sxm5-80gb", 2],
    ["transformers", { transformers: {} }, "bf16", "nvidia-h100-sxm5-80gb", 1],
    ["mlx", { mlx: {} }, "mlx-4bit", "apple-m4-max-64gb", 1],
    ["exllama", { exllama: {} }, "exl3-5bpw", "nvidia-rtx-4090-24gb", 1],
    ["ruleOfThumb", { ruleOfThumb: {} }, "bf16", "nvidia-h100-sxm5-80gb", 1],
  ])("%s lays a model out with steps that add up", async (_, runtime, quant, gpu, count) => {
    const { estimate: memory, errors } = await estimate(
      { model: { slug: "qwen3-8b" }, quant, context: 4096, runtime, hardware: { gpus: [{ gpu, count }] } },
      `fits maxContext total { bytes } weights { size { bytes } } warnings { code message } steps { title formula result }
       devices { total { bytes } weights { bytes } kvCache { bytes } compute { bytes } overhead { bytes } extras { bytes } }`,
    );
    expect(errors).toBeUndefined();
    expect(memory.fits).toBe(true);
    expect(memory.maxContext).toBeGreaterThanOrEqual(4096);
    const sum = memory.devices.reduce(
      (total: number, { weights, kvCache, compute, overhead, extras }: Record<string, { bytes: number }>) =>
        total + [weights, kvCache, compute, overhead, extras].reduce((all, part) => all + (part?.bytes ?? 0), 0),
      0,
    );
    expect(Math.abs(sum - memory.total.bytes)).toBeLessThanOrEqual(10);
    expect(memory.steps.length).toBeGreaterThan(3);
  });

  it("say when a format is not theirs", async () => {
    const { estimate: memory } = await estimate(
      { model: { slug: "qwen3-8b" }, quant: "q4_k_m", runtime: { vllm: {} } },
      "warnings { code }",
    );
    expect(memory.warnings.map(({ code }: { code: string }) => code)).toContain("QUANT_FORMAT_NOT_LOADABLE");
  });
});

describe("kernels by card generation", () => {
  const on = (gpu: string, quant: string, runtime: object, more: object = {}) => ({
    model: { slug: "qwen3-30b-a3b" },
    quant,
    runtime,
    hardware: { gpus: [{ gpu }] },
    ...more,
  });
  const [vllm, tensorrtLlm, sglang, transformers] = [
    { vllm: {} },
    { tensorrtLlm: {} },
    { sglang: {} },
    { transformers: {} },
  ];
  const [t4, v100, a100] = ["nvidia-t4-16gb", "nvidia-v100-32gb-sxm2", "nvidia-a100-sxm4-80gb"];
  const [ada, hopper, blackwell, rtx50] = [
    "nvidia-rtx-4090-24gb",
    "nvidia-h100-sxm5-80gb",
    "nvidia-b200-180gb",
    "nvidia-rtx-5090-32gb",
  ];

  it.each<[string, Record<string, unknown>, string[]]>([
    ["FP8 in vLLM on Hopper", on(hopper, "fp8", vllm), []],
    ["FP8 in vLLM on Ampere", on(a100, "fp8", vllm), ["KERNEL_FALLBACK"]],
    ["FP8 in vLLM on MI250", on("amd-mi250-128gb", "fp8", vllm), ["KERNEL_MISSING"]],
    ["FP8 in vLLM on MI300X", on("amd-mi300x-192gb", "fp8", vllm), []],
    ["BF16 in vLLM on Turing", on(t4, "bf16", vllm), ["KERNEL_FALLBACK"]],
    ["AWQ in vLLM on Turing", on(t4, "awq-int4", vllm), []],
    ["AWQ in vLLM on Volta", on(v100, "awq-int4", vllm), ["KERNEL_MISSING"]],
    ["AWQ in an older vLLM on Volta", on(v100, "awq-int4", { vllm: { version: "0.12" } }), []],
    ["AWQ in vLLM 0.29 on Volta", on(v100, "awq-int4", { vllm: { version: "0.29" } }), ["KERNEL_MISSING"]],
    ["NVFP4 in vLLM on Hopper", on(hopper, "nvfp4", vllm), ["KERNEL_FALLBACK"]],
    ["NVFP4 in vLLM on Blackwell", on(blackwell, "nvfp4", vllm), []],
    ["MXFP4 in vLLM on Turing", on(t4, "mxfp4", vllm), ["KERNEL_MISSING"]],
    ["INT8 in vLLM on Blackwell", on(rtx50, "ct-w8a8", vllm), ["KERNEL_MISSING"]],
    ["an FP8 cache in vLLM on Ampere", on(a100, "awq-int4", vllm, { cacheTypeK: "fp8" }), ["KERNEL_FALLBACK"]],
    ["NVFP4 in TensorRT-LLM on Hopper", on(hopper, "nvfp4", tensorrtLlm), ["KERNEL_MISSING"]],
    ["FP8 by tile in TensorRT-LLM on Ada", on(ada, "fp8", tensorrtLlm), ["KERNEL_MISSING"]],
    ["FP8 by tensor in TensorRT-LLM on Ada", on(ada, "fp8-tensor", tensorrtLlm), []],
    ["AWQ in TensorRT-LLM on Turing", on(t4, "awq-int4", tensorrtLlm), ["KERNEL_MISSING"]],
    ["AWQ in SGLang on Volta", on(v100, "awq-int4", sglang), ["KERNEL_MISSING"]],
    ["FP8 in Transformers on Ampere", on(a100, "fp8", transformers), ["KERNEL_MISSING"]],
    ["Q4_K_M in llama.cpp on Pascal", on("nvidia-p40-24gb", "q4_k_m", { llamaCpp: {} }), []],
  ])("warn of what is missing or made for something else: %s", async (_, input, expected) => {
    const { estimate: memory } = await estimate(input, "warnings { code message }");
    const warnings = memory.warnings.filter(({ code }: { code: string }) => code.startsWith("KERNEL"));
    expect(warnings.map(({ code }: { code: string }) => code)).toEqual(expected);
    for (const { message } of warnings) expect(message).toMatch(/has no kernels .* on .*: .*\.$/);
  });
});

describe("what else takes memory", () => {
  const asked = { model: { slug: "llama-3.1-8b" }, quant: "q4_k_m", context: 8192 };
  const fields = "total { bytes } extras { kind size { bytes } host { bytes } } devices { extras { bytes } }";

  it("is added to the total, each by name", async () => {
    const { estimate: plain } = await estimate(asked, fields);
    const { estimate: more } = await estimate(
      {
        ...asked,
        extras: {
          lora: { rank: 16, adapters: 2 },
          draftModel: { model: { slug: "llama-3.2-1b-instruct" }, quant: "q8_0" },
          displayReserveMib: 600,
        },
      },
      fields,
    );
    expect(plain.extras).toEqual([]);
    expect(more.extras.map(({ kind }: { kind: string }) => kind)).toEqual(["LORA", "DRAFT_MODEL", "DISPLAY"]);
    const sum = more.extras.reduce((all: number, { size }: { size: { bytes: number } }) => all + size.bytes, 0);
    expect(more.total.bytes).toBe(plain.total.bytes + sum);
    expect(more.extras[2].size.bytes).toBe(600 * 2 ** 20);
    // Q, K, V and O of 32 layers at rank 16, 2 bytes: 16 x (2 x (4096 + 4096) + 2 x (4096 + 1024)) x 32 x 2 x 2 adapters
    expect(more.extras[0].size.bytes).toBe(16 * (2 * (4096 + 4096) + 2 * (4096 + 1024)) * 32 * 2 * 2);
  });

  it("is refused where the model has no such part, naming it", async () => {
    expect(await failure({ ...asked, extras: { vision: {} } })).toMatchObject({
      argument: expect.arrayContaining(["input", "extras", "vision"]),
    });
    expect(await failure({ ...asked, extras: { lora: { rank: 0 } } })).toMatchObject({
      argument: ["input", "extras", "lora", "rank"],
    });
  });
});

describe("how the weights are known", () => {
  it("is a published file where the catalogue has one", async () => {
    const { estimate: memory } = await estimate(
      { model: { slug: "llama-3-8b-instruct" }, quant: "q4_k_m" },
      "weights { basis size { bytes } file { slug publisher size { bytes } } }",
    );
    expect(memory.weights.basis).toBe("PUBLISHED_FILE");
    // The file holds the tokenizer besides: 7.8 MB.
    const beside = memory.weights.file.size.bytes - memory.weights.size.bytes;
    expect(beside).toBeGreaterThan(0);
    expect(beside).toBeLessThan(20e6);
  });

  it("tells the size of a file with its tokenizer, published or not", async () => {
    const ask = async (slug: string, quant: string) => {
      const { estimate: memory } = await estimate(
        { model: { slug }, quant },
        "weights { size { bytes } fileSize { bytes } }",
      );
      return memory.weights;
    };
    // Qwen2.5 7B Instruct Q4_K_M: 4,677,120,000 bytes of tensors, as llama-bench prints them; the tokenizer's 152,064
    // tokens and their merges are 5 to 7 MB more.
    const { fileSize, size } = await ask("qwen2.5-7b-instruct", "q4_k_m");
    expect(size.bytes).toBe(4_677_120_000);
    expect(fileSize.bytes - size.bytes).toBeGreaterThan(5e6);
    expect(fileSize.bytes - size.bytes).toBeLessThan(7e6);
    // lmstudio-community/Meta-Llama-3.1-8B-Instruct-GGUF, Meta-Llama-3.1-8B-Instruct-Q4_K_M.gguf
    const llama = await ask("llama-3.1-8b-instruct", "q4_k_m");
    expect(Math.abs(llama.fileSize.bytes / 4_920_739_168 - 1)).toBeLessThan(0.001);
    expect((await ask("qwen2.5-7b-instruct", "gptq-int4")).fileSize).toBeNull();
  });

  it("is what a pasted config says itself when asked for the checkpoint", async () => {
    const config = {
      architectures: ["Qwen3ForCausalLM"],
      model_type: "qwen3",
      hidden_size: 4096,
      intermediate_size: 12_288,
      num_attention_heads: 32,
      num_hidden_layers: 36,
      num_key_value_heads: 8,
      head_dim: 128,
      vocab_size: 151_936,
      max_position_embeddings: 40_960,
      tie_word_embeddings: false,
      quantization_config: {
        quant_method: "fp8",
        activation_scheme: "dynamic",
        fmt: "e4m3",
        weight_block_size: [128, 128],
      },
    };
    const ask = (model: object) =>
      estimate({ model, quant: "checkpoint", runtime: { vllm: {} } }, "weights { size { gib } bitsPerWeight }");
    const { estimate: memory } = await ask({ huggingFaceConfig: config });
    // 6,946,758,656 matrix weights in 8 bits with a scale of 32 bits per 128 x 128, the rest in 16.
    expect(memory.weights.bitsPerWeight).toBeGreaterThan(9);
    expect(memory.weights.bitsPerWeight).toBeLessThan(9.5);
    expect((await failure({ model: { slug: "qwen3-8b" }, quant: "checkpoint" })).argument).toEqual(["input", "quant"]);
  });

  it("is refused where the config names a method that is not known, in each place that asks for it", async () => {
    const huggingFaceConfig = {
      architectures: ["LlamaForCausalLM"],
      model_type: "llama",
      hidden_size: 4096,
      intermediate_size: 14_336,
      num_attention_heads: 32,
      num_hidden_layers: 32,
      vocab_size: 32_000,
      max_position_embeddings: 4096,
      quantization_config: { quant_method: "no-such-method" },
    };
    const ask = (quant: string) => ({ model: { huggingFaceConfig }, quant });
    const { data } = await seeded.server.query(
      `query ($inputs: [EstimateInput!]!) {
        estimates(inputs: $inputs) { __typename ... on EstimateFailure { message field } }
      }`,
      { inputs: [ask("bf16"), ask("checkpoint"), ask("checkpoint")] },
    );
    const [plain, ...refused] = data.estimates;
    expect(plain).toEqual({ __typename: "Estimate" });
    for (const [index, { message, field }] of refused.entries()) {
      expect(message).toContain("no-such-method");
      expect(field).toEqual(["inputs", String(index + 1), "model", "huggingFaceConfig", "quantization_config"]);
    }
  });
});

describe("evidence", () => {
  it("is reported by runtime, kind of attention and component", async () => {
    const { data, errors } = await seeded.server.query(`{
      accuracy(filter: { runtime: ["llama-cpp"], component: [KV_CACHE, TOTAL] }) {
        measurements compared
        byRuntime { runtime { slug } attention component count bias medianError p95Error worstError worst { slug } }
        groups { attention component count }
        notCompared { reason count }
      } }`);
    expect(errors).toBeUndefined();
    const { accuracy } = data;
    const cache = accuracy.byRuntime.find(({ component }: { component: string }) => component === "KV_CACHE");
    expect(cache.count).toBeGreaterThan(40);
    expect(cache.p95Error).toBeLessThan(0.001);
    expect(accuracy.byRuntime.every(({ runtime }: { runtime: { slug: string } }) => runtime.slug === "llama-cpp")).toBe(
      true,
    );
    const counted = accuracy.notCompared.reduce((all: number, { count }: { count: number }) => all + count, 0);
    expect(accuracy.measurements).toBeGreaterThanOrEqual(accuracy.compared + counted - accuracy.compared);
  });

  it("has each measurement beside its own estimate, and says why one cannot be compared", async () => {
    const fields =
      "slug error notComparedBecause comparisons { component measured estimated error } estimate { accuracy { measurements low { bytes } high { bytes } } total { bytes } }";
    const { data } = await seeded.server.query(`{
      read: measurement(slug: "vllm-llmd-001") { ${fields} }
      tuning: measurements(filter: { kind: FINE_TUNING_MEMORY }, first: 1) { nodes { ${fields} } }
    }`);
    const { read, tuning } = data;
    expect(read.notComparedBecause).toBeNull();
    const weights = read.comparisons.find(({ component }: { component: string }) => component === "WEIGHTS");
    expect(weights.measured).toBeCloseTo(7.12 * GIB, -3);
    expect(weights.error).toBeCloseTo(weights.estimated / weights.measured - 1, 9);
    expect(read.estimate.accuracy.low.bytes).toBeLessThanOrEqual(read.estimate.total.bytes);
    expect(read.estimate.accuracy.high.bytes).toBeGreaterThanOrEqual(read.estimate.total.bytes);
    expect(tuning.nodes[0]).toMatchObject({ error: null, comparisons: [], estimate: null });
    expect(tuning.nodes[0].notComparedBecause).toMatch(/memory/);
  });

  it("gives an estimate the interval of its nearest evidence", async () => {
    const { estimate: memory } = await estimate(
      { model: { slug: "llama-3.1-8b" }, quant: "q4_k_m", context: 8192 },
      "total { bytes } accuracy { measurements medianError p95Error low { bytes } high { bytes } }",
    );
    expect(memory.accuracy.measurements).toBeGreaterThan(5);
    expect(memory.accuracy.medianError).toBeGreaterThanOrEqual(0);
    expect(memory.accuracy.low.bytes).toBeLessThan(memory.total.bytes);
    expect(memory.accuracy.high.bytes).toBeGreaterThan(memory.total.bytes);
  });
});
