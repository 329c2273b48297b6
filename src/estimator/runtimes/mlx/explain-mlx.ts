import type { CalculationStep, DeviceMemory, EstimateRequest } from "../../estimate.types.js";
import { countText, sizeText } from "../../size-text.js";
import { CACHE_TITLES, capacityText, MAX_LISTED_DEVICES, parametersStep, perCell, weightsStep } from "../../steps.js";
import type { MlxMemory } from "./lay-out-mlx.js";
import type { MlxConstants } from "./mlx.types.js";

const SOURCES = {
  weights: "mlx, nn/layers/quantized.py: packed values with a scale and a bias per group",
  cache: "mlx-lm, mlx_lm/models/cache.py: KVCache grows by 256 entries; RotatingKVCache keeps a window and one step",
  results:
    "mlx, backend/metal/device.cpp and transforms.cpp: a command buffer is committed after so many MiB, and ten may be under way",
  logits: "mlx-lm, mlx_lm/generate.py: only the caches are evaluated during prefill, so one row of logits per sequence",
} as const;

/** The calculation of an MLX estimate, in order, with its figures. */
export function explainMlx(
  request: EstimateRequest,
  constants: MlxConstants,
  memory: MlxMemory,
  devices: readonly DeviceMemory[],
): CalculationStep[] {
  const { checkpoint, step, results } = memory;
  const largest = results.reduce((most, bytes) => Math.max(most, bytes), 0);
  return [
    parametersStep(checkpoint.weights),
    { ...weightsStep(checkpoint.weights), source: SOURCES.weights },
    ...memory.cacheGroups.map(
      (group): CalculationStep => ({
        title: CACHE_TITLES[group.kind],
        formula: `${group.layers} layers x ${countText(group.cells)} entries x ${countText(perCell(group))} bytes`,
        result: `${countText(group.bytes)} bytes = ${sizeText(group.bytes)}`,
        source: SOURCES.cache,
      }),
    ),
    {
      title: "Results of a prefill step",
      formula: `${countText(step.tokens)} tokens: ${sizeText(largest)} in the widest layer; alive at once the larger of one layer's and ${constants.activeCommandBuffers} command buffers x ${constants.commandBufferMib} MiB, at most all layers' ${sizeText(results.reduce((sum, bytes) => sum + bytes, 0))}`,
      result: sizeText(Math.max(0, ...devices.map((device) => device.compute - memory.logitsBytes))),
      source: SOURCES.results,
    },
    {
      title: "Logits",
      formula: `${countText(request.sequences)} rows x ${countText(request.architecture.vocabularySize)} values x (2 + 4 bytes)`,
      result: sizeText(memory.logitsBytes),
      source: SOURCES.logits,
    },
    ...devices.slice(0, MAX_LISTED_DEVICES).map(
      (device): CalculationStep => ({
        title: `Device ${device.index} (${device.device.name})`,
        formula: `weights ${sizeText(device.weights)} + cache ${sizeText(device.kvCache)} + results and logits ${sizeText(device.compute)}`,
        result: `${sizeText(device.total)}${capacityText(device)}`,
        source: null,
      }),
    ),
  ];
}
