import type { Architecture, TensorRole } from "./architecture/architecture.js";
import type { Consumer, ExtraConsumers } from "./consumers/consumers.types.js";
import type { ParallelPlan } from "./placement/parallel-plans.js";
import type { QuantScheme } from "./quantization/scheme.js";
import type { ExllamaConstants, ExllamaSettings } from "./runtimes/exllama/exllama.types.js";
import type { MlxConstants, MlxSettings } from "./runtimes/mlx/mlx.types.js";
import type { SglangConstants, SglangSettings } from "./runtimes/sglang/sglang.types.js";
import type { TensorrtLlmConstants, TensorrtLlmSettings } from "./runtimes/tensorrt-llm/tensorrt-llm.types.js";
import type { TransformersConstants, TransformersSettings } from "./runtimes/transformers/transformers.types.js";
import type { VllmConstants, VllmSettings } from "./runtimes/vllm/vllm.types.js";

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
  /** The machine's memory beside its devices; without limit if absent. */
  hostMemory?: HostMemory;
  /** What else takes memory there: adapters, a draft model, towers, a display. */
  extras?: ExtraConsumers;
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
  /** NVIDIA's compute capability, e.g. 9 or 12.1: engines choose kernels by it. */
  computeCapability?: number;
}

/** Memory of a machine for what does not go to its devices. */
export interface HostMemory {
  capacityBytes: number;
  /** The devices take theirs out of the same memory. */
  sharedWithDevices: boolean;
}

/** An engine, its settings, and the constants of its version: data of the catalogue's Runtime row. */
export type RuntimeRequest =
  | { kind: "llama-cpp"; settings: LlamaCppSettings }
  | { kind: "vllm"; settings: VllmSettings; constants: VllmConstants }
  | { kind: "sglang"; settings: SglangSettings; constants: SglangConstants }
  | { kind: "tensorrt-llm"; settings: TensorrtLlmSettings; constants: TensorrtLlmConstants }
  | { kind: "transformers"; settings: TransformersSettings; constants: TransformersConstants }
  | { kind: "mlx"; settings: MlxSettings; constants: MlxConstants }
  | { kind: "exllama"; settings: ExllamaSettings; constants: ExllamaConstants }
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
  tensorSplit?: readonly number[];
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
  /** What consumers beside the model take here; 0 if absent. Part of `total`. */
  extras?: number;
  total: number;
  /** Whole layers placed here, the output layer not counted. */
  layers: number;
  /**
   * Most that `total` may be here, where the runtime keeps to a budget of its own; the device's capacity less its
   * reserve if absent. Null where the capacity is not known.
   */
  limitBytes?: number | null;
}

/** Cache that an engine makes of the memory its weights and activations leave, on devices of known capacity. */
export interface CachePool {
  /** Bytes on one device; on the one with the least where they differ. */
  bytesPerDevice: number;
  /** Tokens it holds, all sequences together, as the engine prints them. */
  tokens: number;
  /** Tokens of one block or page. */
  blockTokens: number;
  /** Sequences of the asked context it holds at once. */
  maxConcurrency: number;
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
  | "KERNEL_MISSING"
  | "KERNEL_FALLBACK"
  | "CONTEXT_PADDED"
  | "MICROBATCH_ABOVE_CONTEXT"
  | "NO_DEVICE_CAPACITY"
  | "DEVICES_UNUSED"
  | "HOST_MEMORY_SHORT"
  | "SETTING_IGNORED"
  | "RULE_UNCERTAIN";

/** Memory of one model on one runtime, device by device. */
export interface MemoryEstimate {
  /** What was estimated: under a split that was searched, with that split and its devices. */
  request: EstimateRequest;
  weights: WeightsBreakdown;
  kvCache: { bytes: number; bytesPerToken: number; groups: KvCacheLayerGroup[] };
  devices: DeviceMemory[];
  host: { weights: number; kvCache: number; compute: number; total: number };
  /** Sums over devices. */
  compute: number;
  overhead: number;
  total: number;
  pool: CachePool | null;
  /** What takes memory beside the model, as asked for. */
  consumers: Consumer[];
  /** How a serving engine splits the model; null in other runtimes. */
  plan: ParallelPlan | null;
  fits: boolean | null;
  /** Bytes left on the device nearest to full, negative where it is short; null where a capacity is not known. */
  spareBytes: number | null;
  /** Bytes left of the host's memory, negative where it is short; null where its size is not known. */
  spareHostBytes: number | null;
  /** Most tokens a sequence can have, all else as asked; null where a capacity is not known. */
  maxContextTokens: number | null;
  /**
   * Most sequences of the asked context at once, all else as asked: what memory allows, or the engine's own limit where
   * that is lower; null where a capacity is not known.
   */
  maxSequences: number | null;
  steps: CalculationStep[];
  warnings: EstimateWarning[];
}
