import type { Catalogue } from "../../data/catalogue.js";
import { MIB } from "../../estimator/byte-units.js";
import type {
  CacheType,
  Device,
  EstimateRequest,
  KvCacheLayerGroup,
  MemoryEstimate,
} from "../../estimator/estimate.types.js";
import { describeCacheType } from "../estimation/cache-types.js";
import { type Entries, numberAt, numbersAt, sizeAt, textAt } from "./read-settings.js";
import type { MeasuredFigure, MeasuredRun, Reading, Unreadable } from "./types.js";

/** Buffers in host memory, by the names that llama.cpp logs. */
const HOST_BUFFER = /^(CPU|.*_Host$|BLAS|AMX|system|total)/;

/** Reads a start-up log of llama.cpp or of a program that runs it. */
export function readLlamaCpp(run: MeasuredRun, catalogue: Catalogue): Reading | Unreadable {
  const { settings, measured } = run.measurement;
  const cells = numberAt(settings, "n_ctx");
  if (cells === null) return { reason: "The context is not known." };
  const sequences = numberAt(settings, "n_seq_max") ?? 1;
  if (cells % sequences !== 0) return { reason: "The context is no whole number of tokens per sequence." };
  if (settings.offload_overrides !== undefined) return { reason: "Tensors were placed by hand." };
  const buffers = numbersAt(measured, "model_buffers_mib") ?? numbersAt(measured, "compute_buffers_mib") ?? {};
  const deviceNames = Object.keys(buffers).filter((name) => !HOST_BUFFER.test(name));
  const layers = offloadedLayers(settings);
  if (layers !== null && layers.some < layers.all && layers.some > 0) {
    return { reason: "Which layers are on the device is not known exactly enough for a partial offload." };
  }
  const onHost = layers?.some === 0 || (deviceNames.length === 0 && Object.keys(buffers).length > 0);
  const typeK = cacheType(catalogue, settings, "type_k");
  const typeV = cacheType(catalogue, settings, "type_v");
  if (typeK === null || typeV === null) return { reason: "The catalogue does not know the cache's type." };
  if (keepsExpandedKeys(run)) return { reason: "This build kept expanded keys and values of latent attention." };
  const scheme = run.quantFormat?.scheme;
  const bitsPerWeight = numberAt(settings, "bits_per_weight");
  if (scheme === undefined && bitsPerWeight === null) return { reason: "How the weights are stored is not known." };

  const ubatchSize = numberAt(settings, "n_ubatch") ?? DEFAULT_UBATCH;
  const request: EstimateRequest = {
    architecture: run.model.architecture,
    scheme: scheme ?? averageOf(bitsPerWeight ?? 0),
    contextTokens: cells / sequences,
    sequences,
    cacheTypeK: typeK,
    cacheTypeV: typeV,
    devices: devicesOf(run, settings, onHost ? 0 : Math.max(1, deviceNames.length)),
    runtime: {
      kind: "llama-cpp",
      settings: {
        ubatchSize,
        batchSize: Math.max(numberAt(settings, "n_batch") ?? DEFAULT_BATCH, ubatchSize),
        flashAttention:
          settings.flash_attn === true || /^auto(->enabled)?$/.test(String(settings.flash_attn ?? "auto")),
        kvUnified: settings.kv_unified !== false,
        swaFull: keepsWholeWindows(run),
        cpuMoeLayers: 0,
        splitMode: "LAYER",
        ...(onHost && { gpuLayers: 0 }),
        ...(reservesRowsOfMicrobatch(run) && { outputRows: ubatchSize }),
      },
    },
  };
  return {
    request,
    figures: [...listFigures(measured, onHost, isOwnRecipe(settings) || scheme === undefined, isFork(run))],
  };
}

/** llama.cpp's defaults (common/common.h). */
const DEFAULT_UBATCH = 512;
const DEFAULT_BATCH = 2048;

function* listFigures(
  measured: Entries,
  onHost: boolean,
  weightsDiffer: boolean,
  computeDiffers: boolean,
): Generator<MeasuredFigure> {
  const { bytes: cache, withState } = cacheBytes(measured);
  if (cache !== null) {
    yield {
      component: "KV_CACHE",
      measured: cache,
      estimated: ({ kvCache }) => kvCache.bytes - (withState ? 0 : stateBytes(kvCache.groups)),
    };
  }
  const used = sizeAt(measured, { total_vram_used_mib: MIB });
  if (used !== null && !weightsDiffer) {
    yield { component: "TOTAL", measured: used, estimated: (estimate) => estimate.total + reserved(estimate) };
  }
  if (onHost) return;
  const weights = deviceBytes(measured, "model_buffers_mib");
  if (weights !== null && !weightsDiffer) {
    yield { component: "WEIGHTS", measured: weights, estimated: (estimate) => sum(estimate, "weights") };
  }
  const compute = deviceBytes(measured, "compute_buffers_mib");
  if (compute !== null && !computeDiffers) {
    yield { component: "COMPUTE", measured: compute, estimated: (estimate) => sum(estimate, "compute") };
  }
  if (weights !== null && compute !== null && cache !== null && !weightsDiffer && !computeDiffers) {
    yield { component: "TOTAL", measured: weights + compute + cache, estimated: ({ total }) => total };
  }
}

/** Cache of all layers, bytes, and whether the log tells of their recurrent state as well. */
function cacheBytes(measured: Entries): { bytes: number | null; withState: boolean } {
  const cache = sizeAt(measured, { kv_total_mib: MIB, kv_mib: MIB });
  const state = sumOf(numbersAt(measured, "rs_buffers_mib")) ?? numberAt(measured, "rs_total_mib");
  return { bytes: cache === null ? null : cache + (state ?? 0) * MIB, withState: state !== null };
}

