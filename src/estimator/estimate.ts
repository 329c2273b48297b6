import type { Consumer, ExtraConsumers } from "./consumers/consumers.types.js";
import { layOutConsumers } from "./consumers/lay-out-consumers.js";
import { blameExtras, requireApplicable } from "./consumers/require-applicable.js";
import type {
  CalculationStep,
  Device,
  DeviceMemory,
  EstimateRequest,
  EstimateWarning,
  HostMemory,
  MemoryEstimate,
  RuntimeRequest,
} from "./estimate.types.js";
import { largestFittingContext } from "./fit/largest-context.js";
import { largestFitting } from "./fit/largest-value.js";
import type { DeviceLinks } from "./placement/device-links.js";
import type { ParallelPlan } from "./placement/parallel-plans.js";
import { layOutExllama } from "./runtimes/exllama/lay-out-exllama.js";
import { layOutLlamaCpp } from "./runtimes/llama-cpp/lay-out-llama-cpp.js";
import { type MemoryLayout, UNLIMITED_DEVICE } from "./runtimes/memory-layout.js";
import { layOutMlx } from "./runtimes/mlx/lay-out-mlx.js";
import { freeBytes } from "./runtimes/request-checks.js";
import { layOutRuleOfThumb } from "./runtimes/rule-of-thumb.js";
import {
  createSplitFits,
  isServing,
  legalSplits,
  type ServingRequest,
  underBestSplit,
  underPlan,
} from "./runtimes/serving/serving-splits.js";
import { layOutSglang } from "./runtimes/sglang/lay-out-sglang.js";
import { layOutTensorrtLlm } from "./runtimes/tensorrt-llm/lay-out-tensorrt-llm.js";
import { layOutTransformers } from "./runtimes/transformers/lay-out-transformers.js";
import { layOutVllm } from "./runtimes/vllm/lay-out-vllm.js";
import { sizeText } from "./size-text.js";
import { sumOf } from "./sum-of.js";

/**
 * How much memory a model takes on a runtime, device by device, with everything it was computed from.
 *
 * @throws EstimateError for settings out of range or that the runtime refuses; its `path` names the setting.
 */
export function estimate(request: EstimateRequest): MemoryEstimate {
  const layout = layOut(request);
  return new LaidOut(
    leastSpare(request, layout.devices),
    hostSpare(request.hostMemory, layout),
    () => request,
    () => layout,
  );
}

/**
 * Memory of one request over so many of one device; null where the weights alone are more than they hold, or where the
 * engine takes no split over that many.
 */
export type EqualSets = (device: Device, count: number, options?: SetOptions) => MemoryEstimate | null;

/** What else is known of a set, or wanted of its estimate. */
export interface SetOptions {
  /** How the devices are linked; all alike if absent. */
  links?: DeviceLinks;
  /** Memory of the machines beside the devices; without limit if absent. */
  hostMemory?: HostMemory;
  /** An estimate also where the weights alone are too much. */
  evenIfTooSmall?: boolean;
}

/** Runtimes whose placement follows the devices' capacity: each kind of device is laid out for itself. */
const PLACED_BY_CAPACITY: ReadonlySet<RuntimeRequest["kind"]> = new Set(["transformers", "exllama"]);

/**
 * Estimates of one request over sets of equal devices. Serving engines are given the split they run best with that
 * fits. Elsewhere equal devices share alike, mostly whatever their capacity, so that each count is laid out once for
 * all kinds of device.
 */
export function createEqualSets(request: EstimateRequest): EqualSets {
  const { runtime } = request;
  if (isServing(runtime)) {
    return servingSets(request, runtime);
  }
  if (PLACED_BY_CAPACITY.has(runtime.kind)) {
    return (device, count, options) => estimate(onSet(request, device, count, options));
  }
  const layouts = new Map<number, WholeLayout>();
  return (device, count, options) => {
    let layout = layouts.get(count);
    if (layout === undefined) {
      layout = layOut(onSet(request, UNLIMITED_DEVICE, count));
      layouts.set(count, layout);
    }
    const equal = layout;
    return new LaidOut(
      leastSpareOn(equal.devices, device),
      hostSpare(options?.hostMemory, equal),
      () => onSet(request, device, count, options),
      () => ({ ...equal, devices: equal.devices.map((memory) => ({ ...memory, device })) }),
    );
  };
}

