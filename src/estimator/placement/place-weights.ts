import type { Architecture, Block } from "../architecture/architecture.js";
import type { StoredGroup } from "../quantization/scheme.js";
import { countMembers } from "../tensors/tensor.js";
import { HOST, type LayerPlacement } from "./place-layers.js";

/** Bytes of a model's weights by where llama.cpp may put them; computed once per model and format. */
export interface WeightLayout {
  /** Bytes of each block that follow its layer, routed experts not counted. */
  blocks: number[];
  /** Bytes of each block's routed experts, which `--n-cpu-moe` can keep in host memory. */
  experts: number[];
  /** Token embedding and other tables read by token id: always in host memory. */
  input: number;
  /** Final norm, output matrix and what else goes with the output layer. */
  output: number;
  /** Bytes of the token embedding that a device holds a second time as its output matrix; 0 unless tied. */
  tiedOutput: number;
}

/** Tensors beside the token embedding that llama.cpp loads with its input layer (`llama-arch.cpp`, LAYER_INPUT). */
const INPUT_LAYER_TENSORS = /^(token_types|position_embd)\./;

/** Tensors of no layer that it loads with the first (LAYER_REPEATING, created as if of layer 0). */
const FIRST_LAYER_TENSORS = /^per_layer_(model_proj|proj_norm)\./;
/** Norm of an encoder's embeddings, loaded with the first layer; the final norm of a model with logits (LFM2). */
const EMBEDDING_NORM = /^token_embd_norm\./;

/**
 * Sorts the tensors of a model by where they go. Prediction blocks that llama.cpp does not load take no
 * memory and are left out.
 */
export function layOutWeights(architecture: Architecture, stored: readonly StoredGroup[]): WeightLayout {
  const layerCount = architecture.layers.length;
  const predictionLoaded = architecture.nextTokenPrediction?.loadedByLlamaCpp === true;
  const blockCount = countBlocks(architecture);
  const layout: WeightLayout = {
    blocks: new Array<number>(blockCount).fill(0),
    experts: new Array<number>(blockCount).fill(0),
    input: 0,
    output: 0,
    tiedOutput: 0,
  };
  for (const { first, layers, bytes } of stored) {
    if (first.layer !== null && layers !== null && !first.isInputTable) {
      if (first.layer >= layerCount && !predictionLoaded) {
        continue;
      }
      const target = first.role === "EXPERTS" ? layout.experts : layout.blocks;
      addToLayers(target, layers, bytes);
      continue;
    }
    if (first.isInputTable || INPUT_LAYER_TENSORS.test(first.name)) {
      layout.input += bytes * countMembers({ layers });
      if (first.role === "TOKEN_EMBEDDING" && first.name === "token_embd.weight") {
        layout.tiedOutput = readsTableAsOutput(architecture) ? bytes : 0;
      }
    } else if (isOfFirstLayer(architecture, first.name)) {
      layout.blocks[0] = (layout.blocks[0] ?? 0) + bytes;
    } else {
      layout.output += bytes;
    }
  }
  return layout;
}

/** The one loop over all tensors of a model: counted by index, which is what engines compile best. */
function addToLayers(sums: number[], layers: readonly number[], bytes: number): void {
  for (let index = 0; index < layers.length; index += 1) {
    const layer = layers[index] as number;
    sums[layer] = (sums[layer] as number) + bytes;
  }
}

/**
 * True where llama.cpp computes logits: for all but encoders, also where the file has no output matrix (embedders
 * made of a decoder), since it then takes the token embedding for one.
 */
export function yieldsLogits(architecture: Architecture): boolean {
  return architecture.hasOutput || !Object.values(architecture.blocks).every(isEncoderBlock);
}

function isEncoderBlock({ attention, recurrent }: Block): boolean {
  return recurrent === undefined && attention?.kind === "grouped" && attention.uncached === true;
}

/** True where the output matrix is the token embedding: by the description, or since the file has no other. */
export function readsTableAsOutput(architecture: Architecture): boolean {
  if (architecture.hasOutput) {
    return architecture.tiedEmbeddings;
  }
  return yieldsLogits(architecture) && !architecture.tensors.some(({ name }) => name === "output.weight");
}

function isOfFirstLayer(architecture: Architecture, name: string): boolean {
  return FIRST_LAYER_TENSORS.test(name) || (EMBEDDING_NORM.test(name) && !yieldsLogits(architecture));
}

/** Blocks of the file that take a slot of the layer split: the layers and the prediction blocks kept in it. */
export function countBlocks(architecture: Architecture): number {
  const prediction = architecture.nextTokenPrediction;
  return architecture.layers.length + (prediction?.inGguf ? prediction.layers.length : 0);
}

/** Weight bytes in each place. */
export interface PlacedBytes {
  devices: number[];
  host: number;
}

/**
 * Adds up weights by place; the routed experts of the first `cpuMoeLayers` layers stay in host memory. With
 * `repeatsTiedOutput` a tied output is a copy of the embedding even where both are in host memory.
 */
export function placeWeights(
  layout: WeightLayout,
  placement: LayerPlacement,
  cpuMoeLayers: number,
  repeatsTiedOutput = false,
): PlacedBytes {
  const placed: PlacedBytes = { devices: new Array<number>(placement.deviceCount).fill(0), host: layout.input };
  layout.blocks.forEach((bytes, layer) => {
    const device = placement.layers[layer] ?? HOST;
    addBytes(placed, device, bytes);
    addBytes(placed, layer < cpuMoeLayers ? HOST : device, layout.experts[layer] ?? 0);
  });
  addBytes(placed, placement.output, layout.output);
  if (placement.output !== HOST || repeatsTiedOutput) {
    addBytes(placed, placement.output, layout.tiedOutput);
  }
  return placed;
}

/** Adds bytes that follow each layer (its cache) to the layer's place. */
export function placeLayerBytes(bytesByLayer: readonly number[], placement: LayerPlacement): PlacedBytes {
  const placed: PlacedBytes = { devices: new Array<number>(placement.deviceCount).fill(0), host: 0 };
  bytesByLayer.forEach((bytes, layer) => {
    addBytes(placed, placement.layers[layer] ?? HOST, bytes);
  });
  return placed;
}

function addBytes(placed: PlacedBytes, device: number, bytes: number): void {
  if (device === HOST) {
    placed.host += bytes;
  } else {
    placed.devices[device] = (placed.devices[device] ?? 0) + bytes;
  }
}
