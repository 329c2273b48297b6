import type { Catalogue } from "../../data/catalogue.js";
import type { GpuRow, ScenarioRow } from "../../data/rows.js";
import { BadUserInputError } from "../../errors.js";
import { estimate as estimateMemory } from "../../estimator/estimate.js";
import type { DeviceMemory, EstimateRequest, MemoryEstimate } from "../../estimator/estimate.types.js";
import { EstimateError } from "../../estimator/estimate-error.js";
import { createHardwareSearch } from "./hardware-search.js";
import { inputPathOf } from "./input-path.js";
import { resolveRequest } from "./request.js";
import type { ArgumentPath, DeviceEstimateModel, EstimateInput, EstimateModel, EstimationService } from "./types.js";

/** Builds the estimation service over one version of the catalogue. */
export function createEstimationService(catalogue: Catalogue): EstimationService {
  const ofScenarios = new Map<string, EstimateModel>();
  const search = createHardwareSearch(catalogue);

  function estimate(input: EstimateInput, path: ArgumentPath): EstimateModel {
    const { request, gpus, runtime } = resolveRequest(input, path, catalogue);
    try {
      return describeEstimate(request, estimateMemory(request), gpus, runtime.slug, catalogue.version);
    } catch (error) {
      if (error instanceof EstimateError)
        throw new BadUserInputError(error.message, [...path, ...inputPathOf(error.path)]);
      throw error;
    }
  }

  return {
    estimate,
    estimateScenario(scenario) {
      const known = ofScenarios.get(scenario.id);
      if (known) return known;
      const result = estimate(scenarioInput(scenario, catalogue), []);
      ofScenarios.set(scenario.id, result);
      return result;
    },
    findHardware: search.findAll,
    smallestSet: search.smallestSet,
  };
}

/** The EstimateInput that a scenario was saved with. */
function scenarioInput(scenario: ScenarioRow, catalogue: Catalogue): EstimateInput {
  const model = catalogue.models.byId.get(scenario.modelId);
  const quantFormat = catalogue.quantFormats.byId.get(scenario.quantFormatId);
  if (!model || !quantFormat) throw new Error(`scenario ${scenario.slug} refers to rows that are not in its snapshot`);
  return {
    ...scenario.settings,
    model: { slug: model.slug },
    quant: quantFormat.slug,
    context: scenario.context,
    sequences: scenario.sequences,
  };
}

function describeEstimate(
  request: EstimateRequest,
  memory: MemoryEstimate,
  gpus: readonly GpuRow[],
  runtime: string,
  catalogVersion: number,
): EstimateModel {
  return {
    request,
    runtime,
    total: memory.total,
    weights: {
      size: memory.weights.bytes,
      parameters: memory.weights.parameters,
      activeParameters: memory.weights.activeParameters,
      bitsPerWeight: memory.weights.bitsPerWeight,
      basis: request.scheme.kind === "average" ? "BITS_PER_WEIGHT" : "TENSOR_TYPES",
      byTensorType: memory.weights.byTensorType.map(({ bytes, ...share }) => ({ ...share, size: bytes })),
      byRole: memory.weights.byRole.map(({ bytes, ...share }) => ({ ...share, size: bytes })),
    },
    kvCache: {
      size: memory.kvCache.bytes,
      bytesPerToken: memory.kvCache.bytesPerToken,
      layers: memory.kvCache.groups.map(({ bytes, ...group }) => ({ ...group, size: bytes })),
    },
    compute: memory.compute,
    overhead: memory.overhead,
    devices: memory.devices.map((device) => describeDeviceMemory(device, gpus[device.index] ?? null)),
    host: memory.host,
    fits: memory.fits,
    get maxContext() {
      return memory.maxContextTokens;
    },
    // No measurement backs this estimate yet, so its interval is the estimate itself.
    accuracy: { measurements: 0, medianError: null, p95Error: null, low: memory.total, high: memory.total },
    get steps() {
      return memory.steps;
    },
    warnings: memory.warnings,
    catalogVersion,
  };
}

/** One device's memory with the catalogue's card. */
export function describeDeviceMemory(memory: DeviceMemory, gpu: GpuRow | null): DeviceEstimateModel {
  const { capacityBytes } = memory.device;
  return {
    index: memory.index,
    gpu,
    weights: memory.weights,
    kvCache: memory.kvCache,
    compute: memory.compute,
    overhead: memory.overhead,
    total: memory.total,
    capacity: capacityBytes,
    free: capacityBytes === null ? null : capacityBytes - memory.total,
    layers: memory.layers,
  };
}
