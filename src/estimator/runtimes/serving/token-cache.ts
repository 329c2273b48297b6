import type { EstimateRequest, KvCacheKind, KvCacheLayerGroup } from "../../estimate.types.js";
import type { DeviceEntry } from "./device-entries.js";
import type { Stage } from "./sharded-weights.js";

/** Caches that are pools of tokens: bytes of the layers of one stage on one device. */
export interface TokenRates {
  /** Per token of the whole context. */
  full: number;
  /** Per token of layers that look back a window only. */
  windowed: number;
  /** Per sequence, whatever its length. */
  state: number;
}

/** A stage without any cache. */
export const NO_RATES: TokenRates = { full: 0, windowed: 0, state: 0 };

/** Sums the entries of the layers of one stage. */
export function ratesOf(entries: readonly DeviceEntry[], stage: Stage): TokenRates {
  const rates = { full: 0, windowed: 0, state: 0 };
  for (const entry of entries) {
    if (entry.layer < stage.firstLayer || entry.layer >= stage.firstLayer + stage.layers) {
      continue;
    }
    const { full, windowed, state } = ratesOfEntry(entry);
    rates.full += full;
    rates.windowed += windowed;
    rates.state += state;
  }
  return rates;
}

function ratesOfEntry(entry: DeviceEntry): TokenRates {
  if ("stateBytes" in entry) {
    return { full: 0, windowed: 0, state: entry.stateBytes };
  }
  if ("compressorBytesPerToken" in entry) {
    return { full: 0, windowed: 0, state: entry.compressorBytesPerToken * entry.windowTokens };
  }
  if ("entryBytes" in entry) {
    return { full: entry.entryBytes / entry.ratio, windowed: 0, state: 0 };
  }
  return entry.window === undefined
    ? { full: entry.bytesPerToken, windowed: 0, state: 0 }
    : { full: 0, windowed: entry.bytesPerToken, state: 0 };
}

/** Tokens that a request keeps: in whole pages, `windowTokens` of them in layers with a window. */
export interface KeptTokens {
  full: number;
  windowed: number;
  sequences: number;
}

/** Bytes that a request takes of one device's pools. */
export function cacheBytesOf(rates: TokenRates, kept: KeptTokens): number {
  return Math.ceil(kept.sequences * (kept.full * rates.full + kept.windowed * rates.windowed + rates.state));
}

/** One row per kind of cache, over all devices: `copies` devices of each stage hold the same layers. */
export function tokenCacheGroups(
  request: EstimateRequest,
  entries: readonly DeviceEntry[],
  kept: KeptTokens,
  copies: number,
): KvCacheLayerGroup[] {
  const rows = new Map<KvCacheKind, { row: KvCacheLayerGroup; layers: Set<number> }>();
  for (const entry of entries) {
    const rates = ratesOfEntry(entry);
    const known = rows.get(entry.kind) ?? {
      row: { kind: entry.kind, layers: 0, cells: request.sequences * cellsOf(entry, kept), bytes: 0 },
      layers: new Set<number>(),
    };
    known.layers.add(entry.layer);
    known.row.bytes += cacheBytesOf(rates, kept) * copies;
    known.row.layers = known.layers.size;
    rows.set(entry.kind, known);
  }
  return [...rows.values()].map(({ row }) => row);
}

function cellsOf(entry: DeviceEntry, kept: KeptTokens): number {
  if ("stateBytes" in entry || "compressorBytesPerToken" in entry) {
    return 1;
  }
  if ("entryBytes" in entry) {
    return Math.ceil(kept.full / entry.ratio);
  }
  return entry.window === undefined ? kept.full : kept.windowed;
}
