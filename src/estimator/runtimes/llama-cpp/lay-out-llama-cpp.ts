import type { Device, EstimateRequest, EstimateWarning, LlamaCppSettings } from "../../estimate.types.js";
import { CELL_PADDING } from "../../kv-cache/cell-counts.js";
import { type MemoryLayout, UNLIMITED_DEVICE } from "../memory-layout.js";
import { estimateLlamaCpp } from "./estimate-llama-cpp.js";
import { explainLlamaCpp } from "./explain.js";
import { MAX_SEQUENCES } from "./run-settings.js";

/**
 * A model laid out by llama.cpp.
 *
 * @throws EstimateError for settings that llama.cpp refuses.
 */
export function layOutLlamaCpp(request: EstimateRequest, settings: LlamaCppSettings): MemoryLayout {
  const devices = request.devices ?? [UNLIMITED_DEVICE];
  const memory = estimateLlamaCpp(request, settings, devices);
  const deviceMemory = memory.devices.map((parts, index) => ({
    ...parts,
    index,
    device: devices[index] as Device,
    overhead: 0,
    total: parts.weights + parts.kvCache + parts.compute,
  }));
  return {
    weights: memory.model.weights,
    cacheBytes: memory.cacheBytes,
    cacheBytesPerToken: memory.cacheBytesPerToken,
    cacheGroups: memory.cacheGroups,
    devices: deviceMemory,
    host: memory.host,
    pool: null,
    mostSequences: MAX_SEQUENCES,
    steps: () => explainLlamaCpp(request, memory, deviceMemory),
    warnings: () => listWarnings(request, settings),
  };
}

function listWarnings(request: EstimateRequest, settings: LlamaCppSettings): EstimateWarning[] {
  const { contextTokens, sequences, scheme } = request;
  const warnings: EstimateWarning[] = [];
  if (scheme.kind !== "ggml") {
    warnings.push({
      code: "QUANT_FORMAT_NOT_LOADABLE",
      message: "llama.cpp loads GGUF files only: a model in this format has to be converted first.",
    });
  }
  const cells = settings.kvUnified ? contextTokens * sequences : contextTokens;
  if (cells % CELL_PADDING !== 0) {
    warnings.push({
      code: "CONTEXT_PADDED",
      message: `llama.cpp allocates cells in multiples of ${CELL_PADDING}: ${cells} are rounded up.`,
    });
  }
  if (settings.ubatchSize > contextTokens * sequences) {
    warnings.push({
      code: "MICROBATCH_ABOVE_CONTEXT",
      message: `The microbatch of ${settings.ubatchSize} is longer than the context and is cut to it.`,
    });
  }
  return warnings;
}
