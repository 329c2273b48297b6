import type { Catalogue } from "../../data/catalogue.js";
import { GIB } from "../../estimator/byte-units.js";
import type { LoraAdapters } from "../../estimator/consumers/consumers.types.js";
import type { Device, DeviceMemory, EstimateRequest, RuntimeRequest } from "../../estimator/estimate.types.js";
import { EstimateError } from "../../estimator/estimate-error.js";
import { describeCacheType } from "../estimation/cache-types.js";
import { resolveRuntime } from "../estimation/runtimes.js";
import type { ParallelInput, RuntimeInput } from "../estimation/types.js";
import { type Entries, numberAt, textAt } from "./read-settings.js";
import type { MeasuredFigure, MeasuredRun, Reading, Unreadable } from "./types.js";

/** Settings that change what a device holds and that the estimator does not describe. */
const NOT_DESCRIBED: readonly { name: string; isSet: (value: unknown) => boolean; reason: string }[] = [
  {
    name: "dp",
    isSet: (value) => Number(value) > 1,
    reason: "Data parallelism over several devices is not described.",
  },
  { name: "dcp", isSet: (value) => Number(value) > 1, reason: "Context parallelism in decoding is not described." },
];

/** Reads a start-up log of vLLM, SGLang or TensorRT-LLM. */
export function readServing(run: MeasuredRun, catalogue: Catalogue): Reading | Unreadable {
  const { settings, measured, contextTokens } = run.measurement;
  const notDescribed = NOT_DESCRIBED.find(({ name, isSet }) => isSet(settings[name]));
  if (notDescribed) return { reason: notDescribed.reason };
  if (settings.engine === "V0") return { reason: "vLLM's V0 engine is not described." };
  if (run.quantFormat === null) return { reason: "How the weights are stored is not known." };
  const cacheType = resolveCacheType(settings, catalogue);
  if (cacheType === null) return { reason: "The catalogue does not know the cache's type." };

  const { runtime, versionKnown } = resolveEngine(run, catalogue);
  const count = (numberAt(settings, "tp") ?? 1) * (numberAt(settings, "pp") ?? 1);
  const device = deviceOf(run, measured);
  const lora = adaptersOf(settings);
  const request: EstimateRequest = {
    architecture: run.model.architecture,
    scheme: run.quantFormat.scheme,
    contextTokens: numberAt(settings, "max_model_len") ?? contextTokens ?? run.model.contextLength,
    sequences: 1,
    runtime: withExpertKernel(runtime, settings),
    devices: new Array<Device>(count).fill(device),
    ...(lora !== null && { extras: { lora } }),
    ...(cacheType !== "auto" && { cacheTypeK: cacheType, cacheTypeV: cacheType }),
  };
  return {
    request,
    figures: [...listFigures(measured, settings, versionKnown)],
  };
}

/**
 * Weights are the same in all versions; the rest is compared where the version is known. The first device is what
 * logs tell of.
 */
function* listFigures(measured: Entries, settings: Entries, versionKnown: boolean): Generator<MeasuredFigure> {
  const weights = gib(measured, "weights_gib_per_gpu");
  if (weights !== null) yield ofWeights(weights);
  if (!versionKnown) return;
  const pool = gib(measured, "available_kv_gib_per_gpu");
  if (pool !== null) {
    yield { component: "KV_POOL", measured: pool, estimated: (estimate) => estimate.pool?.bytesPerDevice ?? null };
  }
  const tokens = numberAt(measured, "kv_tokens");
  if (tokens !== null) {
    yield { component: "KV_TOKENS", measured: tokens, estimated: (estimate) => estimate.pool?.tokens ?? null };
  }
  const activation = gib(measured, "peak_activation_gib");
  const graphs = settings.enforce_eager === true ? 0 : gib(measured, "cuda_graph_gib");
  if (activation === null || graphs === null) return;
  yield ofDevice("COMPUTE", activation + graphs, (device) => device.compute);
  const context = gib(measured, "init_non_torch_gib");
  const nonTorch = gib(measured, "non_torch_gib");
  if (weights === null || context === null || nonTorch === null) return;
  yield ofDevice("TOTAL", weights + activation + graphs + nonTorch + context, ({ total, kvCache }) => total - kvCache);
}

function ofDevice(
  component: MeasuredFigure["component"],
  measured: number,
  estimated: (device: DeviceMemory) => number,
): MeasuredFigure {
  return {
    component,
    measured,
    estimated: ({ devices: [first] }) => (first === undefined ? null : estimated(first)),
  };
}

