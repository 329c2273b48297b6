import type { CacheType, EstimateRequest } from "../estimate.types.js";
import { EstimateError } from "../estimate-error.js";

/** The precision of most models' activations: what serving engines store K and V in unless told otherwise. */
export const BF16_CACHE: CacheType = { slug: "bf16", blockElements: 1, blockBytes: 2 };

/** Half precision: what llama.cpp stores K and V in unless told otherwise. */
export const F16_CACHE: CacheType = { slug: "f16", blockElements: 1, blockBytes: 2 };

/** Single precision: recurrent state and compressor state, whatever K and V are stored in. */
export const F32_CACHE: CacheType = { slug: "f32", blockElements: 1, blockBytes: 4 };

/** Bytes of one row of `width` values; `width` must be a whole number of blocks. */
export function cacheRowBytes(type: CacheType, width: number): number {
  return (width / type.blockElements) * type.blockBytes;
}

/**
 * Bytes of one row of `width` values.
 *
 * @throws EstimateError at the setting that asked for the type where the row is no whole number of blocks.
 */
export function requireRowBytes(type: CacheType, width: number, setting: "cacheTypeK" | "cacheTypeV"): number {
  if (width % type.blockElements !== 0) {
    throw new EstimateError(
      `The cache type ${type.slug} stores blocks of ${type.blockElements} values, which do not divide this model's rows of ${width}.`,
      [setting],
      "CACHE_TYPE_NOT_SUPPORTED",
    );
  }
  return cacheRowBytes(type, width);
}

/** How a request stores K and V: V follows K, and K the runtime's default. */
export function requestedTypes(
  { cacheTypeK, cacheTypeV }: Pick<EstimateRequest, "cacheTypeK" | "cacheTypeV">,
  byDefault: CacheType,
): { typeK: CacheType; typeV: CacheType } {
  const typeK = cacheTypeK ?? byDefault;
  return { typeK, typeV: cacheTypeV ?? typeK };
}

/** True for types that pack several values into a block with a shared scale. */
export function isQuantizedCache(type: CacheType): boolean {
  return type.blockElements > 1;
}
