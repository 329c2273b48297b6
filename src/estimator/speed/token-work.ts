import type { Architecture, Attention, Block, Recurrent } from "../architecture/architecture.js";
import type { CacheType } from "../estimate.types.js";
import { F32_CACHE } from "../kv-cache/cache-type.js";
import { recurrentStateValues } from "../kv-cache/layer-caches.js";
import { oncePerPair } from "../once-for.js";
import { readsTableAsOutput } from "../placement/place-weights.js";
import type { QuantScheme, StoredGroup } from "../quantization/scheme.js";
import { loadedTensors } from "../runtimes/loaded-tensors.js";
import { countMembers } from "../tensors/tensor.js";
import type { StorageClass } from "./speed.types.js";

/** Bytes and multiply-adds of the weights of one storage class. */
export interface ClassWork {
  storage: StorageClass;
  bytes: number;
  /** Multiply-adds of one token. */
  products: number;
  /** True where the storage has a peak of its own on some cards: 4-bit floating point. */
  isFp4: boolean;
}

/** What one layer, or the output, asks for. */
export interface LayerWork {
  block: Block | null;
  /** Weights that every token passes through. */
  dense: ClassWork[];
  /** Routed experts, all of them; `products` are those of one expert. */
  experts: ClassWork[];
  /** Values that the matrices yield for one token. */
  results: number;
  /** Kernels that run for one pass: one for each tensor but biases and scales, and those that route to experts. */
  operations: number;
  /** Storage of most of the layer's bytes. */
  mostly: StorageClass;
}

/** A model's layers in order and its output. */
export interface ModelWork {
  layers: readonly LayerWork[];
  output: LayerWork;
  /** Bytes of one row of the tables that are read by token id. */
  tableRowBytes: number;
}

/** Bits of a weight, scales included, from which on storage is of the class. */
const HALF_BITS = 12;
const EIGHT_BITS = 7;
const BITS_PER_BYTE = 8;

/** The tensors of the memory estimate, by what a token does with them; computed once per pair of objects. */
export const modelWork: (architecture: Architecture, scheme: QuantScheme) => ModelWork = oncePerPair(describeWork);

function describeWork(architecture: Architecture, scheme: QuantScheme): ModelWork {
  const ofLayers: StoredGroup[][] = architecture.layers.map(() => []);
  const ofOutput: StoredGroup[] = [];
  let tableRowBytes = 0;
  for (const group of loadedTensors(architecture, scheme)) {
    const { first, layers, bytes } = group;
    const [columns = 1] = first.shape;
    if (first.isInputTable) {
      tableRowBytes += (bytes / first.elements) * columns * countMembers(group);
      if (first.name === "token_embd.weight" && readsTableAsOutput(architecture)) ofOutput.push(group);
      continue;
    }
    for (const layer of layers ?? [null]) (ofLayers[layer ?? -1] ?? ofOutput).push(group);
  }
  return { layers: describeLayers(architecture, ofLayers), output: describeLayer(null, ofOutput), tableRowBytes };
}

/** Layers made of the same tensors are the same object: most models have no more than a handful of them. */
function describeLayers({ layers, blocks }: Architecture, groupsOf: readonly StoredGroup[][]): LayerWork[] {
  const numbers = new Map<StoredGroup, number>();
  const numberOf = (group: StoredGroup): number => {
    const number = numbers.get(group) ?? numbers.size;
    numbers.set(group, number);
    return number;
  };
  const known = new Map<string, LayerWork>();
  return layers.map((name, index) => {
    const groups = groupsOf[index] ?? [];
    const key = `${name} ${groups.map(numberOf).join()}`;
    const work = known.get(key) ?? describeLayer(blocks[name] ?? null, groups);
    known.set(key, work);
    return work;
  });
}

function describeLayer(block: Block | null, groups: readonly StoredGroup[]): LayerWork {
  const layer = emptyLayer(block);
  for (const group of groups) addTensor(layer, group, block);
  layer.mostly = storageOfMost(layer);
  return layer;
}

function emptyLayer(block: Block | null): LayerWork {
  const operations = block?.experts === undefined ? 0 : ROUTING_OPERATIONS;
  return { block, dense: [], experts: [], results: 0, operations, mostly: "half" };
}

function addTensor(layer: LayerWork, stored: StoredGroup, block: Block | null): void {
  const { first: tensor, bytes } = stored;
  const storage = storageClass(stored);
  const experts = tensor.role === "EXPERTS" ? block?.experts : undefined;
  const target = experts === undefined ? layer.dense : layer.experts;
  let work = target.find((known) => known.storage === storage);
  if (work === undefined) {
    work = { storage, bytes: 0, products: 0, isFp4: false };
    target.push(work);
  }
  const [columns = 1] = tensor.shape;
  const isMatrix = tensor.elements > columns;
  work.bytes += bytes;
  if (!NO_OPERATION.test(tensor.name)) layer.operations += 1;
  work.isFp4 ||= FP4_TYPE.test(stored.type);
  if (!isMatrix) return;
  const products = tensor.elements / (experts?.count ?? 1);
  work.products += products;
  layer.results += (products / columns) * (experts?.used ?? 1);
}

/** Part of the operation of their matrix. */
const NO_OPERATION = /\.(bias|scale)$/;

/** Choosing a token's experts, and summing what they yield. */
const ROUTING_OPERATIONS = 2;

