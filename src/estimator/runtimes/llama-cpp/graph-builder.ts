import { F16, F32, type GraphNode, I32, makeNode, Op } from "./graph-node.js";

/**
 * Builds a compute graph with ggml's operations. Results have ggml's shapes; the order of nodes is the order
 * in which `expand` reaches them, sources first (ggml.c, ggml_build_forward_expand).
 */
export class GraphBuilder {
  readonly nodes: GraphNode[] = [];
  readonly leafs: GraphNode[] = [];

  /** Adds a node and everything it is computed from to the graph. */
  expand(node: GraphNode): void {
    if (node.inGraph) {
      return;
    }
    node.inGraph = true;
    for (const source of node.sources) {
      this.expand(source);
    }
    (node.op === Op.NONE ? this.leafs : this.nodes).push(node);
  }

  /** An input that the program fills in before each run; starts in host memory. */
  input(elementBytes: number, ne0: number, ne1 = 1, ne2 = 1, ne3 = 1): GraphNode {
    const node = makeNode(Op.NONE, elementBytes, ne0, ne1, ne2, ne3);
    node.isInput = true;
    return node;
  }

  /** A tensor that is made rather than computed: it has its memory from the start of the graph to its last use. */
  scratch(elementBytes: number, ne0: number, ne1 = 1, ne2 = 1, ne3 = 1): GraphNode {
    return makeNode(Op.NONE, elementBytes, ne0, ne1, ne2, ne3);
  }

  /** A weight on a backend. `bytes` matter only when it is copied to another. */
  weight(backend: number, bytes: number, ne0: number, ne1 = 1, ne2 = 1): GraphNode {
    const node = makeNode(Op.NONE, F32, ne0, ne1, ne2, 1);
    node.bytes = bytes;
    node.isExternal = true;
    node.isWeight = true;
    node.backend = backend;
    return node;
  }

  /** A cache buffer on a backend. */
  cache(backend: number, elementBytes: number, ne0: number, ne1: number, ne2: number): GraphNode {
    const node = makeNode(Op.NONE, elementBytes, ne0, ne1, ne2, 1);
    node.isExternal = true;
    node.backend = backend;
    return node;
  }

  /** Matrix product: `weight` [k, m] and `x` [k, n, ...] give [m, n, ...]. */
  mulMat(weight: GraphNode, x: GraphNode): GraphNode {
    return this.make(Op.MUL_MAT, F32, weight.ne1, x.ne1, x.ne2, x.ne3, weight, x);
  }

  /** Expert product: stacked `weight` [k, m, experts], `x` [k, 1 or used, n], `ids` [used, n] give [m, used, n]. */
  mulMatId(weight: GraphNode, x: GraphNode, ids: GraphNode): GraphNode {
    return this.make(Op.MUL_MAT_ID, F32, weight.ne1, ids.ne0, x.ne2, 1, weight, x, ids);
  }

  getRows(table: GraphNode, ids: GraphNode): GraphNode {
    return this.make(Op.GET_ROWS, F32, table.ne0, ids.ne0, ids.ne1, ids.ne2, table, ids);
  }

  /** Writes rows into `destination`; the result is a view of it. */
  setRows(destination: GraphNode, rows: GraphNode, ids: GraphNode): GraphNode {
    const node = this.view(destination, destination.ne0, destination.ne1, destination.ne2, destination.ne3);
    node.op = Op.SET_ROWS;
    node.nb1 = destination.nb1;
    node.nb2 = destination.nb2;
    node.nb3 = destination.nb3;
    node.sources = [rows, ids, destination];
    return node;
  }

  /** An operation of one or more sources that has the shape of the first and may overwrite it. */
  inPlace(...sources: GraphNode[]): GraphNode {
    return this.like(Op.IN_PLACE, sources);
  }

  /** An operation of two sources that is told to write into the first. */
  into(destination: GraphNode, other: GraphNode): GraphNode {
    const node = this.view(destination, destination.ne0, destination.ne1, destination.ne2, destination.ne3);
    node.op = Op.PLAIN;
    node.sources = [destination, other];
    return node;
  }

  /** An operation that has the shape of its first source and takes memory of its own. */
  plain(...sources: GraphNode[]): GraphNode {
    return this.like(Op.PLAIN, sources);
  }

