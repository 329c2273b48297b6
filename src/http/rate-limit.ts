import { createHash } from "node:crypto";
import type { SharedMemory } from "../data/shared-memory.js";
import type { Viewer } from "../services/access/viewer.js";
import { rememberRecent } from "./recent-entries.js";
import { Refusal } from "./refusal.js";
import { type Allowance, type BucketState, createTokenBuckets } from "./token-buckets.js";

/** What clients may take, in units of a query's cost. */
export interface RateLimits {
  /** Of each address that sends no token, or one that does not hold. */
  address: Allowance;
  /** Of each token. */
  token: Allowance;
}

/** Who a request is from, as far as counting goes. */
export interface RequestOrigin {
  /** Where it comes from; see `createClientAddress`. */
  address: string;
  /** Its `Authorization` header. */
  authorization: string | undefined;
  /** Finds out whose token that is; rejects where it does not hold. */
  identify: () => Promise<Viewer>;
}

/** The account of the client that sent a request. */
export interface ClientAccount {
  /** Names the client; for fairness among those who wait. */
  readonly client: string;
  /**
   * Takes units for what the request costs.
   * @throws Refusal RATE_LIMITED when there are not enough
   */
  charge(units: number): void;
  /** Headers that say how the account stands. */
  headers(): Readonly<Record<string, string>>;
}

export interface RateLimiter {
  of(origin: RequestOrigin): ClientAccount;
}

/** Accounts where nothing is counted. */
export const noRateLimiter: RateLimiter = {
  of: ({ address }) => ({ client: `address ${address}`, charge: () => {}, headers: () => ({}) }),
};

/** Milliseconds for which it is remembered whose a token is: the database is not asked for every query. */
const KNOWN_MS = 60_000;
/** Tokens remembered; a few MB. */
const MAX_TOKENS = 10_000;

/** The kinds of account, by the names that headers give them. */
type Kind = keyof RateLimits;

/**
 * Counts what clients take, in token buckets. A token has a bucket of its own once it is known to hold: until then, and
 * for tokens that do not hold, the address pays.
 * @param shared where several servers add up what they counted; each decides by itself, at once, by what it knows
 */
export function createRateLimiter(limits: RateLimits, shared?: SharedMemory): RateLimiter {
  const buckets = createTokenBuckets();
  const holderOf = createTokenHolders();
  const tell = shared === undefined ? () => {} : createTelling(shared, (client, ms) => buckets.drain(client, ms));

  return {
    of(origin) {
      const holder = holderOf(origin);
      const kind: Kind = holder === null ? "address" : "token";
      const allowance = limits[kind];
      const client = holder === null ? `address ${origin.address}` : `token ${holder}`;
      let state: BucketState | undefined;
      return {
        client,
        charge(units) {
          state = buckets.take(client, units, allowance);
          if (!state.allowed) throw tooMany(kind, units, allowance, state);
          tell({ client, units, allowance });
        },
        headers: () => (state === undefined ? {} : describe(kind, allowance, state)),
      };
    },
  };
}

/** Says whose a token is where that is known, else finds it out for the requests that follow. */
function createTokenHolders(): (origin: RequestOrigin) => string | null {
  const known = rememberRecent<{ holder: string | null; until: number }>(MAX_TOKENS);
  return ({ authorization, identify }) => {
    if (authorization === undefined) return null;
    const key = createHash("sha256").update(authorization).digest("base64");
    const time = performance.now();
    const entry = known.get(key);
    if (entry !== undefined && time < entry.until) return entry.holder;
    // Those who were known stay so while they are asked for again.
    const next = { holder: entry?.holder ?? null, until: time + KNOWN_MS };
    known.set(key, next);
    identify().then(
      ({ isAnonymous, tokenId, name }) => {
        next.holder = isAnonymous ? null : (tokenId ?? name);
      },
      () => {
        next.holder = null;
      },
    );
    return next.holder;
  };
}

/** What one client took. */
interface Charge {
  client: string;
  units: number;
  allowance: Allowance;
}

/** Milliseconds within which what was taken is told to the other servers, all at once. */
const TELL_MS = 25;
/** Clients told of at once; a flood of more is not told. */
const MAX_TOLD = 1_000;

/** Tells the shared memory what clients took here, and takes over what they took elsewhere. */
function createTelling(
  shared: SharedMemory,
  drain: (client: string, fullInMs: number) => void,
): (charge: Charge) => void {
  let charges = new Map<string, { addMs: number; mostMs: number }>();
  let timer: NodeJS.Timeout | undefined;

  async function tell(): Promise<void> {
    timer = undefined;
    const told = [...charges].map(([client, charge]) => ({ key: client, ...charge }));
    charges = new Map();
    const debts = await shared.addDebts(told);
    for (const [index, { key }] of told.entries()) {
      const debt = debts?.[index];
      if (debt !== undefined) drain(key, debt);
    }
  }

  return ({ client, units, allowance }) => {
    if (charges.size >= MAX_TOLD && !charges.has(client)) return;
    const unitMs = 1_000 / allowance.unitsPerSecond;
    const addMs = (charges.get(client)?.addMs ?? 0) + units * unitMs;
    charges.set(client, { addMs, mostMs: allowance.burst * unitMs });
    timer ??= setTimeout(() => void tell(), TELL_MS);
    timer.unref();
  };
}

const advice: Record<Kind, string> = {
  address: "Requests with a token may ask for more.",
  token: "Ask for less at once, or less often.",
};

function tooMany(kind: Kind, units: number, allowance: Allowance, state: BucketState): Refusal {
  const message =
    units > allowance.burst
      ? `This costs ${Math.ceil(units)} units of work, more than this server's rate limit of ${allowance.burst} units at once allows. Ask for less.`
      : `Too much was asked for from this ${kind}: ${allowance.unitsPerSecond} units of work a second are allowed, ` +
        `${allowance.burst} at once. It may go on in ${state.waitSeconds} s. ${advice[kind]}`;
  return new Refusal(429, "RATE_LIMITED", message, {
    retryAfterSeconds: state.waitSeconds,
    headers: describe(kind, allowance, state),
  });
}

/** The header fields of draft-ietf-httpapi-ratelimit-headers-10: the bucket, what is left in it, when it is full. */
function describe(kind: Kind, allowance: Allowance, state: BucketState): Record<string, string> {
  const windowSeconds = Math.ceil(allowance.burst / allowance.unitsPerSecond);
  return {
    "ratelimit-policy": `"${kind}";q=${allowance.burst};w=${windowSeconds}`,
    ratelimit: `"${kind}";r=${state.remaining};t=${state.fullSeconds}`,
  };
}
