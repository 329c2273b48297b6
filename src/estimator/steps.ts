import type {
  CalculationStep,
  DeviceMemory,
  KvCacheKind,
  KvCacheLayerGroup,
  WeightsBreakdown,
} from "./estimate.types.js";
import { countText, sizeText } from "./size-text.js";

/** Where the rules that several runtimes follow are written down. */
export const RULE_SOURCES = {
  tensors: "llama.cpp, gguf-py/gguf/constants.py and convert_hf_to_gguf.py: the tensors of each architecture",
  types: "llama.cpp, src/llama-quant.cpp: the type of each tensor by file type",
} as const;

/** Devices written out one by one before the list is cut. */
export const MAX_LISTED_DEVICES = 8;

/** What each kind of cache is called in a step's title. */
export const CACHE_TITLES: Readonly<Record<KvCacheKind, string>> = {
  FULL: "KV cache, full attention",
  SLIDING_WINDOW: "KV cache, sliding window",
  CHUNKED: "KV cache, chunked attention",
  LATENT: "KV cache, latent (MLA): no separate V",
  INDEXER: "Index keys of sparse attention",
  COMPRESSED: "Compressed cache",
  RECURRENT: "Recurrent state",
  SHARED: "Layers that read another layer's cache",
};

/** Parameters by role. */
export function parametersStep(weights: WeightsBreakdown): CalculationStep {
  const roles = weights.byRole.filter((share) => share.parameters > 0);
  return {
    title: "Parameters",
    formula: roles.map((share) => `${share.role} ${countText(share.parameters)}`).join(" + "),
    result: `${countText(weights.parameters)} parameters, ${countText(weights.activeParameters)} active per token`,
    source: RULE_SOURCES.tensors,
  };
}

/** Bytes of the weights by how they are stored. */
export function weightsStep(weights: WeightsBreakdown): CalculationStep {
  return {
    title: "Weights",
    formula: weights.byTensorType
      .map((share) => `${share.tensors} ${share.type} tensors: ${countText(share.bytes)} bytes`)
      .join(" + "),
    result: `${countText(weights.bytes)} bytes = ${sizeText(weights.bytes)}, ${weights.bitsPerWeight.toFixed(2)} bits per weight`,
    source: RULE_SOURCES.types,
  };
}

/** Bytes of one entry of one layer of a group of caches. */
export function perCell(group: KvCacheLayerGroup): number {
  const entries = group.layers * group.cells;
  return entries === 0 ? 0 : group.bytes / entries;
}

/** The devices' texts in order, cut after `MAX_LISTED_DEVICES`. */
export function listDevices(devices: readonly DeviceMemory[], text: (device: DeviceMemory) => string): string[] {
  const listed = devices.slice(0, MAX_LISTED_DEVICES).map((device) => `device ${device.index}: ${text(device)}`);
  if (devices.length > MAX_LISTED_DEVICES) {
    listed.push(`and ${devices.length - MAX_LISTED_DEVICES} more`);
  }
  return listed;
}

/** " of 79.2 GiB ..." after a device's total; empty where the capacity is not known. */
export function capacityText({ device }: DeviceMemory): string {
  if (device.capacityBytes === null) {
    return "";
  }
  const reserve = device.reserveBytes ?? 0;
  return ` of ${sizeText(device.capacityBytes)}${reserve > 0 ? `, of which the driver's context takes ${sizeText(reserve)}` : ""}`;
}
