import { rememberRecent } from "./recent-entries.js";

/** How much a client may take: so much at once, and so much again in the long run. */
export interface Allowance {
  /** What the bucket holds when it is full. */
  burst: number;
  /** What flows into it. */
  unitsPerSecond: number;
}

/** How a bucket stands after a client has asked for something. */
export interface BucketState {
  /** Whether there was enough; what is refused is not taken. */
  allowed: boolean;
  /** Units left. */
  remaining: number;
  /** Seconds until there will be enough for the same again; 0 where there is. */
  waitSeconds: number;
  /** Seconds until the bucket is full. */
  fullSeconds: number;
}

/** Token buckets of many clients. */
export interface TokenBuckets {
  take(client: string, units: number, allowance: Allowance): BucketState;
  /** Empties a bucket as far as it is known elsewhere to be emptied: it will be full in so many milliseconds at least. */
  drain(client: string, fullInMs: number): void;
  /** Clients remembered. */
  readonly size: number;
}

/**
 * Clients remembered at most, some 10 MB: half as many are more than ask one server within the half minute that a bucket
 * takes to fill, and whoever comes from ever new addresses is not stopped by counting them.
 */
const MAX_CLIENTS = 100_000;

const SECOND_MS = 1_000;

/**
 * Buckets in memory. A bucket is one number: when it will be full again; a client that takes something puts that off.
 * @param now milliseconds of a clock that only goes forward
 */
export function createTokenBuckets(now: () => number = () => performance.now()): TokenBuckets {
  const fullAt = rememberRecent<number>(MAX_CLIENTS);

  return {
    take(client, units, { burst, unitsPerSecond }) {
      const unitMs = SECOND_MS / unitsPerSecond;
      const time = now();
      const missing = Math.max(0, (fullAt.get(client) ?? 0) - time);
      const wanted = missing + units * unitMs;
      const excess = wanted - burst * unitMs;
      const allowed = excess <= 0;
      if (allowed) fullAt.set(client, time + wanted);
      const left = allowed ? wanted : missing;
      return {
        allowed,
        remaining: Math.max(0, Math.floor(burst - left / unitMs)),
        waitSeconds: allowed ? 0 : Math.ceil(excess / SECOND_MS),
        fullSeconds: Math.ceil(left / SECOND_MS),
      };
    },
    drain(client, fullInMs) {
      const time = now() + fullInMs;
      if (time > (fullAt.get(client) ?? 0)) fullAt.set(client, time);
    },
    get size() {
      return fullAt.size;
    },
  };
}
