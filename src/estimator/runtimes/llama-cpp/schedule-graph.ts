import { allocateGraph, type Placed } from "./allocate-graph.js";
import type { GraphBuilder } from "./graph-builder.js";
import { type GraphNode, makeNode, Op, spanBytes } from "./graph-node.js";

/** Rows from which a device takes over operations on host weights (ggml-cuda, op_offload). */
export const OFFLOAD_ROWS = 32;

/** What the scheduler knows of the machine. Backends are numbered devices first, the host last. */
export interface ScheduleSettings {
  backendCount: number;
  /** Copies of every input that crosses to a device: 4 with pipeline parallelism, else 1. */
  copies: number;
  /** Alignment of each backend's buffers, bytes. */
  alignments: readonly number[];
  /** Operations on host weights run on the first device when they cover at least so many rows; 0 = never. */
  offloadRows: number;
}

/**
 * Peak bytes of each backend's compute buffer: assigns every node to a backend, inserts the copies
 * that cross between backends, and allocates (ggml-backend.cpp, ggml_backend_sched_split_graph).
 */
export function scheduleGraph(graph: GraphBuilder, settings: ScheduleSettings): number[] {
  assignBackends(graph, settings);
  const host = settings.backendCount - 1;
  for (const node of graph.nodes) {
    if (node.backend !== host) {
      node.bytes += node.deviceBytes;
    }
  }
  const { leafs, nodes } = insertCopies(graph, settings);
  return allocateGraph(leafs, nodes, settings.alignments);
}

function isView(node: GraphNode): boolean {
  return node.op === Op.VIEW;
}

/** Rows an operation works on, by which a device decides to take it over (ggml-cuda.cu, get_op_batch_size). */
function batchRows(node: GraphNode): number {
  switch (node.op) {
    case Op.GET_ROWS:
      return 0;
    case Op.MUL_MAT:
      return node.ne1;
    case Op.MUL_MAT_ID:
    case Op.ROPE:
      return node.ne2;
    default:
      return node.ne1 * node.ne2 * node.ne3;
  }
}

/** A node's backend from where its memory or its weights are; -1 where neither says. */
function backendFromWeights(node: GraphNode, settings: ScheduleSettings): number {
  if (node.isExternal) {
    return node.backend;
  }
  if (node.viewOf?.isExternal) {
    return node.viewOf.backend;
  }
  const host = settings.backendCount - 1;
  if (node.isInput) {
    return host;
  }
  if (node.op === Op.ROPE) {
    return -1;
  }
  for (const source of node.sources) {
    if (!source.isWeight) {
      continue;
    }
    if (source.backend === host && settings.offloadRows > 0 && host > 0 && batchRows(node) >= settings.offloadRows) {
      return 0;
    }
    return source.backend;
  }
  return -1;
}

function assignBackends(graph: GraphBuilder, settings: ScheduleSettings): void {
  const { nodes, leafs } = graph;
  const host = settings.backendCount - 1;
  for (const leaf of leafs) {
    if (leaf.backend === -1) {
      leaf.backend = backendFromWeights(leaf, settings);
    }
  }
  for (const node of nodes) {
    if (node.backend === -1) {
      node.backend = backendFromWeights(node, settings);
    }
  }
  const expandThrough = (order: readonly GraphNode[], skipHost: boolean): void => {
    let current = -1;
    for (const node of order) {
      if (isView(node)) {
        continue;
      }
      if (node.backend !== -1) {
        current = skipHost && node.backend === host ? -1 : node.backend;
      } else if (current !== -1) {
        node.backend = current;
      }
    }
  };
  const reversed = [...nodes].reverse();
  expandThrough(nodes, true);
  expandThrough(reversed, true);
  expandThrough(nodes, false);
  expandThrough(reversed, false);
  for (const node of nodes) {
    if (node.backend === -1) {
      node.backend = node.viewOf === null || node.viewOf.backend === -1 ? host : node.viewOf.backend;
    }
    for (const source of node.sources) {
      if (source.backend === -1) {
        source.backend = source.viewOf === null ? node.backend : source.viewOf.backend;
      }
    }
  }
}

interface Split {
  backend: number;
  inputs: GraphNode[];
  nodes: GraphNode[];
}