function stateBytes(groups: readonly KvCacheLayerGroup[]): number {
  return groups.reduce((total, { kind, bytes }) => total + (kind === "RECURRENT" ? bytes : 0), 0);
}

function deviceBytes(measured: Entries, name: string): number | null {
  const buffers = numbersAt(measured, name);
  if (buffers === null) return null;
  const onDevices = Object.entries(buffers).filter(([device]) => !HOST_BUFFER.test(device));
  return onDevices.length === 0 ? null : onDevices.reduce((total, [, mib]) => total + mib, 0) * MIB;
}

function sumOf(numbers: Readonly<Record<string, number>> | null): number | null {
  return numbers === null ? null : Object.values(numbers).reduce((total, value) => total + value, 0);
}

function sum(estimate: MemoryEstimate, part: "weights" | "compute"): number {
  return estimate.devices.reduce((total, device) => total + device[part], 0);
}

function reserved(estimate: MemoryEstimate): number {
  return estimate.devices.reduce((total, { device }) => total + (device.reserveBytes ?? 0), 0);
}

/** "48/49" as numbers; null where it is not said, or only that all are. */
function offloadedLayers(settings: Entries): { some: number; all: number } | null {
  if (settings.ngl === "0" || settings.ngl === 0) return { some: 0, all: 1 };
  const match = /^(\d+)\/(\d+)/.exec(textAt(settings, "ngl") ?? "");
  return match === null ? null : { some: Number(match[1]), all: Number(match[2]) };
}

function cacheType(catalogue: Catalogue, settings: Entries, name: string): CacheType | null {
  const slug = textAt(settings, name) ?? textAt(settings, "type_k") ?? textAt(settings, "kv_cache_dtype") ?? "f16";
  const row = catalogue.kvCacheTypes.bySlug.get(slug);
  return row ? describeCacheType(row) : null;
}

function devicesOf(run: MeasuredRun, settings: Entries, count: number): Device[] {
  const names = Array.isArray(settings.devices) ? settings.devices : [];
  return Array.from({ length: count }, (_, index) => {
    const free = /\((\d+) MiB free\)/.exec(String(names[index] ?? ""))?.[1];
    return free === undefined ? run.device : { ...run.device, capacityBytes: Number(free) * MIB };
  });
}

/** A publisher's own mix of types, which no rule of llama-quantize gives. */
function isOwnRecipe(settings: Entries): boolean {
  return settings.recipe !== undefined && !/imatrix$/.test(String(settings.recipe));
}

/** Forks build other graphs: their weights and caches are llama.cpp's, their compute buffers are not. */
function isFork({ runtime }: MeasuredRun): boolean {
  return runtime.slug === "ik-llama-cpp";
}

/** Forks can keep the keys and values of latent attention expanded (`mla_attn` 0 and 1), and old builds always did. */
function keepsExpandedKeys(run: MeasuredRun): boolean {
  const { settings, measured } = run.measurement;
  const isLatent = Object.values(run.model.architecture.blocks).some((block) => block.attention?.kind === "latent");
  if (!isLatent) return false;
  if (measured.kv_kind !== undefined) return !/latent/.test(String(measured.kv_kind));
  if (isFork(run)) return !(Number(settings.mla_attn ?? 0) >= 2);
  return isBefore(run, LATENT_CACHE_SINCE);
}

/** Whether sliding-window layers keep the whole context: asked for, or by a build that knew nothing else. */
function keepsWholeWindows(run: MeasuredRun): boolean {
  const { settings, measured } = run.measurement;
  if (settings.swa_full === true || isFork(run)) return true;
  return measured.kv_swa_mib === undefined && isBefore(run, WINDOWED_CACHE_SINCE);
}

/**
 * Whether logit rows are reserved for the whole microbatch: what every program did before llama.cpp learned to
 * reserve one a sequence.
 */
function reservesRowsOfMicrobatch(run: MeasuredRun): boolean {
  return isBefore(run, ROWS_PER_SEQUENCE_SINCE);
}

/** When a build learned something: the day its change was merged, and a build number of about that day. */
interface Since {
  day: string;
  build: number;
}

/** llama.cpp pull request 12801: DeepSeek's cache keeps the latent instead of expanded keys. */
const LATENT_CACHE_SINCE: Since = { day: "2025-04-15", build: 5140 };
/** llama.cpp pull request 13194: sliding-window layers keep their window only. */
const WINDOWED_CACHE_SINCE: Since = { day: "2025-05-20", build: 5435 };
/** llama.cpp pull request 23861: the server reserves logit rows for its sequences only. */
const ROWS_PER_SEQUENCE_SINCE: Since = { day: "2026-06-01", build: 9330 };

/** Whether a log is older than a change; logs that do not tell their age are taken as older. */
function isBefore({ measurement }: MeasuredRun, since: Since): boolean {
  const build = /^b(\d{3,})$/.exec(measurement.engineVersion ?? "")?.[1];
  if (build !== undefined) return Number(build) < since.build;
  return measurement.observedOn === null || measurement.observedOn < since.day;
}

/** Weights known by their average only: enough for what does not depend on them. */
function averageOf(bitsPerWeight: number): EstimateRequest["scheme"] {
  return {
    kind: "average",
    type: "mixed",
    bitsPerWeight,
    outputBits: bitsPerWeight,
    quantizedRoles: [
      "TOKEN_EMBEDDING",
      "OUTPUT",
      "ATTENTION",
      "INDEXER",
      "RECURRENT",
      "FEED_FORWARD",
      "EXPERTS",
      "SHARED_EXPERTS",
    ],
    restBits: 32,
  };
}
