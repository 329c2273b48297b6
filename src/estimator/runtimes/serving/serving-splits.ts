import type { Device, EstimateRequest, RuntimeRequest } from "../../estimate.types.js";
import { onceOnly } from "../../once-for.js";
import { type DeviceLinks, preferFastLinks } from "../../placement/device-links.js";
import { legalPlans, type ParallelPlan, type ServingEngine } from "../../placement/parallel-plans.js";
import type { QuantScheme } from "../../quantization/scheme.js";
import { planSglang, sglangDevices } from "../sglang/estimate-sglang.js";
import { planTensorrtLlm } from "../tensorrt-llm/estimate-tensorrt-llm.js";
import { planVllm, vllmDevices } from "../vllm/estimate-vllm.js";
import { type EqualFit, fitOnEqual, type ServingPlan } from "./serving-memory.js";
import { loadModel, type StageWeights } from "./sharded-weights.js";

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

/** The splits that an engine takes over so many devices, the one that runs best first where links are alike. */
export function legalSplits(
  { architecture, scheme }: Pick<EstimateRequest, "architecture" | "scheme">,
  runtime: ServingRequest,
  count: number,
): ParallelPlan[] {
  const wholeAttention = runtime.kind === "sglang" && runtime.settings.dataParallelAttention;
  return legalPlans(architecture, scheme, count, runtime.kind, { wholeAttention });
}

/**
 * What a model comes to under the split that an engine is given: the first that fits, the one that is least short where
 * none does; null where there is none.
 *
 * @param legal - the splits that the engine takes, the best first where links are alike.
 * @param links - how the devices are linked; all alike if absent.
 */
export function underBestSplit<Outcome extends { spareBytes: number | null }>(
  legal: ParallelPlan[],
  links: DeviceLinks | undefined,
  outcomeUnder: (plan: ParallelPlan) => Outcome,
  fits: (outcome: Outcome) => boolean,
): Outcome | null {
  let best: Outcome | null = null;
  for (const plan of links === undefined ? legal : preferFastLinks(legal, links)) {
    const outcome = outcomeUnder(plan);
    if (fits(outcome)) {
      return outcome;
    }
    best = best === null || (outcome.spareBytes ?? 0) > (best.spareBytes ?? 0) ? outcome : best;
  }
  return best;
}

/** How a model in one format stands to equal devices under a legal split over all of them. */
export type SplitFits = (plan: ParallelPlan, device: Device) => EqualFit;

/**
 * The same for any format. Splits are planned once for all formats, and for all devices that the engine treats alike,
 * whatever they hold.
 */
export function createSplitFits(
  request: Omit<EstimateRequest, "scheme">,
  runtime: ServingRequest,
): (scheme: QuantScheme) => SplitFits {
  const planned = new Map<string, ServingPlan>();
  const planOn = (plan: ParallelPlan, device: Device): ServingPlan => {
    const { key, make } = describeSplit(request, withPlan(runtime, plan), device);
    const { tensorParallel, pipelineParallel, expertParallel } = plan;
    const name = `${tensorParallel} ${pipelineParallel} ${expertParallel} ${key}`;
    let known = planned.get(name);
    if (known === undefined) {
      known = make();
      planned.set(name, known);
    }
    return known;
  };
  return (scheme) => {
    const model = onceOnly(() => loadModel(request.architecture, scheme));
    const weighed = new Map<ServingPlan, StageWeights[]>();
    return (plan, device) => {
      const split = planOn(plan, device);
      const stages = weighed.get(split) ?? split.sharding.weigh(model());
      weighed.set(split, stages);
      return fitOnEqual(split, stages, device);
    };
  };
}

/** How an engine plans a split on devices of one kind; `key` tells the kinds apart. */
function describeSplit(
  request: Omit<EstimateRequest, "scheme">,
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
