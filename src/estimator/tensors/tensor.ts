import type { TensorRole } from "../architecture/architecture.js";

/** One tensor of a model as a GGUF file holds it. */
export interface Tensor {
  /** GGUF name, e.g. "blk.3.attn_q.weight". */
  name: string;
  /** `[ne0, ne1, ne2]`, input width first; stacked experts are the third dimension. */
  shape: readonly number[];
  elements: number;
  role: TensorRole;
  /** Layer number, counting prediction blocks after the last layer; null outside the blocks. */
  layer: number | null;
  /** False for constants a converter adds (rope factors). */
  isParameter: boolean;
  /** Stored as int32 whatever the format. */
  isInteger: boolean;
  /** Looked up by token id in host memory (llama.cpp): token and per-layer embeddings. */
  isInputTable: boolean;
}

/** Tensors that are alike but for the layer they are in. */
export interface TensorGroup {
  /** The first of them, which stands for all. */
  first: Tensor;
  /** The layers that have one, in order; null outside the layers. */
  layers: readonly number[] | null;
}

/** How many tensors a group, or part of one, has. */
export function countMembers({ layers }: Pick<TensorGroup, "layers">): number {
  return layers === null ? 1 : layers.length;
}

/** The tensors of a group, or of part of one, one by one. */
export function membersOf({ first, layers }: TensorGroup): Tensor[] {
  return layers === null ? [first] : layers.map((layer) => memberIn(first, layer));
}

/** The tensor of another layer that is like this one. */
export function memberIn(first: Tensor, layer: number): Tensor {
  if (layer === first.layer) {
    return first;
  }
  const afterLayer = first.name.indexOf(".", LAYER_PREFIX.length);
  return { ...first, layer, name: `${LAYER_PREFIX}${layer}${first.name.slice(afterLayer)}` };
}

/** What the names of tensors in layers begin with; the layer's number follows. */
const LAYER_PREFIX = "blk.";
