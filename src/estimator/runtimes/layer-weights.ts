import type { Architecture } from "../architecture/architecture.js";
import type { WeightsBreakdown } from "../estimate.types.js";
import { oncePerPair } from "../once-for.js";
import { matrixRole } from "../quantization/matrix-role.js";
import type { QuantScheme, StoredGroup } from "../quantization/scheme.js";
import { summarizeWeights } from "../quantization/summarize-weights.js";
import { countMembers } from "../tensors/tensor.js";
import { loadedTensors } from "./loaded-tensors.js";

/**
 * A text model's weights as engines hold them that cut a checkpoint between layers: Transformers, MLX LM, ExLlama. All
 * sizes are bytes. Serving engines cut through the tensors: `shardableModel`.
 */
export interface LayerWeights {
  weights: WeightsBreakdown;
  /** Token embedding and other tables that are read by token id. */
  embedding: number;
  /** Each layer, in order. */
  layers: readonly number[];
  /** Final norm, output matrix and other tensors that follow the last layer; without a tied output matrix. */
  output: number;
  /** The token embedding alone, which serves as the output matrix a second time where the two are tied; else 0. */
  tiedOutput: number;
  /** Values of the largest matrix that the format quantizes in a layer; one matrix of a stack of experts. */
  largestQuantizedMatrix: number;
}

/** Tensors summed by where they are used; computed once per pair of objects. */
export const layerWeights: (architecture: Architecture, scheme: QuantScheme) => LayerWeights = oncePerPair(sortTensors);

function sortTensors(architecture: Architecture, scheme: QuantScheme): LayerWeights {
  const stored = loadedTensors(architecture, scheme);
  const layers = new Array<number>(architecture.layers.length).fill(0);
  let embedding = 0;
  let output = 0;
  let tiedOutput = 0;
  let largestQuantizedMatrix = 0;
  for (const entry of stored) {
    const { first, layers: ownLayers, bytes } = entry;
    if (first.isInputTable) {
      embedding += bytes * countMembers(entry);
      if (first.role === "TOKEN_EMBEDDING" && architecture.tiedEmbeddings && architecture.hasOutput) {
        tiedOutput = Math.max(tiedOutput, bytes);
      }
    } else if (ownLayers === null) {
      output += bytes;
    } else {
      for (const layer of ownLayers) layers[layer] = (layers[layer] ?? 0) + bytes;
      if (isQuantized(entry, scheme)) {
        const [columns = 1, rows = 1] = first.shape;
        largestQuantizedMatrix = Math.max(largestQuantizedMatrix, columns * rows);
      }
    }
  }
  return {
    weights: summarizeWeights(architecture, stored),
    embedding,
    layers,
    output,
    tiedOutput,
    largestQuantizedMatrix,
  };
}

function isQuantized({ first, type }: StoredGroup, scheme: QuantScheme): boolean {
  if (scheme.kind === "ggml") {
    return false;
  }
  return matrixRole(first) !== null && type !== (scheme.restType ?? (scheme.kind === "uniform" ? "bf16" : "fp16"));
}
