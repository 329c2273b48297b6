import type { Architecture } from "../architecture/architecture.js";
import { estimate } from "../estimate.js";
import type { Device, EstimateRequest, MemoryEstimate, RuntimeRequest } from "../estimate.types.js";
import { EstimateError } from "../estimate-error.js";
import { legalPlans, type ParallelPlan } from "../placement/parallel-plans.js";
import type { QuantScheme } from "../quantization/scheme.js";

/** All of a request but the devices, the model with its format, and the context. */
export type FitSettings = Omit<EstimateRequest, "architecture" | "scheme" | "contextTokens" | "devices">;

/** How a model in a format stands to devices. Sizes are bytes. */
export interface ModelFit {
  /** Null where the capacity of a device is not known. */
  fits: boolean | null;
  /** Over all devices. */
  totalBytes: number;
  /** Left on the device nearest to full by what the runtime may use of it, negative where it is short. */
  spareBytes: number | null;
  /** Free on the fullest device, the driver's part included. */
  headroomBytes: number;
  /** How a serving engine splits the model; null in other runtimes. */
  plan: ParallelPlan | null;
}

/** Fits of models at contexts; throws EstimateError and QuantizationError as `estimate` does. */
export type ModelFits = (architecture: Architecture, scheme: QuantScheme, contextTokens: number) => ModelFit;

/**
 * How models stand to given devices under the same settings, with the figures of `estimate` but nothing described.
 * Serving engines are given the first of their legal splits over all devices that fits; the one that is least short
 * where none does.
 */
export function createModelFits(devices: readonly Device[], settings: FitSettings): ModelFits {
  return (architecture, scheme, contextTokens) => {
    const request: EstimateRequest = { ...settings, architecture, scheme, contextTokens, devices: [...devices] };
    let best: ModelFit | null = null;
    for (const candidate of requestsOf(request)) {
      const fit = readFit(estimate(candidate));
      if (fit.fits !== false) {
        return fit;
      }
      best = best === null || (fit.spareBytes ?? 0) > (best.spareBytes ?? 0) ? fit : best;
    }
    if (best === null) {
      throw new EstimateError(
        `The engine takes no split of this model over ${devices.length} devices.`,
        ["devices"],
        "SPLIT_NOT_SUPPORTED",
      );
    }
    return best;
  };
}

/** The request under every legal split over its devices, the best first; as it is where the runtime splits by itself. */
function requestsOf(request: EstimateRequest): EstimateRequest[] {
  const { architecture, scheme, runtime, devices = [] } = request;
  if (runtime.kind !== "vllm" && runtime.kind !== "sglang" && runtime.kind !== "tensorrt-llm") {
    return [request];
  }
  const wholeAttention = runtime.kind === "sglang" && runtime.settings.dataParallelAttention;
  return legalPlans(architecture, scheme, devices.length, runtime.kind, { wholeAttention }).map((plan) => ({
    ...request,
    runtime: { ...runtime, settings: { ...runtime.settings, ...plan } } as RuntimeRequest,
  }));
}

function readFit({ fits, total, spareBytes, devices, plan }: MemoryEstimate): ModelFit {
  let headroomBytes = Number.POSITIVE_INFINITY;
  for (const memory of devices) {
    headroomBytes = Math.min(headroomBytes, (memory.device.capacityBytes ?? memory.total) - memory.total);
  }
  return { fits, totalBytes: total, spareBytes, headroomBytes, plan };
}