/** The request on so many of one device, and on no other hardware it may name. */
function onSet(request: EstimateRequest, device: Device, count: number, options: SetOptions = {}): EstimateRequest {
  const { hostMemory: _, ...rest } = request;
  const { hostMemory } = options;
  return { ...rest, devices: new Array<Device>(count).fill(device), ...(hostMemory && { hostMemory }) };
}

/** Sets under the first of the engine's legal splits that fits; the one that is least short where none does. */
function servingSets(request: EstimateRequest, runtime: ServingRequest): EqualSets {
  const { extras } = request;
  const alone = { tensorParallel: 1, pipelineParallel: 1, expertParallel: false };
  const { devices } = layOut(underPlan(onSet(request, UNLIMITED_DEVICE, 1), runtime, alone));
  const leastBytes = devices[0]?.weights ?? 0;
  const plans = new Map<number, ParallelPlan[]>();
  const fitUnder = createSplitFits(request, runtime)(request.scheme);
  return (device, count, options = {}) => {
    const { links, hostMemory, evenIfTooSmall = false } = options;
    if (!evenIfTooSmall && device.capacityBytes !== null && device.capacityBytes * count < leastBytes) {
      return null;
    }
    const legal = plans.get(count) ?? legalSplits(request, runtime, count);
    plans.set(count, legal);
    // What stands beside the model is laid out with it, and host memory is short only then.
    const isPlain = extras === undefined && hostMemory?.sharedWithDevices !== true;
    const memoryUnder = (plan: ParallelPlan): MemoryEstimate => {
      const asked = () => underPlan(onSet(request, device, count, options), runtime, plan);
      return isPlain
        ? new LaidOut(fitUnder(plan, device).spareBytes, hostMemory?.capacityBytes ?? null, asked, () =>
            layOut(asked()),
          )
        : estimate(asked());
    };
    return underBestSplit(legal, links, memoryUnder, ({ fits }) => fits !== false);
  };
}

/**
 * An estimate whose fit is known, and the rest of which is put together when it is read: searches look at many that are
 * too small, and at little else of them.
 */
class LaidOut implements MemoryEstimate {
  readonly fits: boolean | null;
  readonly #requestOf: () => EstimateRequest;
  readonly #layoutOf: () => WholeLayout;
  #request: EstimateRequest | undefined;
  #layout: WholeLayout | undefined;
  #maxContextTokens: number | null | undefined;
  #maxSequences: number | null | undefined;
  #steps: CalculationStep[] | undefined;
  #warnings: EstimateWarning[] | undefined;

  constructor(
    readonly spareBytes: number | null,
    readonly spareHostBytes: number | null,
    requestOf: () => EstimateRequest,
    layoutOf: () => WholeLayout,
  ) {
    this.fits = spareBytes === null ? null : spareBytes >= 0 && (spareHostBytes ?? 0) >= 0;
    this.#requestOf = requestOf;
    this.#layoutOf = layoutOf;
  }

  get request() {
    this.#request ??= this.#requestOf();
    return this.#request;
  }

