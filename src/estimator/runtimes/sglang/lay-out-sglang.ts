import type { EstimateRequest, EstimateWarning } from "../../estimate.types.js";
import type { MemoryLayout } from "../memory-layout.js";
import { describeServing } from "../serving/serving-memory.js";
import { estimateSglang } from "./estimate-sglang.js";
import { explainSglang } from "./explain.js";
import type { SglangConstants, SglangSettings } from "./sglang.types.js";

/**
 * A model laid out by SGLang over `tensorParallel` x `pipelineParallel` devices.
 *
 * @throws EstimateError for settings that the engine refuses.
 */
export function layOutSglang(
  request: EstimateRequest,
  settings: SglangSettings,
  constants: SglangConstants,
): MemoryLayout {
  const memory = estimateSglang(request, settings, constants);
  return describeServing(
    request,
    memory,
    "sglang",
    (devices) => explainSglang(request, memory, constants, devices),
    () => uncertainties(request),
  );
}

function uncertainties({ architecture }: EstimateRequest): EstimateWarning[] {
  const blocks = Object.values(architecture.blocks);
  const hasPools = blocks.some(
    ({ attention, recurrent }) => recurrent !== undefined || attention?.kind === "compressed",
  );
  return hasPools
    ? [
        {
          code: "RULE_UNCERTAIN",
          message:
            "SGLang splits its cache between states and tokens by settings that are not asked here; the default shares are taken.",
        },
      ]
    : [];
}
