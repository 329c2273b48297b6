import type { CalculationStep, DeviceMemory, EstimateRequest } from "../../estimate.types.js";
import { countText, sizeText } from "../../size-text.js";
import {
  CACHE_TITLES,
  capacityText,
  listDevices,
  MAX_LISTED_DEVICES,
  parametersStep,
  perCell,
  weightsStep,
} from "../../steps.js";
import type { TransformersMemory } from "./lay-out-transformers.js";
import type { TransformersConstants, TransformersSettings } from "./transformers.types.js";

const SOURCES = {
  weights: "The checkpoint's own tensors: Transformers loads them as they are stored",
  cache:
    "transformers, src/transformers/cache_utils.py: DynamicCache appends to one tensor of keys and one of values per layer",
  placement: "accelerate, utils/modeling.py: get_balanced_memory and infer_auto_device_map",
  activations:
    "transformers, models/llama/modeling_llama.py and its kin: the tensors that Python still refers to while a layer runs",
  logits: "transformers, generation/utils.py and the models' heads",
  workspace: "PyTorch, notes on CUDA: the cuBLAS workspace is allocated through the caching allocator",
} as const;

/** The calculation of a Transformers estimate, in order, with its figures. */
export function explainTransformers(
  request: EstimateRequest,
  settings: TransformersSettings,
  constants: TransformersConstants,
  memory: TransformersMemory,
  devices: readonly DeviceMemory[],
): CalculationStep[] {
  const { pass, checkpoint } = memory;
  const steps: CalculationStep[] = [
    parametersStep(checkpoint.weights),
    { ...weightsStep(checkpoint.weights), source: SOURCES.weights },
  ];
  if (memory.untiedOutput > 0) {
    steps.push({
      title: "Output matrix",
      formula: "this format's checkpoints store the output matrix beside the embedding it is tied to",
      result: sizeText(memory.untiedOutput),
      source: SOURCES.weights,
    });
  }
  steps.push(
    ...memory.cacheGroups.map(
      (group): CalculationStep => ({
        title: CACHE_TITLES[group.kind],
        formula: `${group.layers} layers x ${countText(group.cells)} entries x ${countText(perCell(group))} bytes`,
        result: `${countText(group.bytes)} bytes = ${sizeText(group.bytes)}`,
        source: SOURCES.cache,
      }),
    ),
    {
      title: "Peak of a forward pass",
      formula: activationFormula(settings, memory),
      result: sizeText(Math.max(memory.widest.peak.mixer, memory.widest.peak.feedForward)),
      source: SOURCES.activations,
    },
  );
  if (request.architecture.hasOutput) {
    const rows = constants.logits === "ALL" ? pass.tokens : request.sequences;
    steps.push({
      title: "Logits",
      formula: `${countText(rows)} rows x ${countText(request.architecture.vocabularySize)} values x (${pass.valueBytes} + 4 bytes), beside the input and the last hidden state`,
      result: sizeText(memory.logitsBytes),
      source: SOURCES.logits,
    });
  }
  steps.push({
    title: "Appending a token",
    formula:
      constants.cacheCopy === "WHOLE"
        ? "the old cache lives until the new one is complete: a second copy of all of it"
        : "old and new keys of one layer side by side while they are joined",
    result: sizeText(memory.cacheCopyBytes),
    source: SOURCES.cache,
  });
  if (memory.unpackBytes > 0) {
    steps.push({
      title: "Unpacked weights",
      formula: `the largest quantized matrix, ${countText(checkpoint.largestQuantizedMatrix)} values x 2 bytes, unpacked before it is multiplied`,
      result: sizeText(memory.unpackBytes),
      source: "bitsandbytes, AutoAWQ and AutoGPTQ: kernels for prompts work on a matrix in half precision",
    });
  }
  if (devices.length > 1) {
    steps.push({
      title: "Placement",
      formula: `embedding, ${countText(checkpoint.layers.length)} layers and output in order over ${devices.length} devices, each but the last up to an equal share and 1.25 of a layer`,
      result: listDevices(devices, (device) => `${device.layers} layers, ${sizeText(device.weights)}`).join("; "),
      source: SOURCES.placement,
    });
  }
  steps.push({
    title: "Workspace",
    formula: `${constants.workspaceMib} MiB per device for PyTorch's matrix library`,
    result: sizeText(devices.reduce((total, device) => total + device.overhead, 0)),
    source: SOURCES.workspace,
  });
  steps.push(
    ...devices.slice(0, MAX_LISTED_DEVICES).map(
      (device): CalculationStep => ({
        title: `Device ${device.index} (${device.device.name})`,
        formula: `weights ${sizeText(device.weights)} + cache ${sizeText(device.kvCache)} + the larger of forward pass, logits and appending ${sizeText(device.compute)} + workspace ${sizeText(device.overhead)}`,
        result: `${sizeText(device.total)}${capacityText(device)}`,
        source: null,
      }),
    ),
  );
  return steps;
}

function activationFormula(settings: TransformersSettings, memory: TransformersMemory): string {
  const { pass, widest } = memory;
  const part =
    widest.peak.feedForward >= widest.peak.mixer
      ? "its feed-forward part with input, residual and normed input"
      : `its attention (${settings.attention.toLowerCase()}) with input and normed input`;
  const perToken = Math.max(widest.peak.feedForward, widest.peak.mixer) / pass.tokens;
  return `${countText(pass.tokens)} tokens at once x ${countText(perToken)} bytes: the widest layer, ${part}`;
}
