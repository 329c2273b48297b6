import type { ActivationConstants, GraphConstants } from "../serving/activation-peak.js";

/** SGLang's switches; what is absent takes the version's default. */
export interface SglangSettings {
  tensorParallel: number;
  pipelineParallel: number;
  expertParallel: boolean;
  /** Attention runs data-parallel over the tensor-parallel devices (`--enable-dp-attention`). */
  dataParallelAttention: boolean;
  /** Share of a device's memory for weights and cache; computed from the rest if absent. */
  memFractionStatic?: number;
  chunkedPrefillSize?: number;
  cudaGraphMaxBatch?: number;
}

/** Chunk and graph sizes of cards with less memory than `belowGib`. */
export interface SglangSizeClass {
  belowGib: number;
  chunkedPrefillTokens: number;
  cudaGraphMaxSequences: number;
  cudaGraphMaxSequencesFromTp4?: number;
}

/** Constants of one version, from the catalogue's Runtime row; see `readSglangConstants`. */
export interface SglangConstants {
  /** What is kept free of weights and cache, in MiB: a sum over these. */
  reservedBaseMib: number;
  reservedMibPerChunkToken: number;
  minimumChunkTokens: number;
  reservedMibPerGraphSequence: number;
  reservedMibPerEightGpus: number;
  dataParallelAttentionMibPerGraphSequence: number;
  dataParallelAttentionExtraMibPerGraphSequenceAbove300: number;
  reservedMinimumMibAbove60Gib: number;
  /** Decimals that the fraction is rounded to. */
  memFractionRounding: number;
  memFractionWithoutReading: number;
  /** By memory, smallest first; the last also holds above. */
  defaultsByMemory: SglangSizeClass[];
  /** Fractions of versions that took them from the number of devices instead; empty in others. */
  memFractionByTensorParallel: { fromTensorParallel: number; fraction: number }[];
  vocabularyPadding: number;
  largeDeviceFromGib: number;
  contextGib: number;
  /** Communicators of a tensor-parallel group, by size of card. */
  communicationGib: { large: number; small: number };
  activation: ActivationConstants;
  cudaGraphs: GraphConstants;
  pageTokens: number;
  /** Tokens that window layers keep per token of full layers. */
  slidingWindowRatio: number;
  /** Pool of recurrent states over that of keys and values. */
  recurrentShareOfCache: number;
  recurrentStateBytes: number;
  indexKeysInEveryLayer: boolean;
  /** Towers that every device holds whole, by the checkpoint's model type. */
  wholeEncoders: string[];
  /** Routed experts of the models whose shared expert is cloned into them, once per device. */
  clonedSharedExperts?: number;
  /** Bytes of a cosine or sine in rotary tables, and how much longer tables with sections are. */
  rotaryTables: { valueBytes: number; sectionedStretch: number };
}
