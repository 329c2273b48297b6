import type { CalculationStep, EstimateRequest } from "../estimate.types.js";
import type { MemoryLayout } from "../runtimes/memory-layout.js";

/** What else may take device memory beside the model itself. Everything is optional. */
export interface ExtraConsumers {
  lora?: LoraAdapters;
  draftModel?: DraftModel;
  predictionHead?: PredictionHead;
  vision?: VisionEncoder;
  /** Bytes that a display and its desktop hold on the first device. */
  displayReserveBytes?: number;
}

export interface LoraAdapters {
  /** Rank of the two factors of each matrix; the largest that is served where adapters differ. */
  rank: number;
  /** Adapters held at once (llama.cpp: files given; vLLM: `max_loras`). */
  adapters: number;
  /**
   * Matrices that have factors: queries and values; all of attention; attention, recurrent mixers and dense networks;
   * or every linear layer, each routed expert included.
   */
  matrices: LoraMatrices;
  /** Bytes of one value of the factors: 4 in GGUF adapters of single precision, 2 in most others. */
  bytesPerValue: number;
  /**
   * Devices that share each matrix. A matrix cut by its outputs has its first factor whole on every device, one cut by
   * its inputs its second factor. As the model's own matrices if absent.
   */
  tensorParallel?: number;
}

export type LoraMatrices = "QUERY_VALUE" | "ATTENTION" | "DENSE" | "ALL_LINEAR";

/** A smaller model that guesses tokens ahead, with its own weights, cache and buffers on the same devices. */
export interface DraftModel {
  /** Its devices are those of the main request. */
  request: Omit<EstimateRequest, "devices">;
  /** It keeps as many tokens of as many sequences as the model itself, whatever its own request says. */
  followsModel?: boolean;
}

/** The model's own prediction blocks (MTP) used to guess tokens ahead. */
export interface PredictionHead {
  /** Tokens guessed ahead of each accepted one. */
  draftTokens: number;
}

/** The towers beside a multimodal model, with their projectors. */
export interface VisionEncoder {
  /** How their matrices are stored. */
  storage: "F16" | "BF16" | "Q8_0" | "F32";
  /** Shape of the tower and of the largest image, for its compute buffer; a measured typical buffer if absent. */
  tower?: VisionTower;
  /** Attention without the scores in memory; true if absent. */
  flashAttention?: boolean;
}

export interface VisionTower {
  hiddenSize: number;
  feedForwardSize: number;
  heads: number;
  /** Patches of the largest image, before they are merged into tokens. */
  patches: number;
  patchSize: number;
}

export type ConsumerKind = "LORA" | "DRAFT_MODEL" | "PREDICTION_HEAD" | "VISION_ENCODER" | "DISPLAY";

/** What one consumer takes. All sizes are bytes. */
export interface Consumer {
  kind: ConsumerKind;
  bytesByDevice: number[];
  hostBytes: number;
  step: CalculationStep;
}

/** Where the model itself lies, and how another one would be laid out. */
export interface ConsumerPlace {
  /** Whole layers on each device, in order; layers on no device come first and are in host memory. */
  layersByDevice: readonly number[];
  /** Neighbouring devices that share each matrix; 1 if absent. */
  tensorParallel?: number;
  /** Lays a draft model out on the same devices. */
  layOut: (request: EstimateRequest) => MemoryLayout;
}
