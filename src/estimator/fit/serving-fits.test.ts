import { describe, expect, it } from "vitest";
import { architectureOf, constantsOf, schemeOf } from "../../../test/fixtures/serving-requests.js";
import { MIB } from "../byte-units.js";
import type { Device, RuntimeRequest } from "../estimate.types.js";
import { readSglangConstants } from "../runtimes/sglang/read-sglang-constants.js";
import { readTensorrtLlmConstants } from "../runtimes/tensorrt-llm/read-tensorrt-llm-constants.js";
import { readVllmConstants } from "../runtimes/vllm/read-vllm-constants.js";
import { estimateBestPlan } from "./best-plan.js";
import { createServingFits } from "./serving-fits.js";

const one = { tensorParallel: 1, pipelineParallel: 1, expertParallel: false };
const vllm: RuntimeRequest = {
  kind: "vllm",
  settings: { ...one, enforceEager: false },
  constants: readVllmConstants(constantsOf("vllm")),
};
const sglang = (dataParallelAttention: boolean): RuntimeRequest => ({
  kind: "sglang",
  settings: { ...one, dataParallelAttention },
  constants: readSglangConstants(constantsOf("sglang")),
});
const tensorrtLlm: RuntimeRequest = {
  kind: "tensorrt-llm",
  settings: one,
  constants: readTensorrtLlmConstants(constantsOf("tensorrt-llm")),
};
const card = (mib: number, more: Partial<Device> = {}): Device => ({
  name: `card of ${mib} MiB`,
  capacityBytes: mib * MIB,
  computeCapability: 9,
  ...more,
});
const H100 = card(81_081);
const SETS: Record<string, Device[]> = {
  "one of 24 GB": [card(24_210, { computeCapability: 8.9 })],
  "four of 80 GB": new Array<Device>(4).fill(H100),
  "six of 80 GB": new Array<Device>(6).fill(H100),
  "sixteen of 80 GB": new Array<Device>(16).fill(H100),
};
const MODELS = ["llama-3.1-8b-instruct", "gemma-3-27b-it", "qwen3.5-27b", "gpt-oss-120b", "deepseek-v3"];
const FORMATS = ["bf16", "fp8", "mxfp4"];

/** What is computed, or the message of what is thrown. */
function outcome<Result>(compute: () => Result): Result | string {
  try {
    return compute();
  } catch (error) {
    return (error as Error).message;
  }
}

describe("fits of models on serving engines", () => {
  const architectures = MODELS.map(architectureOf);
  const schemes = FORMATS.map(schemeOf);

  it.each([
    ["vLLM", vllm],
    ["vLLM, a share that makes no sense", { ...vllm, settings: { ...vllm.settings, gpuMemoryUtilization: 2 } }],
    ["SGLang", sglang(false)],
    ["SGLang, data-parallel attention", sglang(true)],
    ["TensorRT-LLM", tensorrtLlm],
  ] as [string, RuntimeRequest][])("%s: to the byte what the estimate says", (_name, runtime) => {
    for (const [name, devices] of Object.entries(SETS)) {
      for (const contextTokens of [8192, 100_000]) {
        for (const [index, architecture] of architectures.entries()) {
          const request = { architecture, contextTokens, sequences: 4, runtime, devices };
          const fits = createServingFits(request);
          for (const scheme of schemes) {
            const expected = outcome(() => {
              const { total, spareBytes, devices: laidOut } = estimateBestPlan({ ...request, scheme });
              const headroomBytes = Math.min(
                ...laidOut.map((memory) => (memory.device.capacityBytes ?? 0) - memory.total),
              );
              return { totalBytes: total, spareBytes, headroomBytes };
            });
            expect(
              outcome(() => fits?.measure(scheme)),
              `${MODELS[index]} on ${name}`,
            ).toEqual(expected);
          }
        }
      }
    }
  });

  it("are left to single estimates for devices that differ, and beside a shared memory or other consumers", () => {
    const [architecture] = architectures;
    if (architecture === undefined) throw new Error("no model");
    const request = { architecture, contextTokens: 8192, sequences: 1, runtime: vllm, devices: [H100, H100] };
    expect(createServingFits(request)).not.toBeNull();
    expect(createServingFits({ ...request, devices: [H100, card(24_210)] })).toBeNull();
    expect(createServingFits({ ...request, devices: [] })).toBeNull();
    expect(createServingFits({ ...request, extras: { displayReserveBytes: MIB } })).toBeNull();
    const hostMemory = { capacityBytes: 2 ** 37, sharedWithDevices: true };
    expect(createServingFits({ ...request, hostMemory })).toBeNull();
    expect(createServingFits({ ...request, runtime: { kind: "rule-of-thumb", overhead: 0.1 } })).toBeNull();
  });
});
