import type { CacheType } from "../estimate.types.js";

/** Half precision: what llama.cpp stores K and V in unless told otherwise. */
export const F16_CACHE: CacheType = { slug: "f16", blockElements: 1, blockBytes: 2 };

/** Single precision: recurrent state and compressor state, whatever K and V are stored in. */
export const F32_CACHE: CacheType = { slug: "f32", blockElements: 1, blockBytes: 4 };

/** Bytes of one row of `width` values; `width` must be a whole number of blocks. */
export function cacheRowBytes(type: CacheType, width: number): number {
  return (width / type.blockElements) * type.blockBytes;
}

/** True for types that pack several values into a block with a shared scale. */
export function isQuantizedCache(type: CacheType): boolean {
  return type.blockElements > 1;
}
