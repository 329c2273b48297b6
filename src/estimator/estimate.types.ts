import type { Architecture, TensorRole } from "./architecture/architecture.js";
import type { QuantScheme } from "./quantization/scheme.js";

/** Everything the estimator needs, as numbers and plain data. All sizes are bytes. */
export interface EstimateRequest {
  architecture: Architecture;
  scheme: QuantScheme;
  /** Tokens kept per sequence. */
  contextTokens: number;
  sequences: number;
  /** How K and V entries are stored; the runtime's default if absent, V follows K. */
  cacheTypeK?: CacheType;
  cacheTypeV?: CacheType;
  runtime: RuntimeRequest;
  /** Devices to lay the model out on, in order; one device without limit if absent. */
  devices?: Device[];
}

/** Storage of one K or V entry: `blockBytes` for each `blockElements` values. */
export interface CacheType {
  slug: string;
  blockElements: number;
  blockBytes: number;
}

export interface Device {
  /** Slug of the card. */
  name: string;
  /** Bytes one process can allocate; null for a device without limit. */
  capacityBytes: number | null;
  /**
   * Bytes of the capacity that the driver holds for one process (context, kernels), whatever is loaded: not part
   * of any total, but not free either. 0 if absent.
   */
  reserveBytes?: number;
}

export type RuntimeRequest =
  | { kind: "llama-cpp"; settings: LlamaCppSettings }
  | { kind: "rule-of-thumb"; overhead: number };

/** llama.cpp's own switches; see the GraphQL input LlamaCppInput for their meaning. */
export interface LlamaCppSettings {
  ubatchSize: number;
  batchSize: number;
  flashAttention: boolean;
  /** Logit rows reserved; one per sequence if absent, as llama-server does. */
  outputRows?: number;
  kvUnified: boolean;
  swaFull: boolean;
  /** Layers on devices, the output layer counted as one; all if absent. */
  gpuLayers?: number;
  /** Layers whose routed experts stay in host memory, counted from the first. */
  cpuMoeLayers: number;
  splitMode: "NONE" | "LAYER" | "ROW";
  /** Share of each device; proportional to free memory if absent (`--tensor-split`). */
  tensorSplit?: number[];
  /** Caches follow their layers onto devices; false keeps them in host memory (`--no-kv-offload`). True if absent. */
  kvOffload?: boolean;
}

export type KvCacheKind =
  | "FULL"
  | "SLIDING_WINDOW"
  | "CHUNKED"
  | "LATENT"
  | "INDEXER"
  | "COMPRESSED"
  | "RECURRENT"
  | "SHARED";

export interface KvCacheLayerGroup {
  kind: KvCacheKind;
  layers: number;
  /** Entries a layer of the group allocates, over all sequences. */
  cells: number;
  bytes: number;
}

export interface MemoryParts {
  weights: number;
  kvCache: number;
  compute: number;
  overhead: number;
}

export interface DeviceMemory extends MemoryParts {
  index: number;
  device: Device;
  total: number;
  /** Whole layers placed here, the output layer not counted. */
  layers: number;
}

export interface WeightsBreakdown {
  bytes: number;
  parameters: number;
  activeParameters: number;
  bitsPerWeight: number;
  byTensorType: { type: string; tensors: number; bytes: number }[];
  byRole: { role: TensorRole; parameters: number; bytes: number }[];
}

export interface CalculationStep {
  title: string;
  formula: string;
  result: string;
  source: string | null;
}

export interface EstimateWarning {
  code: EstimateWarningCode;
  message: string;
}
export type EstimateWarningCode =
  | "CONTEXT_ABOVE_TRAINED"
  | "QUANT_FORMAT_NOT_LOADABLE"
  | "CONTEXT_PADDED"
  | "MICROBATCH_ABOVE_CONTEXT"
  | "NO_DEVICE_CAPACITY";

/** Memory of one model on one runtime, device by device. */
export interface MemoryEstimate {
  weights: WeightsBreakdown;
  kvCache: { bytes: number; bytesPerToken: number; groups: KvCacheLayerGroup[] };
  devices: DeviceMemory[];
  host: { weights: number; kvCache: number; compute: number; total: number };
  /** Sums over devices. */
  compute: number;
  overhead: number;
  total: number;
  fits: boolean | null;
  maxContextTokens: number | null;
  steps: CalculationStep[];
  warnings: EstimateWarning[];
}
