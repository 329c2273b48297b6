import type { CalculationStep } from "../estimate.types.js";

/**
 * How weights are stored, as far as the speed of kernels depends on it.
 * `half`: 16 bits and more. `fp8`: floating point of 8 bits. `int8`: other storage of about 8 bits, unpacked on the
 * way. `fourBit`: everything smaller.
 */
export type StorageClass = "half" | "fp8" | "int8" | "fourBit";

/** A card as far as speed depends on it: figures of its data sheet, null where not known. */
export interface SpeedCard {
  name: string;
  vendor: string;
  /** Chip generation, "Hopper". */
  architecture: string;
  /** "DATACENTER", "WORKSTATION", "CONSUMER", "LAPTOP", "EDGE" or "UNIFIED". */
  gpuClass: string;
  /** "HBM2e", "GDDR6X", "LPDDR5X". */
  memoryType: string;
  /** GB/s, 10^9 bytes. */
  bandwidthGbPerSecond: number | null;
  /** Dense peaks, 10^12 operations a second. */
  fp16Tflops: number | null;
  fp32Tflops: number | null;
  fp8Tflops: number | null;
  fp4Tflops: number | null;
  /** Fast link between cards, GB/s both directions together; null where cards talk over PCIe. */
  linkGbPerSecond: number | null;
  /** Cards that the fast link joins. */
  linkedCards: number;
  /** GB/s in one direction over PCIe; null where not known. */
  pcieGbPerSecond: number | null;
}

/** Shares of a card's data sheet that an engine reaches with one storage class, and how it launches its kernels. */
export interface StorageConstants {
  /** Share of the bandwidth at which weights are read in decoding. */
  bandwidth: number;
  /** Share of the peak that matrix products over many tokens reach. */
  compute: number;
  /** Launches take so many times the engine's `operationUs`. */
  launch: number;
  /** Rows that a matrix kernel computes even for one token. */
  tileRows: number;
}

/** Cards that behave alike, and what to multiply an engine's constants by on them. */
export interface CardFamily {
  name: string;
  vendors?: string[];
  architectures?: string[];
  /** End of the architecture's name, "Ultra". */
  architectureSuffix?: string;
  classes?: string[];
  /** Beginning of the memory's type, "HBM". */
  memory?: string;
  bandwidth: number;
  compute: number;
  launch: number;
  cache: number;
}

/**
 * How fast an engine is beside what the card could do: data of the Runtime row, fitted to measurements
 * (`npm run fit-speed`).
 */
export interface SpeedConstants {
  /** What the figures rest on, in words. */
  basis: string;
  /** Peaks below 16 bits that the engine's kernels use where the card has them. */
  nativePeaks: readonly ("fp8" | "fp4")[];
  /** Kernels are launched while earlier ones run: a step takes the longer of both, else their sum. */
  launchOverlaps: boolean;
  /** Fixed time of a step, microseconds. */
  stepUs: number;
  /** Launch of one operation and the gap after it, microseconds. */
  operationUs: number;
  /** Added for each routed expert of a layer that is run one after another, microseconds. */
  expertUs: number;
  storage: Readonly<Record<StorageClass, StorageConstants>>;
  /** Share of the bandwidth at which the cache is read. */
  cacheBandwidth: number;
  /** Times that the result of each matrix is written or read again by operations in between. */
  activationPasses: number;
  /** Bytes moved per attention score where a kernel stores them; 0 where none does. */
  scoreBytes: number;
  /** Share of the peak that attention over a prompt reaches. */
  attentionCompute: number;
  /** Sum over devices after a split matrix: latency, microseconds. */
  reduceUs: { linked: number; pcie: number };
  /** Handing the residual to the next device, microseconds. */
  handoverUs: number;
  /** First match holds. */
  families: readonly CardFamily[];
}

/** What to answer for. */
export interface SpeedSettings {
  /** Tokens that a sequence has behind it when the next is decoded. */
  depthTokens: number;
  /** Tokens of the prompt. */
  promptTokens: number;
  /** Bandwidth of host memory, GB/s. */
  hostGbPerSecond: number;
}

/** What bounds decoding most. */
export type SpeedLimit = "BANDWIDTH" | "COMPUTE" | "INTERCONNECT" | "HOST_BANDWIDTH" | "LAUNCH";

/** Speed of one model on devices. Rates are tokens per second. */
export interface SpeedEstimate {
  /** Decoding, one sequence of those that run. */
  decode: number;
  /** Decoding, all sequences together. */
  throughput: number;
  /** Reading a prompt of one sequence; null where a card's peak is not known. */
  readonly prefill: number | null;
  /** From the prompt to the first token of the answer, seconds; null as `prefill`. */
  readonly timeToFirstToken: number | null;
  limit: SpeedLimit;
  /** Bytes read or written for one decoded token, all devices together: those of a step over its tokens. */
  bytesPerToken: number;
  /** Floating-point operations of one decoded token. */
  flopsPerToken: number;
  /** Card family of the slowest device, by the engine's own names; null where none matches. */
  family: string | null;
  readonly steps: CalculationStep[];
}
