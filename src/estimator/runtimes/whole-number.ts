import { EstimateError } from "../estimate-error.js";

/** Most tokens or sequences that a request may name; far above any engine's own limit. */
const MOST = 2 ** 31;

/**
 * @throws EstimateError with this path unless the value is a whole number from 1 to 2^31.
 */
export function requireCount(value: number, name: string, path: readonly string[]): void {
  if (!Number.isInteger(value) || value < 1 || value > MOST) {
    throw new EstimateError(`${name} must be a whole number from 1 to ${MOST}, not ${value}.`, path);
  }
}