  rope(x: GraphNode, positions: GraphNode, factors: GraphNode | null): GraphNode {
    return this.like(Op.ROPE, factors === null ? [x, positions] : [x, positions, factors]);
  }

  /** An operation with a shape of its own. */
  make(
    op: Op,
    elementBytes: number,
    ne0: number,
    ne1: number,
    ne2: number,
    ne3: number,
    ...sources: GraphNode[]
  ): GraphNode {
    const node = makeNode(op, elementBytes, ne0, ne1, ne2, ne3);
    node.sources = sources;
    return node;
  }

  /** A contiguous view of other shape at an offset in bytes: reshape, or the head of a buffer. */
  view(source: GraphNode, ne0: number, ne1: number, ne2 = 1, ne3 = 1, offset = 0): GraphNode {
    const node = makeNode(Op.VIEW, source.nb0, ne0, ne1, ne2, ne3);
    return this.attachView(node, source, offset);
  }

  /** A view with strides in bytes. */
  stridedView(
    source: GraphNode,
    shape: readonly [number, number, number, number],
    strides: readonly [number, number, number],
    offset = 0,
  ): GraphNode {
    const node = makeNode(Op.VIEW, source.nb0, shape[0], shape[1], shape[2], shape[3]);
    node.nb1 = strides[0];
    node.nb2 = strides[1];
    node.nb3 = strides[2];
    return this.attachView(node, source, offset);
  }

  /** Swaps the second and third dimension. */
  swapMiddle(source: GraphNode): GraphNode {
    const node = makeNode(Op.VIEW, source.nb0, source.ne0, source.ne2, source.ne1, source.ne3);
    node.nb1 = source.nb2;
    node.nb2 = source.nb1;
    node.nb3 = source.nb3;
    return this.attachView(node, source, 0);
  }

  /** Swaps the first and second dimension. */
  transpose(source: GraphNode): GraphNode {
    const node = makeNode(Op.VIEW, source.nb0, source.ne1, source.ne0, source.ne2, source.ne3);
    node.nb0 = source.nb1;
    node.nb1 = source.nb0;
    node.nb2 = source.nb2;
    node.nb3 = source.nb3;
    return this.attachView(node, source, 0);
  }

  /** A contiguous copy. */
  contiguous(source: GraphNode, ne0 = source.ne0, ne1 = source.ne1, ne2 = source.ne2, ne3 = source.ne3): GraphNode {
    return this.make(Op.PLAIN, F32, ne0, ne1, ne2, ne3, source);
  }

  /** Concatenation along a dimension. */
  concat(a: GraphNode, b: GraphNode, dimension: 0 | 1): GraphNode {
    return dimension === 0
      ? this.make(Op.PLAIN, F32, a.ne0 + b.ne0, a.ne1, a.ne2, a.ne3, a, b)
      : this.make(Op.PLAIN, F32, a.ne0, a.ne1 + b.ne1, a.ne2, a.ne3, a, b);
  }

  /** The `count` best of each row: a full sort of which the head is used. */
  topOf(x: GraphNode, count: number): GraphNode {
    const sorted = this.make(Op.PLAIN, I32, x.ne0, x.ne1, x.ne2, x.ne3, x);
    return this.stridedView(sorted, [count, x.ne1, x.ne2, x.ne3], [sorted.nb1, sorted.nb2, sorted.nb3]);
  }

  sumRows(x: GraphNode): GraphNode {
    return this.make(Op.PLAIN, F32, 1, x.ne1, x.ne2, x.ne3, x);
  }

  castToHalf(x: GraphNode): GraphNode {
    return this.make(Op.PLAIN, F16, x.ne0, x.ne1, x.ne2, x.ne3, x);
  }

  private like(op: Op, sources: GraphNode[]): GraphNode {
    const first = sources[0] as GraphNode;
    const node = makeNode(op, first.nb0, first.ne0, first.ne1, first.ne2, first.ne3);
    node.sources = sources;
    return node;
  }

  private attachView(node: GraphNode, source: GraphNode, offset: number): GraphNode {
    node.bytes = 0;
    node.viewOf = source.viewOf ?? source;
    node.viewOffset = source.viewOffset + offset;
    node.sources = [source];
    return node;
  }
}
