import type {
  GpuRow,
  MeasurementRow,
  ModelFileRow,
  ModelRow,
  QuantFormatRow,
  ScenarioRow,
  SystemRow,
} from "../../data/rows.js";
import type { TensorRole } from "../../estimator/architecture/architecture.js";
import type { ConsumerKind } from "../../estimator/consumers/consumers.types.js";
import type {
  CalculationStep,
  EstimateRequest,
  EstimateWarning,
  KvCacheKind,
  MemoryEstimate,
} from "../../estimator/estimate.types.js";
import type { OffloadKind } from "../../estimator/fit/offload.js";
import type { HardwareFindings, HardwareSelection, HardwareSet } from "./hardware-selection.js";
import type { ResolvedRequest } from "./request.js";
import type { SpeedRun } from "./speed.js";

/** Where in a field's arguments a value stands, list indices as decimal strings: `["inputs", "1", "quant"]`. */
export type ArgumentPath = readonly string[];

/** Names a model; exactly one key is set. `id` is a global id, `huggingFaceConfig` an object or its text. */
export interface ModelRef {
  id?: string | null | undefined;
  slug?: string | null | undefined;
  huggingFaceConfig?: unknown;
}

/** The schema's LlamaCppInput with its defaults filled in. */
export interface LlamaCppInput {
  ubatchSize: number;
  batchSize: number;
  flashAttention: boolean;
  outputRows?: number | null | undefined;
  kvUnified: boolean;
  swaFull: boolean;
  gpuLayers?: number | null | undefined;
  cpuMoeLayers: number;
  splitMode: "NONE" | "LAYER" | "ROW";
  tensorSplit?: readonly number[] | null | undefined;
}

/** Settings of an engine whose constants change from version to version; the newest one described if absent. */
export interface VersionedInput {
  version?: string | null | undefined;
}

/** How a serving engine splits a model over devices. */
export interface ParallelInput extends VersionedInput {
  tensorParallel: number;
  pipelineParallel: number;
  expertParallel: boolean;
}

/** The schema's VllmInput with its defaults filled in; the same for the inputs below. */
export interface VllmInput extends ParallelInput {
  gpuMemoryUtilization?: number | null | undefined;
  maxNumBatchedTokens?: number | null | undefined;
  maxNumSeqs?: number | null | undefined;
  enforceEager: boolean;
}

export interface SglangInput extends ParallelInput {
  dataParallelAttention: boolean;
  memFractionStatic?: number | null | undefined;
  chunkedPrefillSize?: number | null | undefined;
  cudaGraphMaxBatch?: number | null | undefined;
}

export interface TensorrtLlmInput extends ParallelInput {
  freeGpuMemoryFraction?: number | null | undefined;
  maxNumTokens?: number | null | undefined;
  maxBatchSize?: number | null | undefined;
}

export interface TransformersInput extends VersionedInput {
  prefillTokens?: number | null | undefined;
  attention: "EAGER" | "SDPA" | "FLASH_ATTENTION_2";
}

export interface MlxInput extends VersionedInput {
  prefillStepSize?: number | null | undefined;
}

export interface ExllamaInput extends VersionedInput {
  chunkSize?: number | null | undefined;
}

/** Exactly one key is set. */
export interface RuntimeInput {
  llamaCpp?: LlamaCppInput | null | undefined;
  vllm?: VllmInput | null | undefined;
  sglang?: SglangInput | null | undefined;
  tensorrtLlm?: TensorrtLlmInput | null | undefined;
  transformers?: TransformersInput | null | undefined;
  mlx?: MlxInput | null | undefined;
  exllama?: ExllamaInput | null | undefined;
  ruleOfThumb?: { overhead: number } | null | undefined;
}

/** Exactly one key is set; both hold slugs. */
export interface HardwareInput {
  gpus?: readonly { gpu: string; count: number }[] | null | undefined;
  system?: string | null | undefined;
}

/** What takes memory beside the model; see the estimator's ExtraConsumers. */
export interface ExtrasInput {
  lora?:
    | {
        rank: number;
        adapters: number;
        matrices: "QUERY_VALUE" | "ATTENTION" | "DENSE" | "ALL_LINEAR";
        bytesPerValue: number;
      }
    | null
    | undefined;
  draftModel?: { model: ModelRef; quant: string; context?: number | null | undefined } | null | undefined;
  predictionHead?: { draftTokens: number } | null | undefined;
  vision?: { storage: "F16" | "BF16" | "Q8_0" | "F32"; flashAttention: boolean } | null | undefined;
  displayReserveMib: number;
}

/** The schema's EstimateInput with its defaults filled in. */
export interface EstimateInput {
  model: ModelRef;
  quant: string;
  file?: string | null | undefined;
  context: number;
  sequences: number;
  cacheTypeK?: string | null | undefined;
  cacheTypeV?: string | null | undefined;
  runtime?: RuntimeInput | null | undefined;
  hardware?: HardwareInput | null | undefined;
  extras?: ExtrasInput | null | undefined;
}

/** How the weights are known, best first. */
export type WeightsBasis = "PUBLISHED_FILE" | "TENSOR_TYPES" | "BITS_PER_WEIGHT";

