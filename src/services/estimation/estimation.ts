import type { Catalogue } from "../../data/catalogue.js";
import type {
  GpuRow,
  MeasurementRow,
  ModelFileRow,
  ModelRow,
  RuntimeRow,
  ScenarioRow,
  SystemRow,
} from "../../data/rows.js";
import { BadUserInputError } from "../../errors.js";
import { estimate as estimateMemory } from "../../estimator/estimate.js";
import type { EstimateRequest, MemoryEstimate } from "../../estimator/estimate.types.js";
import { EstimateError } from "../../estimator/estimate-error.js";
import { QuantizationError } from "../../estimator/quantization/ggml-types.js";
import { ggufFileBytes, likelyTokenizer } from "../../estimator/quantization/gguf-file-size.js";
import { storeTensors } from "../../estimator/quantization/store-tensors.js";
import { findRow } from "../catalogue/relations.js";
import { classifyAttention } from "../catalogue/rules/model-columns.js";
import type { EvidenceService, Interval } from "../evidence/evidence.js";
import { findBestFormat } from "./best-format.js";
import { describeDeviceMemory, describePlan } from "./hardware-fits.js";
import { createHardwareSearch } from "./hardware-search.js";
import { inputPathOf } from "./input-path.js";
import { kernelWarnings } from "./kernels.js";
import { type ResolvedRequest, resolveRequest } from "./request.js";
import type { ArgumentPath, EstimateInput, EstimateModel, EstimationService } from "./types.js";

/** Builds the estimation service over one version of the catalogue. */
export function createEstimationService(catalogue: Catalogue, evidence: EvidenceService): EstimationService {
  const ofScenarios = new Map<string, EstimateModel>();
  const search = createHardwareSearch(catalogue);

  function estimate(input: EstimateInput, path: ArgumentPath): EstimateModel {
    try {
      return estimateResolved(resolveRequest(input, path, catalogue));
    } catch (error) {
      if (error instanceof EstimateError)
        throw new BadUserInputError(error.message, [...path, ...inputPathOf(error.path, input.runtime ?? {})]);
      if (error instanceof QuantizationError)
        throw new BadUserInputError(`The model cannot be stored in this format: ${error.message}.`, [...path, "quant"]);
      throw error;
    }
  }

  function estimateResolved(resolved: ResolvedRequest): EstimateModel {
    const { request, runtime } = resolved;
    const memory = estimateMemory(request);
    const interval = () => evidence.intervalOf(memory.total, runtime, classifyAttention(request.architecture));
    return describeEstimate(resolved, memory, interval, catalogue.version);
  }

  return {
    estimate,
    estimateResolved,
    estimateScenario(scenario) {
      const known = ofScenarios.get(scenario.id);
      if (known) return known;
      const result = estimate(scenarioInput(scenario, catalogue), []);
      ofScenarios.set(scenario.id, result);
      return result;
    },
    estimateMeasurement(measurement) {
      const { run, runtime, attention, gpu } = evidence.of(measurement);
      if (run === null || attention === null) return null;
      const { request } = run;
      const gpus = gpu === null ? [] : new Array<GpuRow>(run.estimate.devices.length).fill(gpu);
      const interval = () => evidence.intervalOf(run.estimate.total, runtime, attention, measurement);
      return describeEstimate(
        {
          request,
          model: findRow(catalogue.models, measurement.modelId),
          gpus,
          system: null,
          runtime,
          file: null,
          except: measurement,
        },
        run.estimate,
        interval,
        catalogue.version,
      );
    },
    findHardware: search.find,
    smallestSet: search.smallestSet,
    bestFormat: (estimate) => findBestFormat(estimate, catalogue, estimateResolved),
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

/** Bytes of the model's GGUF file; null where the format is another. */
function ggufFileSize({ architecture, scheme }: EstimateRequest): number | null {
  if (scheme.kind !== "ggml") return null;
  const stored = storeTensors(architecture, scheme);
  return ggufFileBytes(stored, likelyTokenizer(architecture));
}

/** What was estimated, with the catalogue's rows behind it. */
interface EstimatedRun {
  request: EstimateRequest;
  /** The model's row; null for a pasted config. */
  model: ModelRow | null;
  gpus: readonly GpuRow[];
  /** The system that was named as hardware. */
  system: SystemRow | null;
  runtime: RuntimeRow;
  file: ModelFileRow | null;
  /** The measurement it is the estimate of. */
  except?: MeasurementRow;
}

/** An estimate in the words of the API. */
function describeEstimate(
  run: EstimatedRun,
  memory: MemoryEstimate,
  intervalOf: () => Interval,
  catalogVersion: number,
): EstimateModel {
  const { request, model, gpus, system, runtime, file, except } = run;
  const { slug } = runtime;
  return {
    request,
    model,
    gpus,
    runtime: slug,
    speedRun: { memory, gpus, runtime: slug, ...(except && { except }) },
    system,
    total: memory.total,
    weights: {
      size: memory.weights.bytes,
      parameters: memory.weights.parameters,
      activeParameters: memory.weights.activeParameters,
      bitsPerWeight: memory.weights.bitsPerWeight,
      basis: file !== null ? "PUBLISHED_FILE" : request.scheme.kind === "average" ? "BITS_PER_WEIGHT" : "TENSOR_TYPES",
      file,
      get fileSize() {
        return file?.sizeBytes ?? ggufFileSize(request);
      },
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
    extras: memory.consumers.map(({ kind, bytesByDevice, hostBytes }) => ({
      kind,
      size: bytesByDevice.reduce((sum, bytes) => sum + bytes, 0),
      host: hostBytes,
    })),
    pool: memory.pool && { ...memory.pool, perDevice: memory.pool.bytesPerDevice },
    devices: memory.devices.map((device) => describeDeviceMemory(device, gpus[device.index] ?? null)),
    host: memory.host,
    plan: request.devices === undefined ? null : describePlan(memory),
    fits: memory.fits,
    get maxContext() {
      return memory.maxContextTokens;
    },
    get maxSequences() {
      return memory.maxSequences;
    },
    // Compares measurements on first use, which takes longer than the estimate.
    get accuracy() {
      return intervalOf();
    },
    get steps() {
      return memory.steps;
    },
    get warnings() {
      return [...memory.warnings, ...kernelWarnings(gpus, request, runtime)];
    },
    catalogVersion,
  };
}
