import { readActivationConstants, readGraphConstants } from "../serving/activation-peak.js";
import { type ConstantReader, type Engine, readConstants } from "../version-constants.js";
import type { BatchDefaults, VllmConstants } from "./vllm.types.js";

const VLLM: Engine = { name: "vLLM", packages: ["vllm"] };

/**
 * The constants that held in a version of vLLM, from the `constants` of the catalogue's Runtime row; the row's own when
 * no version is asked.
 *
 * @throws EstimateError at `["runtime", "version"]` with the known versions for an unknown one, and at `["runtime"]`
 * for a row that lacks a constant.
 */
export function readVllmConstants(constants: unknown, version?: string): VllmConstants {
  const row = readConstants(VLLM, constants, version);
  const large = row.object("largeDevice");
  const context = row.object("contextGib");
  const nonTorch = row.object("forwardNonTorchGib");
  const rotary = row.object("rotaryTables");
  const graphs = row.object("cudaGraphs");
  return {
    ...readBatchDefaults(row),
    gpuMemoryUtilization: row.share("gpuMemoryUtilization"),
    blockSizeTokens: row.count("blockSizeTokens"),
    largeDevice: {
      ...readBatchDefaults(large),
      fromGib: large.number("fromGib"),
      exceptNamed: large.texts("exceptNamed"),
    },
    chunkedPrefill: row.flag("chunkedPrefill"),
    vocabularyPadding: row.count("vocabularyPadding"),
    expertKernels: row.list("expertKernels").map((entry) => ({
      name: entry.text("name"),
      fromCapability: entry.number("fromCapability"),
      width: entry.count("width"),
      inputWidth: entry.count("inputWidth"),
    })),
    defaultExpertKernel: row.text("defaultExpertKernel"),
    wholeEncoders: row.texts("wholeEncoders"),
    wholePlainEncoders: row.texts("wholePlainEncoders"),
    rotaryTables: { valueBytes: rotary.count("valueBytes"), sectionedStretch: rotary.count("sectionedStretch") },
    contextGib: { oneGpu: context.number("oneGpu"), severalGpus: context.number("severalGpus") },
    forwardNonTorchGib: {
      oneGpu: nonTorch.number("oneGpu"),
      tensorParallel: nonTorch.number("tensorParallel"),
      tensorParallelSmall: nonTorch.number("tensorParallelSmall"),
      pipelineOnly: nonTorch.number("pipelineOnly"),
    },
    activation: readActivationConstants(row.object("activation")),
    cudaGraphs: {
      ...readGraphConstants(graphs),
      largestBatch: graphs.count("largestBatch"),
      insideBudget: graphs.flag("insideBudget"),
    },
    printedTokens: row.choice("printedTokens", ["blocks", "concurrency"]),
    slidingWindowGroups: row.flag("slidingWindowGroups"),
    groupStretch: row.number("groupStretch"),
    recurrentBlocksPerSequence: row.count("recurrentBlocksPerSequence"),
    recurrentStateBytes: row.count("recurrentStateBytes"),
  };
}

function readBatchDefaults(row: ConstantReader): BatchDefaults {
  return { maxNumBatchedTokens: row.count("maxNumBatchedTokens"), maxNumSequences: row.count("maxNumSequences") };
}
