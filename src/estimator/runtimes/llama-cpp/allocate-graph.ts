import { type GraphNode, hasSameLayout, Op } from "./graph-node.js";

/** A node with the buffer (backend) it is allocated in. */
export interface Placed {
  node: GraphNode;
  buffer: number;
}

/**
 * The peak of each buffer when a graph's nodes are allocated in order, each freed after its last use:
 * ggml's graph allocator (ggml-alloc.c): the smallest free block that fits, else the end of the buffer;
 * operations of the same layout as a source that nobody needs any more take over its memory.
 *
 * `leafs` are allocated first and in order. Every list is of nodes with the buffer they belong to.
 */
export function allocateGraph(
  leafs: readonly Placed[],
  nodes: readonly Placed[],
  alignments: readonly number[],
): number[] {
  const buffers = alignments.map((alignment) => new BufferPlan(alignment));
  const allocator = new GraphAllocator(buffers);
  for (const { node, buffer } of leafs) {
    allocator.allocate(node, buffer);
  }
  for (const { node, buffer } of nodes) {
    if (node.viewOf !== null && node.op !== Op.NONE) {
      node.viewOf.views += 1;
    }
    if (node.isInput) {
      allocator.allocate(node, buffer);
    }
    for (const source of node.sources) {
      source.children += 1;
      if (source.isInput) {
        allocator.allocate(source, buffer);
      }
    }
  }
  for (const { node, buffer } of nodes) {
    for (const source of node.sources) {
      allocator.allocate(source, buffer);
    }
    allocator.allocate(node, buffer);
    for (const source of node.sources) {
      allocator.release(source);
    }
  }
  return buffers.map((buffer) => buffer.peak);
}

class GraphAllocator {
  constructor(private readonly buffers: readonly BufferPlan[]) {}

  allocate(node: GraphNode, buffer: number): void {
    if (node.isExternal || node.isAllocated || node.viewOf !== null) {
      return;
    }
    node.isAllocated = true;
    if (node.op === Op.IN_PLACE || node.op === Op.ROPE) {
      for (const parent of node.sources) {
        if (this.takeOver(node, parent)) {
          return;
        }
      }
    }
    node.buffer = buffer;
    node.offset = (this.buffers[buffer] as BufferPlan).allocate(node.bytes);
  }

  private takeOver(node: GraphNode, parent: GraphNode): boolean {
    // A view is never taken over: only nodes with memory of their own count as the allocator's.
    if (
      parent.viewOf !== null ||
      !parent.isAllocated ||
      parent.isOutput ||
      parent.children !== 1 ||
      parent.views !== 0 ||
      !hasSameLayout(node, parent)
    ) {
      return false;
    }
    parent.isAllocated = false;
    node.buffer = parent.buffer;
    node.offset = parent.offset;
    (this.buffers[node.buffer] as BufferPlan).releaseTail(parent.offset, parent.bytes, node.bytes);
    return true;
  }

  release(parent: GraphNode): void {
    parent.children -= 1;
    if (parent.children !== 0 || parent.views !== 0) {
      return;
    }
    if (parent.viewOf === null) {
      this.free(parent);
      return;
    }
    const root = parent.viewOf;
    root.views -= 1;
    if (root.views === 0 && root.children === 0) {
      this.free(root);
    }
  }

  private free(node: GraphNode): void {
    if (!node.isAllocated || node.isOutput || node.isExternal) {
      return;
    }
    node.isAllocated = false;
    (this.buffers[node.buffer] as BufferPlan).release(node.offset, node.bytes);
  }
}

/** One buffer: its free blocks in order of address (the last is open-ended), and the most it ever reached. */
class BufferPlan {
  peak = 0;
  private readonly offsets: number[] = [0];
  private readonly sizes: number[] = [Number.POSITIVE_INFINITY];

  constructor(private readonly alignment: number) {}

  allocate(bytes: number): number {
    const size = this.align(bytes);
    const last = this.offsets.length - 1;
    let best = -1;
    let bestSize = Number.POSITIVE_INFINITY;
    for (let i = 0; i < last; i += 1) {
      const blockSize = this.sizes[i] as number;
      if (blockSize >= size && blockSize <= bestSize) {
        best = i;
        bestSize = blockSize;
      }
    }
    if (best === -1) {
      best = last;
    }
    const offset = this.offsets[best] as number;
    this.offsets[best] = offset + size;
    this.sizes[best] = (this.sizes[best] as number) - size;
    if (this.sizes[best] === 0) {
      this.offsets.splice(best, 1);
      this.sizes.splice(best, 1);
    }
    if (offset + size > this.peak) {
      this.peak = offset + size;
    }
    return offset;
  }

  release(offset: number, bytes: number): void {
    this.insert(offset, this.align(bytes));
  }

  /** Frees what a smaller successor leaves of its predecessor's memory. */
  releaseTail(offset: number, oldBytes: number, newBytes: number): void {
    const oldSize = this.align(oldBytes);
    const newSize = this.align(newBytes);
    if (oldSize > newSize) {
      this.insert(offset + newSize, oldSize - newSize);
    }
  }

  /**
   * Joins freed memory to the first block that it touches, and that one to its neighbour in the list. Memory of no
   * size (what empty tensors get) is listed too: such a block keeps the ones around it apart, as it does in ggml.
   */
  private insert(offset: number, size: number): void {
    const { offsets, sizes } = this;
    const end = offset + size;
    for (let i = 0; i < offsets.length; i += 1) {
      const start = offsets[i] as number;
      if (start + (sizes[i] as number) === offset) {
        sizes[i] = (sizes[i] as number) + size;
        this.joinNext(i);
        return;
      }
      if (start === end) {
        offsets[i] = offset;
        sizes[i] = (sizes[i] as number) + size;
        if (i > 0) {
          this.joinNext(i - 1);
        }
        return;
      }
    }
    let at = 0;
    while (at < offsets.length && (offsets[at] as number) < offset) {
      at += 1;
    }
    offsets.splice(at, 0, offset);
    sizes.splice(at, 0, size);
  }

  private joinNext(i: number): void {
    const { offsets, sizes } = this;
    if (i + 1 < offsets.length && (offsets[i] as number) + (sizes[i] as number) === offsets[i + 1]) {
      sizes[i] = (sizes[i] as number) + (sizes[i + 1] as number);
      offsets.splice(i + 1, 1);
      sizes.splice(i + 1, 1);
    }
  }

  private align(bytes: number): number {
    return Math.ceil(bytes / this.alignment) * this.alignment;
  }
}
