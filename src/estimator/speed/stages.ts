import type { DeviceMemory, EstimateRequest, MemoryEstimate, RuntimeRequest } from "../estimate.types.js";

/** A run of layers, and who computes them: devices of equal rank, or the host. */
export interface Stage {
  /** Index of its first device; null for the host. */
  device: number | null;
  /** Devices that share each of its layers. */
  devices: number;
  firstLayer: number;
  layers: number;
  /** The output matrix is computed here. */
  hasOutput: boolean;
}

/** How a model is laid out, as far as speed depends on it. */
export interface Layout {
  stages: readonly Stage[];
  /** Experts stay whole and are dealt to the devices of a stage. */
  expertParallel: boolean;
  /** Attention is whole on every device of a stage, which serves its own sequences. */
  wholeAttention: boolean;
  /** Layers, counted from the first, whose routed experts are in host memory. */
  hostExpertLayers: number;
  /** The cache is in host memory. */
  hostCache: boolean;
  /** Each stage works on a group of the sequences of its own. */
  overlapsSequences: boolean;
}

/** Of a memory estimate, where the layers are. */
export interface PlacedModel {
  plan: MemoryEstimate["plan"];
  devices: readonly Pick<DeviceMemory, "layers">[];
}

/** The stages of an estimate, in the order they run. */
export function layOutStages(request: EstimateRequest, memory: PlacedModel): Layout {
  const settings = request.runtime.kind === "llama-cpp" ? request.runtime.settings : null;
  const layout = {
    expertParallel: memory.plan?.expertParallel ?? false,
    wholeAttention: memory.plan?.wholeAttention ?? false,
    hostExpertLayers: settings?.cpuMoeLayers ?? 0,
    hostCache: settings?.kvOffload === false,
    overlapsSequences: memory.plan !== null,
  };
  const layerCount = request.architecture.layers.length;
  if (memory.plan !== null) {
    const { tensorParallel, pipelineParallel } = memory.plan;
    const counts = Array.from(
      { length: pipelineParallel },
      (_, stage) => memory.devices[stage * tensorParallel]?.layers ?? 0,
    );
    return { ...layout, stages: inOrder(counts, layerCount, tensorParallel, 0) };
  }
  const counts = memory.devices.map(({ layers }) => layers);
  const onDevices = counts.reduce((sum, layers) => sum + layers, 0);
  return { ...layout, stages: inOrder(counts, layerCount, 1, Math.max(0, layerCount - onDevices)) };
}

/** Host layers come first (llama.cpp offloads the last ones); prediction blocks that a device holds are not run. */
function inOrder(counts: readonly number[], layerCount: number, devices: number, hostLayers: number): Stage[] {
  const stages: Stage[] = [];
  let firstLayer = 0;
  const addStage = (device: number | null, size: number, layers: number): void => {
    const run = Math.min(layers, layerCount - firstLayer);
    if (run > 0) {
      stages.push({ device, devices: size, firstLayer, layers: run, hasOutput: false });
      firstLayer += run;
    }
  };
  addStage(null, 1, hostLayers);
  counts.forEach((layers, index) => {
    addStage(index * devices, devices, layers);
  });
  const last = stages.at(-1);
  if (last !== undefined) last.hasOutput = true;
  return stages;
}

/** How an engine cuts a prompt. */
export interface PromptChunks {
  /** Tokens computed at once. */
  tokens: number;
  /** Chunks that follow one another through the stages without waiting; 1 where stages never overlap. */
  inFlight: number;
}

/** Chunks of a prompt in the engine of a request. */
export function promptChunks(runtime: RuntimeRequest, promptTokens: number): PromptChunks {
  const { tokens, inFlight } = largestChunks(runtime, promptTokens);
  return { tokens: Math.max(1, Math.min(tokens, promptTokens)), inFlight: Math.max(1, inFlight) };
}

/** SGLang's chunk where its table has no row; vLLM's V1 and TensorRT-LLM on large cards take as many. */
const SERVING_CHUNK_TOKENS = 8192;

function largestChunks(runtime: RuntimeRequest, promptTokens: number): PromptChunks {
  switch (runtime.kind) {
    case "llama-cpp": {
      // A batch goes through the devices in microbatches, and the next batch waits for its end.
      const tokens = Math.min(runtime.settings.ubatchSize, runtime.settings.batchSize);
      return { tokens, inFlight: Math.ceil(runtime.settings.batchSize / tokens) };
    }
    case "vllm": {
      const { settings, constants } = runtime;
      const whole = !constants.chunkedPrefill && settings.maxNumBatchedTokens === undefined;
      const tokens = settings.maxNumBatchedTokens ?? constants.maxNumBatchedTokens;
      return { tokens: whole ? promptTokens : tokens, inFlight: Number.POSITIVE_INFINITY };
    }
    case "sglang":
      return {
        tokens: runtime.settings.chunkedPrefillSize ?? SERVING_CHUNK_TOKENS,
        inFlight: Number.POSITIVE_INFINITY,
      };
    case "tensorrt-llm":
      return {
        tokens: runtime.settings.maxNumTokens ?? runtime.constants.maxNumTokens,
        inFlight: Number.POSITIVE_INFINITY,
      };
    case "mlx":
      return { tokens: runtime.settings.prefillStepSize ?? runtime.constants.prefillStepTokens, inFlight: 1 };
    case "exllama":
      return { tokens: runtime.settings.chunkSize ?? runtime.constants.chunkTokens, inFlight: 1 };
    case "transformers":
    case "rule-of-thumb":
      return { tokens: promptTokens, inFlight: 1 };
  }
}
