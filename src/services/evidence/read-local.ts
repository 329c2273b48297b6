import type { Catalogue } from "../../data/catalogue.js";
import { GIB, MIB } from "../../estimator/byte-units.js";
import type { CacheType, Device, EstimateRequest } from "../../estimator/estimate.types.js";
import { describeCacheType } from "../estimation/cache-types.js";
import { resolveRuntime } from "../estimation/runtimes.js";
import type { RuntimeInput } from "../estimation/types.js";
import { type Entries, GB, numberAt, sizeAt, textAt } from "./read-settings.js";
import type { MeasuredRun, Reading, Unreadable } from "./types.js";

/** PyTorch's peaks are printed in binary units, whatever they are called; MLX divides by 10^9. */
const PYTORCH_PEAK = { peak_gpu_mem_mb: MIB, peak_gpu_mem_gb_as_reported: GIB };
const MLX_PEAK = { peak_gpu_mem_gb_as_reported: GB };
const CARD_IN_USE = { total_used_mib: MIB, total_used_gb: GB };

/** Tokens of "2k"; the label counts in 1,024. */
const TOKENS_PER_K = 1024;

/** Reads a peak of Transformers, MLX or ExLlama. */
export function readLocal(run: MeasuredRun, catalogue: Catalogue): Reading | Unreadable {
  const { settings, measured } = run.measurement;
  if (run.quantFormat === null) return { reason: "How the weights are stored is not known." };
  const workload = workloadOf(run.measurement.contextTokens, settings);
  if (workload === null) return { reason: "The context is not known." };
  const type = cacheTypeOf(textAt(settings, "kv_cache_dtype"), catalogue);
  if (type === null) return { reason: "The catalogue does not know the cache's type." };
  const { input, units } = engineOf(run, settings, workload);
  const peak = sizeAt(measured, units);
  if (peak === null) return { reason: "No peak was measured." };
  const count = run.measurement.gpuCount ?? 1;
  const request: EstimateRequest = {
    architecture: run.model.architecture,
    scheme: run.quantFormat.scheme,
    contextTokens: workload.contextTokens,
    sequences: workload.sequences,
    runtime: resolveRuntime(input, [], catalogue).request,
    devices: new Array<Device>(count).fill(run.device),
    ...(type !== "default" && { cacheTypeK: type, cacheTypeV: type }),
  };
  return {
    request,
    figures: [{ component: "TOTAL", measured: peak, estimated: ({ total }) => total }],
  };
}

interface Workload {
  /** Prompt and answer together. */
  contextTokens: number;
  /** Null where only the whole is known. */
  promptTokens: number | null;
  sequences: number;
}

function workloadOf(contextTokens: number | null, settings: Entries): Workload | null {
  const workload = (settings.workload ?? {}) as Entries;
  const prompt = numberAt(workload, "input_len");
  const answer = numberAt(workload, "output_len") ?? 0;
  const sequences = numberAt(workload, "batch") ?? 1;
  const label = /^(\d+)k$/.exec(textAt(settings, "ctx_label") ?? "")?.[1];
  const labelled = label === undefined ? null : Number(label) * TOKENS_PER_K;
  const tokens = contextTokens ?? labelled ?? (prompt ?? 0) + answer;
  return tokens > 0 ? { contextTokens: tokens, promptTokens: prompt, sequences } : null;
}

function engineOf(
  { runtime, measurement }: MeasuredRun,
  settings: Entries,
  { promptTokens }: Workload,
): { input: RuntimeInput; units: Readonly<Record<string, number>> } {
  const version = measurement.engineVersion;
  switch (runtime.slug) {
    case "mlx":
      return { input: { mlx: { version } }, units: MLX_PEAK };
    case "exllama":
      return { input: { exllama: { version: null } }, units: CARD_IN_USE };
    default:
      return {
        input: {
          transformers: {
            version,
            attention: "FLASH_ATTENTION_2",
            // Some tables show the peak of generating alone: the prompt's activations are not in it.
            prefillTokens: settings.peak_excludes_prefill === true ? 1 : promptTokens,
          },
        },
        units: PYTORCH_PEAK,
      };
  }
}

/** ExLlama names its types by bits alone. */
function cacheTypeOf(name: string | null, catalogue: Catalogue): CacheType | "default" | null {
  if (name === null || /^(auto|16-bit|fp16|bf16|16-bit KV)$/.test(name)) return "default";
  const row = catalogue.kvCacheTypes.bySlug.get(name) ?? catalogue.kvCacheTypes.bySlug.get(`exl-${name}`);
  return row ? describeCacheType(row) : null;
}