  get #memory() {
    this.#layout ??= this.#layoutOf();
    return this.#layout;
  }

  get weights() {
    return this.#memory.weights;
  }

  get kvCache() {
    const { cacheBytes, cacheBytesPerToken, cacheGroups } = this.#memory;
    return { bytes: cacheBytes, bytesPerToken: cacheBytesPerToken, groups: cacheGroups };
  }

  get devices() {
    return this.#memory.devices;
  }

  get host() {
    return { ...this.#memory.host, total: hostBytes(this.#memory) };
  }

  get compute() {
    return sumOf(this.devices, (device) => device.compute);
  }

  get overhead() {
    return sumOf(this.devices, (device) => device.overhead);
  }

  get total() {
    return sumOf(this.devices, (device) => device.total);
  }

  get pool() {
    return this.#memory.pool;
  }

  get consumers() {
    return this.#memory.consumers;
  }

  get plan() {
    return planOf(this.request.runtime);
  }

  get maxContextTokens() {
    this.#maxContextTokens ??=
      this.fits === null ? null : largestFittingContext((tokens) => spareOf(withContext(this.request, tokens)));
    return this.#maxContextTokens;
  }

  get maxSequences() {
    const most = Math.min(this.#memory.mostSequences ?? MAX_SEQUENCES, MAX_SEQUENCES);
    this.#maxSequences ??=
      this.fits === null ? null : largestFitting((sequences) => spareOf(withSequences(this.request, sequences)), most);
    return this.#maxSequences;
  }

  get steps() {
    this.#steps ??= [...this.#memory.steps(), ...this.consumers.map(({ step }) => step)];
    return this.#steps;
  }

  get warnings() {
    this.#warnings ??= [
      ...listWarnings(this.request),
      ...hostWarnings(this.request, this.#memory, this.spareHostBytes),
      ...this.#memory.warnings(),
    ];
    return this.#warnings;
  }
}

function planOf(runtime: RuntimeRequest): ParallelPlan | null {
  if (!isServing(runtime)) {
    return null;
  }
  const { tensorParallel, pipelineParallel, expertParallel } = runtime.settings;
  return { tensorParallel, pipelineParallel, expertParallel };
}

/** A model as its runtime lays it out, and what else takes memory there. */
interface WholeLayout extends MemoryLayout {
  consumers: Consumer[];
}

function layOut(request: EstimateRequest): WholeLayout {
  const { extras } = request;
  if (extras === undefined) {
    return { ...layOutModel(request), consumers: [] };
  }
  requireApplicable(request, extras);
  return addConsumers(request, extras, layOutModel(request));
}

function addConsumers(request: EstimateRequest, extras: ExtraConsumers, layout: MemoryLayout): WholeLayout {
  const layersByDevice = layout.devices.map((device) => device.layers);
  const consumers = blameExtras(() => layOutConsumers(request, extras, { layersByDevice, layOut: layOutModel }));
  const devices = layout.devices.map((memory) => {
    const bytes = sumOf(consumers, ({ bytesByDevice }) => bytesByDevice[memory.index] ?? 0);
    return { ...memory, extras: bytes, total: memory.total + bytes };
  });
  return { ...layout, devices, consumers };
}

/** Every runtime by the kind of its request. */
function layOutModel(request: EstimateRequest): MemoryLayout {
  const { runtime } = request;
  switch (runtime.kind) {
    case "llama-cpp":
      return layOutLlamaCpp(request, runtime.settings);
    case "vllm":
      return layOutVllm(request, runtime.settings, runtime.constants);
    case "sglang":
      return layOutSglang(request, runtime.settings, runtime.constants);
    case "tensorrt-llm":
      return layOutTensorrtLlm(request, runtime.settings, runtime.constants);
    case "transformers":
      return layOutTransformers(request, runtime.settings, runtime.constants);
    case "mlx":
      return layOutMlx(request, runtime.settings, runtime.constants);
    case "exllama":
      return layOutExllama(request, runtime.settings, runtime.constants);
    case "rule-of-thumb":
      return layOutRuleOfThumb(request, runtime.overhead);
  }
}

/** Sequences are searched up to this many: what a 32-bit counter holds. */
const MAX_SEQUENCES = 2 ** 31 - 1;

/**
 * Bytes left on the device that is nearest to full, negative when it is too small; null unless every device has a
 * capacity.
 */
function leastSpare(request: EstimateRequest, devices: readonly DeviceMemory[]): number | null {
  return request.devices === undefined ? null : leastSpareOn(devices);
}

/** The same of devices that are laid out as these are: each of them `device` where one is given. */
function leastSpareOn(devices: readonly DeviceMemory[], device?: Device): number | null {
  let least = Number.POSITIVE_INFINITY;
  for (const memory of devices) {
    const limit = limitOf(memory, device ?? memory.device);
    if (limit === null) {
      return null;
    }
    least = Math.min(least, limit - memory.total);
  }
  return devices.length === 0 ? null : least;
}

/** Most that the total on a device may be; null where its capacity is not known. */
function limitOf({ limitBytes }: DeviceMemory, device: Device): number | null {
  return limitBytes === undefined ? freeBytes(device) : limitBytes;
}

/** What stays in host memory, with that of what stands beside the model. */
function hostBytes({ host, consumers }: WholeLayout): number {
  return host.weights + host.kvCache + host.compute + sumOf(consumers, (consumer) => consumer.hostBytes);
}

/** Bytes left of the host's memory; null where its size is not known. */
function hostSpare(hostMemory: HostMemory | undefined, memory: WholeLayout): number | null {
  if (hostMemory === undefined) {
    return null;
  }
  const onDevices = hostMemory.sharedWithDevices ? sumOf(memory.devices, (device) => device.total) : 0;
  return hostMemory.capacityBytes - onDevices - hostBytes(memory);
}

/** Bytes left of the memory that is nearest to full, by a request like one that fits: on devices of known capacity. */
function spareOf(request: EstimateRequest): number {
  const memory = layOut(request);
  const infinite = Number.POSITIVE_INFINITY;
  return Math.min(leastSpare(request, memory.devices) ?? infinite, hostSpare(request.hostMemory, memory) ?? infinite);
}

/** The request at another context. A draft model that kept as long a context as the model keeps following it. */
function withContext(request: EstimateRequest, contextTokens: number): EstimateRequest {
  const follows = request.extras?.draftModel?.request.contextTokens === request.contextTokens;
  return follows ? withDraft({ ...request, contextTokens }, { contextTokens }) : { ...request, contextTokens };
}

/** The request with another number of sequences, which a draft model holds as well. */
function withSequences(request: EstimateRequest, sequences: number): EstimateRequest {
  return withDraft({ ...request, sequences }, { sequences });
}

function withDraft(request: EstimateRequest, change: Partial<EstimateRequest>): EstimateRequest {
  const { extras } = request;
  if (extras?.draftModel === undefined) {
    return request;
  }
  const draft = { ...extras.draftModel.request, ...change };
  return { ...request, extras: { ...extras, draftModel: { ...extras.draftModel, request: draft } } };
}

function hostWarnings(request: EstimateRequest, memory: WholeLayout, spare: number | null): EstimateWarning[] {
  if (spare === null || spare >= 0) {
    return [];
  }
  const [needed, shared] = [sizeText(hostBytes(memory)), request.hostMemory?.sharedWithDevices === true];
  const left = shared ? "of the one memory of chip and host, what the model leaves" : "the host's memory";
  return [
    {
      code: "HOST_MEMORY_SHORT",
      message: `${needed} stay in host memory, ${sizeText(-spare)} more than ${left}.`,
    },
  ];
}

/** What is worth a warning whatever the runtime. */
function listWarnings(request: EstimateRequest): EstimateWarning[] {
  const { architecture, contextTokens } = request;
  const warnings: EstimateWarning[] = [];
  if (contextTokens > architecture.contextLength) {
    warnings.push({
      code: "CONTEXT_ABOVE_TRAINED",
      message: `The model was trained for ${architecture.contextLength} tokens; ${contextTokens} are asked for.`,
    });
  }
  if (request.devices?.some((device) => device.capacityBytes === null)) {
    warnings.push({
      code: "NO_DEVICE_CAPACITY",
      message: "The usable memory of a device is not known, so whether this fits cannot be said.",
    });
  }
  return warnings;
}
