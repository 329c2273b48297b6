import type { Device, EstimateRequest } from "../estimate.types.js";
import { EstimateError } from "../estimate-error.js";
import { UNLIMITED_DEVICE } from "./memory-layout.js";

/** Most tokens or sequences that a request may name; far above any engine's own limit. */
const MOST = 2 ** 31;

/** @throws EstimateError for tokens or sequences that are no whole number from 1 to 2^31. */
export function checkWorkload({
  contextTokens,
  sequences,
}: Pick<EstimateRequest, "contextTokens" | "sequences">): void {
  requireCount(contextTokens, ["contextTokens"]);
  requireCount(sequences, ["sequences"]);
}

/** @throws EstimateError for an engine's setting that is given and no whole number from 1 to 2^31. */
export function checkCounts(settings: Readonly<Record<string, number | undefined>>): void {
  for (const [name, value] of Object.entries(settings)) {
    if (value !== undefined) {
      requireCount(value, ["runtime", name]);
    }
  }
}

/** @throws EstimateError for an engine's setting that is given and not above 0 and up to 1. */
export function checkShares(settings: Readonly<Record<string, number | undefined>>): void {
  for (const [name, value] of Object.entries(settings)) {
    if (value !== undefined && !(value > 0 && value <= 1)) {
      throw new EstimateError(`${name} must be above 0 and at most 1, not ${value}.`, ["runtime", name]);
    }
  }
}

function requireCount(value: number, path: readonly string[]): void {
  if (!Number.isInteger(value) || value < 1 || value > MOST) {
    throw new EstimateError(`${path.at(-1)} must be a whole number from 1 to ${MOST}, not ${value}.`, path);
  }
}

/**
 * The devices of a request; one without limit where it names none.
 *
 * @throws EstimateError for an empty list.
 */
export function requireDevices(request: EstimateRequest, engine: string): Device[] {
  const devices = request.devices ?? [UNLIMITED_DEVICE];
  if (devices.length === 0) {
    throw new EstimateError(`${engine} needs a device here; none is given.`, ["devices"]);
  }
  return devices;
}

/** Bytes of a device that are not the driver's; null where its capacity is not known. */
export function freeBytes({ capacityBytes, reserveBytes = 0 }: Device): number | null {
  return capacityBytes === null ? null : capacityBytes - reserveBytes;
}
