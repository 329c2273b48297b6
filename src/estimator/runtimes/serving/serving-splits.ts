import type { Device, EstimateRequest, RuntimeRequest } from "../../estimate.types.js";
import type { ParallelPlan, ServingEngine } from "../../placement/parallel-plans.js";
import { planSglang, sglangDevices } from "../sglang/estimate-sglang.js";
import { planTensorrtLlm } from "../tensorrt-llm/estimate-tensorrt-llm.js";
import { planVllm, vllmDevices } from "../vllm/estimate-vllm.js";
import { type EqualFit, fitOnEqual, type ServingPlan } from "./serving-memory.js";

/** A request to a serving engine. */
export type ServingRequest = Extract<RuntimeRequest, { kind: ServingEngine }>;

export function isServing(runtime: RuntimeRequest): runtime is ServingRequest {
  return runtime.kind === "vllm" || runtime.kind === "sglang" || runtime.kind === "tensorrt-llm";
}

/** The request under a split. */
export function underPlan(request: EstimateRequest, runtime: ServingRequest, plan: ParallelPlan): EstimateRequest {
  return { ...request, runtime: withPlan(runtime, plan) };
}

function withPlan(runtime: ServingRequest, plan: ParallelPlan): ServingRequest {
  return { ...runtime, settings: { ...runtime.settings, ...plan } } as ServingRequest;
}

/**
 * How a model stands to equal devices under a legal split over all of them. Splits are planned once for all devices that
 * the engine treats alike, whatever they hold.
 */
export function createSplitFits(
  request: EstimateRequest,
  runtime: ServingRequest,
): (plan: ParallelPlan, device: Device) => EqualFit {
  const planned = new Map<string, ServingPlan>();
  return (plan, device) => {
    const asked = withPlan(runtime, plan);
    const { key, make } = describeSplit(request, asked, device);
    const { tensorParallel, pipelineParallel, expertParallel } = plan;
    const name = `${tensorParallel} ${pipelineParallel} ${expertParallel} ${key}`;
    let known = planned.get(name);
    if (known === undefined) {
      known = make();
      planned.set(name, known);
    }
    return fitOnEqual(known, device);
  };
}

/** How an engine plans a split on devices of one kind; `key` tells the kinds apart. */
function describeSplit(
  request: EstimateRequest,
  runtime: ServingRequest,
  device: Device,
): { key: string; make: () => ServingPlan } {
  switch (runtime.kind) {
    case "vllm": {
      const { settings, constants } = runtime;
      const kind = vllmDevices([device], settings, constants);
      return {
        key: `${kind.areLarge} ${kind.expertPadding.width} ${kind.expertPadding.inputWidth}`,
        make: () => planVllm(request, settings, constants, kind),
      };
    }
    case "sglang": {
      const { settings, constants } = runtime;
      const kind = sglangDevices(device.capacityBytes, settings, constants);
      return {
        key: `${kind.areLarge} ${kind.sizes.chunkTokens} ${kind.sizes.graphSequences}`,
        make: () => planSglang(request, settings, constants, kind),
      };
    }
    case "tensorrt-llm":
      return { key: "", make: () => planTensorrtLlm(request, runtime.settings, runtime.constants) };
  }
}