/** What the schema's Estimate is resolved from: its fields as plain properties, every size a number of bytes. */
export interface EstimateModel {
  /** What was estimated, kept for the search of hardware with the same settings. */
  request: EstimateRequest;
  /** The catalogue's row of the model; null for a pasted config. */
  model: ModelRow | null;
  /** Card of each device; empty when no hardware was given. */
  gpus: readonly GpuRow[];
  /** The system that was named as hardware; null for cards. */
  system: SystemRow | null;
  /** Slug of the runtime it was estimated for. */
  runtime: string;
  /** What its speed is computed from. */
  speedRun: SpeedRun & { memory: MemoryEstimate };
  total: number;
  weights: {
    size: number;
    parameters: number;
    activeParameters: number;
    bitsPerWeight: number;
    basis: WeightsBasis;
    file: ModelFileRow | null;
    fileSize: number | null;
    byTensorType: readonly { type: string; tensors: number; size: number }[];
    byRole: readonly { role: TensorRole; parameters: number; size: number }[];
  };
  kvCache: {
    size: number;
    bytesPerToken: number;
    layers: readonly { kind: KvCacheKind; layers: number; cells: number; size: number }[];
  };
  compute: number;
  overhead: number;
  extras: readonly { kind: ConsumerKind; size: number; host: number }[];
  pool: { perDevice: number; tokens: number; blockTokens: number; maxConcurrency: number } | null;
  devices: readonly DeviceEstimateModel[];
  host: HostMemoryModel;
  /** How the devices share the model; null when no hardware was given. */
  plan: ParallelPlanModel | null;
  fits: boolean | null;
  maxContext: number | null;
  maxSequences: number | null;
  accuracy: EstimateAccuracyModel;
  steps: readonly CalculationStep[];
  warnings: readonly EstimateWarning[];
  catalogVersion: number;
}

/** Memory of the host, bytes. */
export interface HostMemoryModel {
  weights: number;
  kvCache: number;
  compute: number;
  total: number;
}

export interface DeviceEstimateModel {
  index: number;
  gpu: GpuRow | null;
  weights: number;
  kvCache: number;
  compute: number;
  overhead: number;
  extras: number;
  total: number;
  capacity: number | null;
  free: number | null;
  layers: number;
}

/** Errors are relative (0.01 = 1%), `low` and `high` bytes. */
export interface EstimateAccuracyModel {
  measurements: number;
  medianError: number | null;
  p95Error: number | null;
  low: number;
  high: number;
}

/** How a model is split over devices, and what to tell the runtime for it. */
export interface ParallelPlanModel {
  kind: "LAYER_SPLIT" | "TENSOR_PIPELINE";
  tensor: number;
  pipeline: number;
  expertParallel: boolean;
  layersPerDevice: readonly number[];
  /** Null where all layers are on devices, and in runtimes that have no such setting. */
  gpuLayers: number | null;
  cpuMoeLayers: number;
  /** Null where equal shares are the runtime's own. */
  tensorSplit: readonly number[] | null;
}

/** A set of equal cards, or systems of the catalogue, that an estimate fits on. Sizes are bytes. */
export interface HardwareFitModel extends HardwareSet {
  /** The estimate on it, its `request` with the devices and the split. */
  readonly memory: MemoryEstimate;
  readonly plan: ParallelPlanModel;
  readonly devices: readonly DeviceEstimateModel[];
  readonly host: HostMemoryModel;
  readonly offload: OffloadKind;
  readonly headroom: number;
  readonly maxContext: number;
  readonly maxSequences: number;
  readonly warnings: readonly EstimateWarning[];
}

/** The format in which a model fits best; `headroom` is bytes on the fullest device. */
export interface BestQuantFormatModel {
  quantFormat: QuantFormatRow;
  headroom: number;
  estimate: EstimateModel;
}

/** One of several estimates that could not be made; `field` is the path of the argument at fault. */
export interface EstimateFailureModel {
  code: string;
  message: string;
  field: ArgumentPath;
}

/** Computes estimates over one version of the catalogue. */
export interface EstimationService {
  /**
   * @param path where `input` stands in the arguments; errors name the value at fault below it
   * @throws BadUserInputError for an input that cannot be estimated
   */
  estimate(input: EstimateInput, path: ArgumentPath): EstimateModel;
  /**
   * @throws EstimateError for what the runtime refuses
   * @throws QuantizationError for a model that cannot be stored in the format
   */
  estimateResolved(resolved: ResolvedRequest): EstimateModel;
  /** The estimate of a saved scenario, computed once per catalogue version. */
  estimateScenario(scenario: ScenarioRow): EstimateModel;
  /** The estimate of a measured run; null where it cannot be made. Its interval leaves the measurement itself out. */
  estimateMeasurement(measurement: MeasurementRow): EstimateModel | null;
  /**
   * Hardware of the catalogue that holds the estimate (archived rows left out): for each card the smallest set of equal
   * ones that does, every system as it is, and for serving engines the fewest of a system where one is not enough.
   *
   * @param selection what is looked at; everything if absent
   */
  findHardware(estimate: EstimateModel, selection?: HardwareSelection): HardwareFindings;
  /** The smallest set of one card that holds the estimate, up to `MAX_CARDS_OF_A_KIND`; null when none does. */
  smallestSet(estimate: EstimateModel, gpu: GpuRow): HardwareFitModel | null;
  /** The format of the best quality in which the model fits on the estimate's hardware; null without hardware. */
  bestFormat(estimate: EstimateModel): BestQuantFormatModel | null;
}
