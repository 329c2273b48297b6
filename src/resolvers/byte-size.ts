import type { ByteSizeResolvers } from "./types.generated.js";

const BYTES_PER_MIB = 2 ** 20;
const BYTES_PER_GIB = 2 ** 30;
const BYTES_PER_GB = 1e9;

/** Resolved from a number of bytes; shares of a size (bounds of an interval, a flat overhead) need not be whole. */
export const ByteSize: ByteSizeResolvers = {
  bytes: (bytes) => Math.round(bytes),
  mib: (bytes) => bytes / BYTES_PER_MIB,
  gib: (bytes) => bytes / BYTES_PER_GIB,
  gb: (bytes) => bytes / BYTES_PER_GB,
};

/** Whole bytes of a size in GiB. */
export function bytesOfGib(gib: number): number {
  return Math.round(gib * BYTES_PER_GIB);
}

/** Whole bytes of a size in MiB, null for none. */
export function bytesOfMib(mib: number | null): number | null {
  return mib === null ? null : Math.round(mib * BYTES_PER_MIB);
}
