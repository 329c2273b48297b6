/**
 * Nodes of a compute graph as ggml keeps them: shapes, strides, sources and views, but no data. What an
 * operation does is of no interest here, only what memory its result takes and when it can be reused.
 */

/** Kinds of operation, told apart only where ggml's scheduler or allocator does. */
export const Op = {
  /** A leaf: weight, cache or input. */
  NONE: 0,
  /** Reshape, view, permute, transpose: the same memory seen otherwise. */
  VIEW: 1,
  /** May overwrite a source of the same layout (ggml-alloc.c, ggml_op_can_inplace). */
  IN_PLACE: 2,
  /** Any other. */
  PLAIN: 3,
  MUL_MAT: 4,
  MUL_MAT_ID: 5,
  GET_ROWS: 6,
  /** Writes into its destination, of which it is a view. */
  SET_ROWS: 7,
  ROPE: 8,
  FLASH_ATTENTION: 9,
} as const;
export type Op = (typeof Op)[keyof typeof Op];

/** Bytes of one element of the types that activations have. */
export const F32 = 4;
export const F16 = 2;
export const I32 = 4;
export const I64 = 8;

export interface GraphNode {
  op: Op;
  ne0: number;
  ne1: number;
  ne2: number;
  ne3: number;
  /** Strides in bytes. */
  nb0: number;
  nb1: number;
  nb2: number;
  nb3: number;
  /** Bytes its own buffer takes, before alignment; 0 for views. */
  bytes: number;
  /** Bytes its buffer takes on top of that on a device. */
  deviceBytes: number;
  sources: GraphNode[];
  /** The node whose memory this one is a view of; never itself a view. */
  viewOf: GraphNode | null;
  viewOffset: number;
  isInput: boolean;
  /** Kept until the end of the graph. */
  isOutput: boolean;
  /** Lives in a buffer of its own (weights, caches): never allocated with the graph. */
  isExternal: boolean;
  isWeight: boolean;
  /** Backend assigned, -1 while unknown. */
  backend: number;
  inGraph: boolean;
  // Bookkeeping of the allocator.
  children: number;
  views: number;
  isAllocated: boolean;
  /** The buffer its memory is in, and where. */
  buffer: number;
  offset: number;
  /** Copies on other backends, by backend; made by the scheduler. */
  copies: (GraphNode[] | undefined)[] | null;
}

export function makeNode(op: Op, elementBytes: number, ne0: number, ne1: number, ne2: number, ne3: number): GraphNode {
  const nb1 = elementBytes * ne0;
  const nb2 = nb1 * ne1;
  const nb3 = nb2 * ne2;
  return {
    op,
    ne0,
    ne1,
    ne2,
    ne3,
    nb0: elementBytes,
    nb1,
    nb2,
    nb3,
    bytes: nb3 * ne3,
    deviceBytes: 0,
    sources: [],
    viewOf: null,
    viewOffset: 0,
    isInput: false,
    isOutput: false,
    isExternal: false,
    isWeight: false,
    backend: -1,
    inGraph: false,
    children: 0,
    views: 0,
    isAllocated: false,
    buffer: -1,
    offset: 0,
    copies: null,
  };
}

/** Bytes from the first to the last element, for a copy that keeps the layout. */
export function spanBytes(node: GraphNode): number {
  if (node.viewOf === null) {
    return node.bytes;
  }
  return (
    node.nb0 +
    (node.ne0 - 1) * node.nb0 +
    (node.ne1 - 1) * node.nb1 +
    (node.ne2 - 1) * node.nb2 +
    (node.ne3 - 1) * node.nb3
  );
}

export function hasSameLayout(a: GraphNode, b: GraphNode): boolean {
  return (
    a.ne0 === b.ne0 &&
    a.ne1 === b.ne1 &&
    a.ne2 === b.ne2 &&
    a.ne3 === b.ne3 &&
    a.nb0 === b.nb0 &&
    a.nb1 === b.nb1 &&
    a.nb2 === b.nb2 &&
    a.nb3 === b.nb3
  );
}