function insertCopies(graph: GraphBuilder, settings: ScheduleSettings): { leafs: Placed[]; nodes: Placed[] } {
  const { copies } = settings;
  const splits: Split[] = [];
  const graphInputs: GraphNode[] = [];
  let split: Split | null = null;
  for (const node of graph.nodes) {
    if (isView(node)) {
      // Views before the first split belong to it.
      split?.nodes.push(node);
      if (split === null) {
        split = { backend: node.backend, inputs: [], nodes: [node] };
        splits.push(split);
      }
      continue;
    }
    if (split === null || node.backend !== split.backend || needsNewSplit(node, split)) {
      split = { backend: node.backend, inputs: [], nodes: [] };
      splits.push(split);
    }
    split.nodes.push(node);
    const backend = split.backend;
    for (let i = 0; i < node.sources.length; i += 1) {
      const source = node.sources[i] as GraphNode;
      if (copies > 1 && source.isInput && source.copies === null) {
        source.copies = [];
        source.isOutput = true;
        const own = [source];
        for (let copy = 1; copy < copies; copy += 1) {
          own.push(keptCopy(source));
        }
        source.copies[source.backend] = own;
        graphInputs.push(source);
      }
      if (source.backend !== backend) {
        source.copies ??= [];
        let made = source.copies[backend];
        if (made === undefined) {
          made = [];
          for (let copy = 0; copy < copies; copy += 1) {
            made.push(copies > 1 ? keptCopy(source) : duplicate(source));
          }
          source.copies[backend] = made;
          split.inputs.push(source);
        }
        node.sources[i] = made[0] as GraphNode;
      }
    }
  }
  return listPlaced(graph, splits, graphInputs, copies);
}

/** Inputs a split can have (ggml-backend.cpp, GGML_SCHED_MAX_SPLIT_INPUTS). */
const MAX_SPLIT_INPUTS = 30;

/**
 * Weights copied for one operation make room for those of the next: each starts a split of its own; as does an
 * operation with inputs that the split has no place for.
 */
function needsNewSplit(node: GraphNode, split: Split): boolean {
  const { backend, inputs } = split;
  if (inputs.length === 0) {
    return false;
  }
  const isFull = inputs.length >= MAX_SPLIT_INPUTS;
  return node.sources.some(
    (source) => source.backend !== backend && (source.isWeight || (isFull && source.copies?.[backend] === undefined)),
  );
}

function listPlaced(
  graph: GraphBuilder,
  splits: readonly Split[],
  graphInputs: readonly GraphNode[],
  copies: number,
): { leafs: Placed[]; nodes: Placed[] } {
  const leafs: Placed[] = [];
  const nodes: Placed[] = [];
  for (const split of splits) {
    for (const input of split.inputs) {
      nodes.push({ node: keepAlive(input), buffer: input.backend });
      nodes.push({ node: input.copies?.[split.backend]?.[0] as GraphNode, buffer: split.backend });
    }
    for (const node of split.nodes) {
      nodes.push({ node, buffer: node.backend });
    }
  }
  if (copies > 1) {
    for (const input of graphInputs) {
      for (const copy of input.copies?.[input.backend] ?? []) {
        leafs.push({ node: copy, buffer: input.backend });
      }
    }
    for (const split of splits) {
      for (const input of split.inputs) {
        for (const copy of input.copies?.[split.backend] ?? []) {
          leafs.push({ node: copy, buffer: split.backend });
        }
      }
    }
  }
  for (const leaf of graph.leafs) {
    leafs.push({ node: leaf, buffer: leaf.backend });
  }
  return { leafs, nodes };
}

function duplicate(source: GraphNode): GraphNode {
  const copy = makeNode(Op.NONE, source.nb0, source.ne0, source.ne1, source.ne2, source.ne3);
  copy.nb1 = source.nb1;
  copy.nb2 = source.nb2;
  copy.nb3 = source.nb3;
  copy.bytes = spanBytes(source);
  return copy;
}

/** A copy that the allocator may neither free nor overwrite while other microbatches are under way. */
function keptCopy(source: GraphNode): GraphNode {
  const copy = duplicate(source);
  copy.isInput = true;
  copy.isOutput = true;
  return copy;
}

/** A node that does nothing but keep its source until a copy of it has been made. */
function keepAlive(source: GraphNode): GraphNode {
  const node = makeNode(Op.NONE, source.nb0, source.ne0, source.ne1, source.ne2, source.ne3);
  node.bytes = 0;
  node.viewOf = source.viewOf ?? source;
  node.sources = [source];
  return node;
}
