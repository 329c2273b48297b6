import { readActivationConstants, readGraphConstants } from "../serving/activation-peak.js";
import { type ConstantReader, type Engine, readConstants } from "../version-constants.js";
import type { SglangConstants, SglangSizeClass } from "./sglang.types.js";

const SGLANG: Engine = { name: "SGLang", packages: ["sglang"] };

/**
 * The constants that held in a version of SGLang, from the `constants` of the catalogue's Runtime row; the row's own
 * when no version is asked.
 *
 * @throws EstimateError at `["runtime", "version"]` with the known versions for an unknown one, and at `["runtime"]`
 * for a row that lacks a constant.
 */
export function readSglangConstants(constants: unknown, version?: string): SglangConstants {
  const row = readConstants(SGLANG, constants, version);
  const communication = row.object("communicationGib");
  const rotary = row.object("rotaryTables");
  return {
    reservedBaseMib: row.number("reservedBaseMib"),
    reservedMibPerChunkToken: row.number("reservedMibPerChunkToken"),
    minimumChunkTokens: row.count("minimumChunkTokens"),
    reservedMibPerGraphSequence: row.number("reservedMibPerGraphSequence"),
    reservedMibPerEightGpus: row.number("reservedMibPerEightGpus"),
    dataParallelAttentionMibPerGraphSequence: row.number("dataParallelAttentionMibPerGraphSequence"),
    dataParallelAttentionExtraMibPerGraphSequenceAbove300: row.number(
      "dataParallelAttentionExtraMibPerGraphSequenceAbove300",
    ),
    reservedMinimumMibAbove60Gib: row.number("reservedMinimumMibAbove60Gib"),
    memFractionRounding: row.count("memFractionRounding"),
    memFractionWithoutReading: row.share("memFractionWithoutReading"),
    defaultsByMemory: row.list("defaultsByMemory").map(readSizeClass),
    memFractionByTensorParallel: row.list("memFractionByTensorParallel").map((entry) => ({
      fromTensorParallel: entry.count("fromTensorParallel"),
      fraction: entry.share("fraction"),
    })),
    vocabularyPadding: row.count("vocabularyPadding"),
    largeDeviceFromGib: row.number("largeDeviceFromGib"),
    contextGib: row.number("contextGib"),
    communicationGib: { large: communication.number("large"), small: communication.number("small") },
    activation: readActivationConstants(row.object("activation")),
    cudaGraphs: readGraphConstants(row.object("cudaGraphs")),
    pageTokens: row.count("pageTokens"),
    slidingWindowRatio: row.share("slidingWindowRatio"),
    recurrentShareOfCache: row.number("recurrentShareOfCache"),
    recurrentStateBytes: row.count("recurrentStateBytes"),
    indexKeysInEveryLayer: row.flag("indexKeysInEveryLayer"),
    wholeEncoders: row.texts("wholeEncoders"),
    ...(row.has("clonedSharedExperts") && { clonedSharedExperts: row.count("clonedSharedExperts") }),
    rotaryTables: { valueBytes: rotary.count("valueBytes"), sectionedStretch: rotary.count("sectionedStretch") },
  };
}

function readSizeClass(entry: ConstantReader): SglangSizeClass {
  return {
    belowGib: entry.number("belowGib"),
    chunkedPrefillTokens: entry.count("chunkedPrefillTokens"),
    cudaGraphMaxSequences: entry.count("cudaGraphMaxSequences"),
    ...(entry.has("cudaGraphMaxSequencesFromTp4")
      ? { cudaGraphMaxSequencesFromTp4: entry.count("cudaGraphMaxSequencesFromTp4") }
      : {}),
  };
}
