import { MIB } from "../../byte-units.js";

/** Sizes are whole multiples of this many bytes. */
const GRANULE = 512;
/** From this size on a tensor gets a segment of its own. */
const LARGE_TENSOR = 10 * MIB;
/** Such segments are whole multiples of this many bytes. */
const SEGMENT_GRANULE = 2 * MIB;
/** A rest of a segment up to this size is not split off: it stays with the tensor. */
const LARGEST_KEPT_REST = MIB;

/**
 * Bytes that PyTorch's caching allocator counts as allocated for a tensor of `bytes` bytes. The engines print weights
 * by this count, so that a matrix of 129.5 MiB takes 130.
 *
 * Source: pytorch, c10/cuda/CUDACachingAllocator.cpp (kMinBlockSize, kMinLargeAlloc, kRoundLarge, should_split).
 */
export function allocatedBytes(bytes: number): number {
  const rounded = Math.ceil(bytes / GRANULE) * GRANULE;
  if (rounded < LARGE_TENSOR) {
    return rounded;
  }
  const segment = Math.ceil(rounded / SEGMENT_GRANULE) * SEGMENT_GRANULE;
  return segment - rounded > LARGEST_KEPT_REST ? rounded : segment;
}
