import { GIB } from "../../byte-units.js";
import type { CalculationStep, DeviceMemory, EstimateRequest } from "../../estimate.types.js";
import { countText, sizeText } from "../../size-text.js";
import { cacheGroupSteps, commonSteps, deviceSteps } from "../serving/explain-serving.js";
import { tightestRank } from "../serving/serving-memory.js";
import type { VllmMemory } from "./estimate-vllm.js";
import type { VllmConstants } from "./vllm.types.js";

const SOURCES = {
  blocks: "vLLM, v1/core/kv_cache_utils.py: layers of a kind share a table of blocks, all blocks have one size",
  activation: "start-up logs of vLLM 0.7 to 0.19; vLLM, v1/worker/gpu_model_runner.py (profile_run)",
  graphs: "start-up logs of vLLM 0.10 to 0.19; capture sizes as in vLLM, config/vllm.py",
  budget: "vLLM, v1/worker/gpu_worker.py (determine_available_memory)",
  printed: "vLLM, v1/core/kv_cache_utils.py (_report_kv_cache_config)",
} as const;

/** The calculation of a vLLM estimate, in order, with its figures. */
export function explainVllm(
  request: EstimateRequest,
  memory: VllmMemory,
  constants: VllmConstants,
  devices: readonly DeviceMemory[],
): CalculationStep[] {
  const steps = [...commonSteps(request.architecture, memory), ...cacheGroupSteps(memory, request)];
  steps.push({
    title: "Blocks of one sequence",
    formula:
      memory.blocks.groups
        .slice(0, MOST_GROUPS)
        .map(
          (group) =>
            `${group.layers.length} layers: ${group.blocksFor(request.contextTokens)} blocks of ${Number.isFinite(group.blockTokens) ? `${group.blockTokens} tokens` : "one state"}`,
        )
        .join(" + ") + (memory.blocks.groups.length > MOST_GROUPS ? " + ..." : ""),
    result: `${countText(memory.blocksPerSequence)} blocks for ${countText(request.contextTokens)} tokens`,
    source: SOURCES.blocks,
  });
  steps.push(activationStep(request, memory, constants), graphStep(memory, constants));
  const budget = budgetStep(memory, devices, constants);
  if (budget !== null) {
    steps.push(budget);
  }
  if (memory.pool !== null && memory.poolBlocks !== null) {
    steps.push({
      title: "GPU KV cache size and maximum concurrency",
      formula:
        constants.printedTokens === "blocks"
          ? `${countText(memory.poolBlocks)} blocks / ${memory.blocks.groups.length} groups x ${memory.pool.blockTokens} tokens; ${countText(memory.poolBlocks)} / ${countText(memory.blocksPerSequence)} blocks a sequence`
          : `${countText(memory.poolBlocks)} blocks / ${countText(memory.blocksPerSequence)} blocks a sequence x ${countText(request.contextTokens)} tokens`,
      result: `${countText(memory.pool.tokens)} tokens, ${memory.pool.maxConcurrency.toFixed(2)}x`,
      source: SOURCES.printed,
    });
  }
  return [...steps, ...deviceSteps(devices)];
}

const MOST_GROUPS = 6;

function activationStep(request: EstimateRequest, memory: VllmMemory, constants: VllmConstants): CalculationStep {
  const { peak, batch } = memory;
  const sampled = `${constants.activation.logitsCopies} x 4 bytes x ${countText(batch.maxNumSequences)} sequences x ${countText(request.architecture.vocabularySize)} tokens of the vocabulary`;
  return {
    title: "Activation peak",
    formula: `the larger of sampling (${sampled} = ${sizeText(peak.logits)}, hidden states ${sizeText(peak.hidden)}) and a forward pass of ${countText(batch.maxNumBatchedTokens)} tokens (${sizeText(peak.forward)}, of it experts ${sizeText(peak.experts)}), and workspaces ${sizeText(peak.base)}`,
    result: `${sizeText(peak.bytes)} on the devices of the last stage`,
    source: SOURCES.activation,
  };
}

function graphStep({ graphSizes, parts }: VllmMemory, { cudaGraphs }: VllmConstants): CalculationStep {
  return {
    title: "CUDA graphs",
    formula:
      graphSizes === 0
        ? "eager: none are recorded"
        : `${graphSizes} batch sizes; ${cudaGraphs.insideBudget ? "taken out of the budget" : "outside of the budget"}`,
    result: sizeText(parts[0]?.graphs ?? 0),
    source: SOURCES.graphs,
  };
}

function budgetStep(
  { parts, utilization, pool }: VllmMemory,
  devices: readonly DeviceMemory[],
  constants: VllmConstants,
): CalculationStep | null {
  if (pool === null) {
    return null;
  }
  const rank = tightestRank(parts);
  const part = parts[rank];
  const capacity = devices[rank]?.device.capacityBytes ?? 0;
  if (part === undefined) {
    return null;
  }
  const charged = constants.cudaGraphs.insideBudget ? ` - graphs ${sizeText(part.graphs)}` : "";
  return {
    title: "Memory left for the KV cache",
    formula: `device ${rank}: ${utilization} x ${(capacity / GIB).toFixed(2)} GiB - weights ${sizeText(part.weights)} - activation peak ${sizeText(part.activation)} - outside PyTorch ${sizeText(part.nonTorch)}${charged}`,
    result: `${sizeText(pool.bytesPerDevice)} a device`,
    source: SOURCES.budget,
  };
}
