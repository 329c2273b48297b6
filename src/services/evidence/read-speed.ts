import type { Catalogue } from "../../data/catalogue.js";
import type { GpuRow } from "../../data/rows.js";
import type { Device, EstimateRequest } from "../../estimator/estimate.types.js";
import { EstimateError } from "../../estimator/estimate-error.js";
import type { SpeedEstimate } from "../../estimator/speed/speed.types.js";
import { resolveRuntime } from "../estimation/runtimes.js";
import type { ParallelInput, RuntimeInput } from "../estimation/types.js";
import { type Entries, numberAt, textAt } from "./read-settings.js";
import type { MeasuredRun, SpeedComponent, Unreadable } from "./types.js";

/** The speed of a run at a depth and for a prompt, tokens; null where it is not known. */
export type SpeedAt = (depthTokens: number, promptTokens: number) => SpeedEstimate | null;

/** A measured rate, tokens per second, and where an estimate has the same. */
export interface MeasuredSpeed {
  component: SpeedComponent;
  measured: number;
  estimated: (speedAt: SpeedAt) => number | null;
}

/** A measurement of speed understood. */
export interface SpeedReading {
  request: EstimateRequest;
  figures: readonly MeasuredSpeed[];
}

/** Settings under which a rate is not what is estimated. */
const NOT_DESCRIBED: readonly { name: string; reason: string }[] = [
  { name: "speculative_tokens", reason: "Speculative decoding depends on how many guesses come true." },
  { name: "prompts_interleaved", reason: "Its decoding shares the device with the prompts of other sequences." },
];

/** Tokens taken for "a short prompt" and a short answer where a source says no more. */
const SHORT_TOKENS = 512;

/** Reads a rate of a benchmark table. */
export function readSpeed(run: MeasuredRun, gpu: GpuRow | null, catalogue: Catalogue): SpeedReading | Unreadable {
  const { settings, measured, gpuCount } = run.measurement;
  const notDescribed = NOT_DESCRIBED.find(({ name }) => settings[name] !== undefined);
  if (notDescribed) return { reason: notDescribed.reason };
  if (run.quantFormat === null) return { reason: "How the weights are stored is not known." };
  if (gpu === null) return { reason: "The card is not in the catalogue." };
  const workload = workloadOf(settings);
  const sequences = numberAt(settings, "batch") ?? 1;
  const request: EstimateRequest = {
    architecture: run.model.architecture,
    scheme: run.quantFormat.scheme,
    contextTokens: Math.max(workload.promptTokens + workload.answerTokens, workload.depthTokens),
    sequences,
    runtime: resolveEngine(run, catalogue),
    devices: new Array<Device>(gpuCount ?? 1).fill(run.device),
  };
  return { request, figures: [...listFigures(measured, settings, workload, sequences)] };
}

interface Workload {
  promptTokens: number;
  answerTokens: number;
  /** Mean number of tokens before the one that is decoded. */
  depthTokens: number;
}

function workloadOf(settings: Entries): Workload {
  const workload = (settings.workload ?? {}) as Entries;
  const promptTokens = numberAt(workload, "input_len") ?? SHORT_TOKENS;
  const answerTokens = numberAt(workload, "output_len") ?? SHORT_TOKENS;
  // llama-bench decodes from an empty context, whatever prompt it measured before.
  const after = settings.decoded_after_tokens;
  const before = typeof after === "number" ? after : promptTokens;
  return { promptTokens, answerTokens, depthTokens: before + Math.ceil(answerTokens / 2) };
}

function* listFigures(
  measured: Entries,
  settings: Entries,
  { promptTokens, answerTokens, depthTokens }: Workload,
  sequences: number,
): Generator<MeasuredSpeed> {
  const decode = numberAt(measured, "decode_tokens_per_second");
  if (decode !== null) {
    // Tables of several sequences show their sum.
    const estimated = (speedAt: SpeedAt) => speedAt(depthTokens, promptTokens)?.throughput ?? null;
    yield { component: "DECODE_SPEED", measured: decode, estimated };
  }
  const perStream = rangeAt(measured, "per_stream_tokens_per_second");
  if (perStream !== null) {
    const estimated = (speedAt: SpeedAt) => speedAt(depthTokens, promptTokens)?.decode ?? null;
    yield { component: "DECODE_SPEED", measured: perStream, estimated };
  }
  const prefill = numberAt(measured, "prefill_tokens_per_second");
  if (prefill !== null) {
    const estimated = (speedAt: SpeedAt) => speedAt(depthTokens, promptTokens)?.prefill ?? null;
    yield { component: "PREFILL_SPEED", measured: prefill, estimated };
  }
  const total = numberAt(measured, "total_tokens_per_second");
  const counts = textAt(settings, "total_counts");
  // With a prompt of one token the same rate is that of decoding.
  if (total !== null && counts !== null && decode === null && sequences === 1) {
    const counted = counts === "generated" ? answerTokens : promptTokens + answerTokens;
    const estimated = (speedAt: SpeedAt) => {
      const speed = speedAt(depthTokens, promptTokens);
      if (speed === null || speed.prefill === null) return null;
      return counted / (promptTokens / speed.prefill + answerTokens / speed.decode);
    };
    yield { component: "REQUEST_SPEED", measured: total, estimated };
  }
}

/** The geometric middle of a range [low, high]. */
function rangeAt(entries: Entries, name: string): number | null {
  const value = entries[name];
  if (!Array.isArray(value)) return null;
  const [low, high] = value;
  return typeof low === "number" && typeof high === "number" && low > 0 && high > 0 ? Math.sqrt(low * high) : null;
}

/** The engine with the constants of the version that ran; of the newest where it is not known. */
function resolveEngine(run: MeasuredRun, catalogue: Catalogue) {
  const version = run.measurement.engineVersion;
  try {
    return resolveRuntime(inputOf(run, version), [], catalogue).request;
  } catch (error) {
    if (!(error instanceof EstimateError)) throw error;
    return resolveRuntime(inputOf(run, null), [], catalogue).request;
  }
}

const SERVING_KEYS: Readonly<Record<string, "vllm" | "sglang" | "tensorrtLlm">> = {
  vllm: "vllm",
  sglang: "sglang",
  "tensorrt-llm": "tensorrtLlm",
};

function inputOf({ runtime, measurement }: MeasuredRun, version: string | null): RuntimeInput {
  const { settings, gpuCount } = measurement;
  const serving = SERVING_KEYS[runtime.slug];
  if (serving !== undefined) return { [serving]: parallelInput(settings, gpuCount ?? 1, version) };
  switch (runtime.slug) {
    case "mlx":
      return { mlx: { version } };
    case "exllama":
      return { exllama: { version } };
    case "transformers":
      return { transformers: { version, attention: "FLASH_ATTENTION_2" } };
    default:
      return {};
  }
}

function parallelInput(settings: Entries, gpuCount: number, version: string | null): RuntimeInput[keyof RuntimeInput] {
  const pipelineParallel = numberAt(settings, "pp") ?? 1;
  const parallel: ParallelInput = {
    version,
    tensorParallel: numberAt(settings, "tp") ?? gpuCount / pipelineParallel,
    pipelineParallel,
    expertParallel: settings.ep === true,
  };
  return parallel as RuntimeInput[keyof RuntimeInput];
}
