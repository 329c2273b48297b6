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
import type { ExllamaMemory } from "./lay-out-exllama.js";

const SOURCES = {
  weights: "exllamav2 and exllamav3: average bits per weight of the file, with the output matrix's own bits",
  embedding: "exllamav2, embedding.py: the embedding stays in host memory",
  cache: "exllamav3, cache/quant.py: packed values and a half-precision scale per 32; all layers in full length",
  scratch: "exllamav2, linear.py, mlp.py, attn.py: scratch_space of the module that needs most",
  unpackedCache: "exllamav3, cache/quant.py, get_kv: one layer's keys and values in half precision",
  placement: "exllamav2, model.py, load_autosplit: each device is filled before the next",
} as const;

/** The calculation of an ExLlama estimate, in order, with its figures. */
export function explainExllama(
  request: EstimateRequest,
  memory: ExllamaMemory,
  devices: readonly DeviceMemory[],
): CalculationStep[] {
  const { checkpoint } = memory;
  const steps: CalculationStep[] = [
    parametersStep(checkpoint.weights),
    { ...weightsStep(checkpoint.weights), source: SOURCES.weights },
    {
      title: "Output and embedding",
      formula: "the output matrix is on the last device that is used, tied or not; the embedding in host memory",
      result: `output ${sizeText(memory.outputBytes)}; host ${sizeText(checkpoint.embedding)}`,
      source: SOURCES.embedding,
    },
    ...memory.cacheGroups.map(
      (group): CalculationStep => ({
        title: CACHE_TITLES[group.kind],
        formula: `${group.layers} layers x ${countText(group.cells)} tokens of ${request.sequences} sequences x ${countText(perCell(group))} bytes`,
        result: `${countText(group.bytes)} bytes = ${sizeText(group.bytes)}`,
        source: SOURCES.cache,
      }),
    ),
    {
      title: "Scratch space",
      formula: `the larger of ${countText(memory.chunkTokens)} tokens in the widest layer ${sizeText(memory.chunkBytes)} + unpacked matrix ${sizeText(memory.unpackedLayerBytes)} + scores ${memory.generation.attentionMib} MiB, and the unpacked output matrix ${sizeText(memory.unpackedOutputBytes)}; logits ${sizeText(memory.logitsBytes)}`,
      result: listDevices(devices, (device) => sizeText(device.compute)).join("; "),
      source: SOURCES.scratch,
    },
  ];
  if (memory.unpackedCacheBytes > 0) {
    steps.push({
      title: "Unpacked cache",
      formula: `${countText(memory.cells)} tokens of one layer's keys and values x 2 bytes, part of the scratch space`,
      result: sizeText(memory.unpackedCacheBytes),
      source: SOURCES.unpackedCache,
    });
  }
  if (devices.length > 1) {
    steps.push({
      title: "Placement",
      formula: `${countText(checkpoint.layers.length)} layers with their cache and the output in order over ${devices.length} devices`,
      result: listDevices(devices, (device) => `${device.layers} layers, ${sizeText(device.weights)}`).join("; "),
      source: SOURCES.placement,
    });
  }
  steps.push(
    ...devices.slice(0, MAX_LISTED_DEVICES).map(
      (device): CalculationStep => ({
        title: `Device ${device.index} (${device.device.name})`,
        formula: `weights ${sizeText(device.weights)} + cache ${sizeText(device.kvCache)} + scratch ${sizeText(device.compute)} + context and kept blocks ${sizeText(device.overhead)}`,
        result: `${sizeText(device.total)}${capacityText(device)}`,
        source: null,
      }),
    ),
  );
  return steps;
}