/** Engines count the slots of adapters with the weights. */
function ofWeights(measured: number): MeasuredFigure {
  return {
    component: "WEIGHTS",
    measured,
    estimated: ({ devices: [first], consumers }) =>
      first === undefined
        ? null
        : consumers.reduce(
            (sum, { kind, bytesByDevice }) => sum + (kind === "LORA" ? (bytesByDevice[0] ?? 0) : 0),
            first.weights,
          ),
  };
}

/** Slots for adapters, where the run had them: vLLM allocates factors of all linear layers for the largest rank. */
function adaptersOf(settings: Entries): LoraAdapters | null {
  const rank = numberAt(settings, "max_lora_rank");
  if (rank === null) return null;
  return { rank, adapters: numberAt(settings, "max_loras") ?? 1, matrices: "ALL_LINEAR", bytesPerValue: 2 };
}

/** The kernel for experts that the run was started with, which the catalogue's input does not ask for. */
function withExpertKernel(runtime: RuntimeRequest, settings: Entries): RuntimeRequest {
  const expertKernel = textAt(settings, "moe_backend");
  return runtime.kind === "vllm" && expertKernel !== null
    ? { ...runtime, settings: { ...runtime.settings, expertKernel } }
    : runtime;
}

function gib(measured: Entries, name: string): number | null {
  const value = numberAt(measured, name);
  return value === null ? null : value * GIB;
}

/** The engine with the constants of the version in the log; of the newest where the log does not tell. */
function resolveEngine(run: MeasuredRun, catalogue: Catalogue): { runtime: RuntimeRequest; versionKnown: boolean } {
  const input = (version: string | null): RuntimeInput => inputOf(run, version);
  const version = run.measurement.engineVersion;
  try {
    return { runtime: resolveRuntime(input(version), [], catalogue).request, versionKnown: version !== null };
  } catch (error) {
    if (!(error instanceof EstimateError)) throw error;
    return { runtime: resolveRuntime(input(null), [], catalogue).request, versionKnown: false };
  }
}

function inputOf({ runtime, measurement: { settings } }: MeasuredRun, version: string | null): RuntimeInput {
  const parallel: ParallelInput = {
    version,
    tensorParallel: numberAt(settings, "tp") ?? 1,
    pipelineParallel: numberAt(settings, "pp") ?? 1,
    expertParallel: settings.ep === true || (numberAt(settings, "ep") ?? 1) > 1,
  };
  switch (runtime.slug) {
    case "sglang":
      return {
        sglang: {
          ...parallel,
          dataParallelAttention: settings.dp_attention === true,
          memFractionStatic: numberAt(settings, "mem_fraction_static"),
          chunkedPrefillSize: numberAt(settings, "chunked_prefill_size"),
          cudaGraphMaxBatch: numberAt(settings, "cuda_graph_max_bs"),
        },
      };
    case "tensorrt-llm":
      return {
        tensorrtLlm: {
          ...parallel,
          freeGpuMemoryFraction: numberAt(settings, "kv_cache_free_gpu_mem_fraction"),
          maxNumTokens: numberAt(settings, "max_num_tokens") ?? numberAt(settings, "max_num_batched_tokens"),
          maxBatchSize: numberAt(settings, "max_batch_size") ?? numberAt(settings, "max_num_seqs"),
        },
      };
    default:
      return {
        vllm: {
          ...parallel,
          gpuMemoryUtilization: numberAt(settings, "gpu_memory_utilization"),
          maxNumBatchedTokens: numberAt(settings, "max_num_batched_tokens"),
          maxNumSeqs: numberAt(settings, "max_num_seqs"),
          enforceEager: settings.enforce_eager === true,
        },
      };
  }
}

/** The card with the memory that the engine itself saw, where its log tells. */
function deviceOf({ device }: MeasuredRun, measured: Entries): Device {
  const seen = gib(measured, "total_gpu_gib");
  return seen === null ? device : { ...device, capacityBytes: seen };
}

function resolveCacheType(settings: Entries, catalogue: Catalogue) {
  const slug = textAt(settings, "kv_cache_dtype") ?? "auto";
  if (slug === "auto") return "auto";
  const row = catalogue.kvCacheTypes.bySlug.get(slug.replace(/^bfloat16$/, "bf16").replace(/^float16$/, "f16"));
  return row ? describeCacheType(row) : null;
}