function storageOfMost({ dense, experts }: LayerWork): StorageClass {
  const most = [...dense, ...experts].reduce<ClassWork | null>(
    (largest, work) => (largest === null || work.bytes > largest.bytes ? work : largest),
    null,
  );
  return most?.storage ?? "half";
}

const FP8_TYPE = /fp8|^f8/i;
const FP4_TYPE = /fp4/i;

/** By the bits that a weight takes in all; 8-bit storage by its name. */
function storageClass({ first: tensor, type, bytes }: StoredGroup): StorageClass {
  const bits = (bytes * BITS_PER_BYTE) / tensor.elements;
  if (bits >= HALF_BITS) return "half";
  if (bits >= EIGHT_BITS) return FP8_TYPE.test(type) ? "fp8" : "int8";
  return "fourBit";
}

/**
 * Experts of a layer that so many tokens touch, of all of them, when each token picks as if by lot:
 * count x (1 - (1 - used / count)^tokens).
 */
export function expertsTouched(experts: { count: number; used: number }, tokens: number): number {
  return experts.count * (1 - (1 - experts.used / experts.count) ** tokens);
}

/** What the tokens of one step, or a stretch of prompt, do with the cache of a layer. */
export interface CacheWork {
  /** Bytes of cache and state read or written. */
  bytes: number;
  /** Multiply-adds against cached entries. */
  products: number;
  /** Scores computed: queries x heads x entries. */
  scores: number;
}

export interface CacheTypes {
  typeK: CacheType;
  typeV: CacheType;
}

/**
 * Cache work of one token of one sequence with `depth` entries before it. Latent attention is counted as it is
 * decoded, against the latent; over a prompt (`expanded`) against full keys and values. Of recurrent layers the whole
 * state is read and written.
 */
export function cacheWork(
  block: Block,
  hiddenSize: number,
  depth: number,
  types: CacheTypes,
  expanded: boolean,
): CacheWork {
  const attention = block.attention === undefined ? NOTHING : attentionWork(block.attention, depth, types, expanded);
  return block.recurrent === undefined ? attention : add(attention, stateWork(block.recurrent, hiddenSize));
}

const NOTHING: CacheWork = { bytes: 0, products: 0, scores: 0 };

function add(left: CacheWork, right: CacheWork): CacheWork {
  return {
    bytes: left.bytes + right.bytes,
    products: left.products + right.products,
    scores: left.scores + right.scores,
  };
}

function attentionWork(attention: Attention, depth: number, types: CacheTypes, expanded: boolean): CacheWork {
  switch (attention.kind) {
    case "grouped": {
      const { heads, kvHeads, keyDim, valueDim, window, crossTokens, indexer } = attention;
      const entries = crossTokens ?? (window === undefined ? depth : Math.min(depth, window.size));
      const chosen = indexer === undefined ? entries : Math.min(entries, indexer.topK);
      return add(indexWork(indexer, entries, types), {
        bytes: chosen * kvHeads * (keyDim * valueBytes(types.typeK) + valueDim * valueBytes(types.typeV)),
        products: chosen * heads * (keyDim + valueDim),
        scores: chosen * heads,
      });
    }
    case "latent": {
      const { heads, kvRank, ropeDim, nopeDim, valueDim, indexer, cachesExpanded } = attention;
      const chosen = indexer === undefined ? depth : Math.min(depth, indexer.topK);
      const asHeads = expanded || cachesExpanded === true;
      const bytes = cachesExpanded
        ? heads * ((nopeDim + ropeDim) * valueBytes(types.typeK) + valueDim * valueBytes(types.typeV))
        : (kvRank + ropeDim) * valueBytes(types.typeK);
      return add(indexWork(indexer, depth, types), {
        bytes: chosen * bytes,
        products: chosen * heads * (asHeads ? nopeDim + ropeDim + valueDim : 2 * kvRank + ropeDim),
        scores: chosen * heads,
      });
    }
    case "compressed": {
      const { heads, keyDim, window, compressRatio, indexer } = attention;
      const compressed = compressRatio === 0 ? 0 : depth / compressRatio;
      const chosen = indexer === undefined ? compressed : Math.min(compressed, indexer.topK);
      const entries = Math.min(depth, window.size) + chosen;
      return add(indexWork(indexer, compressed, types), {
        bytes: entries * keyDim * valueBytes(types.typeK),
        products: entries * heads * 2 * keyDim,
        scores: entries * heads,
      });
    }
  }
}

/** Every index key is read to choose the entries that attention then reads. */
function indexWork(
  indexer: { heads: number; keyDim: number } | undefined,
  entries: number,
  { typeK }: CacheTypes,
): CacheWork {
  if (indexer === undefined) return NOTHING;
  return {
    bytes: entries * indexer.keyDim * valueBytes(typeK),
    products: entries * indexer.heads * indexer.keyDim,
    scores: 0,
  };
}

/** A state is read and written once a step, and each of its values takes part in an update and a product. */
function stateWork(recurrent: Recurrent, hiddenSize: number): CacheWork {
  const { convolution, state } = recurrentStateValues(recurrent, hiddenSize);
  const readAndWritten = 2;
  return {
    bytes: readAndWritten * (convolution + state) * valueBytes(F32_CACHE),
    products: 2 * state + convolution,
    scores: 0,
  };
}

const valueBytes = (type: CacheType): number => type.blockBytes / type.blockElements;
