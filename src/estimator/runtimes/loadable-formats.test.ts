import { describe, expect, it } from "vitest";
import { catalogue } from "../../../test/fixtures/local-runtimes/catalogue.js";
import type { QuantScheme } from "../quantization/scheme.js";
import { type CheckpointEngine, loadWarnings } from "./loadable-formats.js";

const ENGINES: CheckpointEngine[] = ["vllm", "sglang", "tensorrt-llm", "transformers", "mlx", "exllama"];
const SERVING = ["vllm", "sglang", "tensorrt-llm"];

const loadersOf = (scheme: QuantScheme): string[] =>
  ENGINES.filter((engine) => loadWarnings(scheme, engine).length === 0);

describe("which engines load a format as it is", () => {
  it.each([
    ["bf16", ENGINES],
    ["f16", ENGINES],
    ["f32", [...SERVING, "transformers", "mlx"]],
    ["q4_k_m", []],
    ["fp8", [...SERVING, "transformers"]],
    ["awq-int4", [...SERVING, "transformers"]],
    ["nvfp4", [...SERVING, "transformers"]],
    ["bnb-nf4", [...SERVING, "transformers"]],
    ["gptq-int4", [...SERVING, "transformers", "exllama"]],
    ["gptq-int8", [...SERVING, "transformers"]],
    ["mlx-4bit", ["mlx"]],
    ["mlx-mxfp4", ["mlx"]],
    ["exl2-4bpw", ["exllama"]],
    ["exl3-4bpw", ["exllama"]],
  ])("%s", (format, engines) => {
    expect(loadersOf(catalogue.scheme(format))).toEqual(engines);
  });

  it("a 16-bit GGUF file with experts in another type is quantized", () => {
    expect(loadersOf({ kind: "ggml", fileType: "BF16", expertsType: "MXFP4" })).toEqual([]);
  });

  it("says why, in a sentence that names the engine", () => {
    const messages = ENGINES.map((engine) => loadWarnings(catalogue.scheme("q4_k_m"), engine)[0]?.message ?? "");
    expect(messages.map((message) => message.split(" ")[0])).toEqual([
      "vLLM",
      "SGLang",
      "TensorRT-LLM",
      "Transformers",
      "MLX",
      "ExLlama",
    ]);
    expect(loadWarnings(catalogue.scheme("exl2-4bpw"), "transformers")[0]?.message).toContain("use ExLlama");
  });
});
