import { createLocalJWKSet, errors, type JWTVerifyGetKey } from "jose";

/** Milliseconds that the provider has to answer. */
const TIMEOUT_MS = 5_000;
/** Largest answer: a set of keys has a few kilobytes, a provider's description about ten. */
const MAX_ANSWER_BYTES = 2 ** 20;
/** Milliseconds after which keys are fetched again, so that a withdrawn one stops working. */
const MAX_AGE_MS = 10 * 60_000;
/** Milliseconds that keys are used on while the provider cannot be reached. */
const MAX_AGE_UNREACHABLE_MS = 60 * 60_000;
/** Milliseconds between two fetches for the sake of a key that is not there: anybody can make up names of keys. */
const COOL_DOWN_MS = 30_000;
/** Milliseconds after a failed fetch before the next one. */
const RETRY_MS = 5_000;

/** The provider's keys cannot be had; says nothing about the token. */
export class ProviderUnavailableError extends Error {
  constructor(cause: unknown) {
    super("the sign-in provider does not answer as it should", { cause });
    this.name = "ProviderUnavailableError";
  }
}

export interface ProviderKeysOptions {
  /** The provider, as its tokens name it. */
  issuer: string;
  /** Where its keys are; null: where its description at `/.well-known/openid-configuration` says. */
  jwksUrl: string | null;
  onFailure?: (error: unknown) => void;
  /** Milliseconds of a clock that only goes forward. */
  now?: () => number;
}

/**
 * The keys of an OpenID provider, fetched when first needed, kept, and fetched again when they are old or a token
 * names one that is not among them (OpenID Connect Core 1.0, 10.1.1).
 * The function throws ProviderUnavailableError when there are none to go by, and jose's errors for a token without
 * a key among them.
 */
export function createProviderKeys(options: ProviderKeysOptions): JWTVerifyGetKey {
  const { onFailure = () => {}, now = () => performance.now() } = options;
  let kept: { find: JWTVerifyGetKey; at: number } | undefined;
  let failed: { error: ProviderUnavailableError; at: number } | undefined;
  let loading: Promise<JWTVerifyGetKey> | undefined;

  const fetchKeys = async (): Promise<JWTVerifyGetKey> => {
    try {
      const find = createLocalJWKSet((await fetchJson(options.jwksUrl ?? (await discover(options.issuer)))) as never);
      kept = { find, at: now() };
      failed = undefined;
      return find;
    } catch (error) {
      failed = { error: new ProviderUnavailableError(error), at: now() };
      onFailure(error);
      throw failed.error;
    } finally {
      loading = undefined;
    }
  };

  /** One fetch at a time, shared by all who wait, and none right after one that failed. */
  const load = (): Promise<JWTVerifyGetKey> => {
    if (failed !== undefined && now() - failed.at < RETRY_MS) return Promise.reject(failed.error);
    loading ??= fetchKeys();
    return loading;
  };

  const isYoungerThan = (ageMs: number) => kept !== undefined && now() - kept.at < ageMs;

  const current = async (): Promise<JWTVerifyGetKey> => {
    if (kept !== undefined && isYoungerThan(MAX_AGE_MS)) return kept.find;
    try {
      return await load();
    } catch (error) {
      if (kept !== undefined && isYoungerThan(MAX_AGE_UNREACHABLE_MS)) return kept.find;
      throw error;
    }
  };

  return async (header, token) => {
    const find = await current();
    try {
      return await find(header, token);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey) || isYoungerThan(COOL_DOWN_MS)) throw error;
      return (await load())(header, token);
    }
  };
}

/** Where a provider's own description says that its keys are (OpenID Connect Discovery 1.0, 4). */
async function discover(issuer: string): Promise<string> {
  const description = await fetchJson(`${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`);
  const { issuer: named, jwks_uri: keys } = (description ?? {}) as { issuer?: unknown; jwks_uri?: unknown };
  if (named !== issuer) throw new Error(`the provider calls itself ${JSON.stringify(named)}, not "${issuer}"`);
  if (typeof keys !== "string" || !isSafeUrl(keys)) throw new Error("the provider does not say where its keys are");
  return keys;
}

/** Whether nobody in between can change what is fetched from an address: over TLS, or within this machine. */
export function isSafeUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, hostname, username, password } = new URL(text);
  if (username !== "" || password !== "") return false;
  const isHere = hostname === "localhost" || hostname === "[::1]" || /^127(\.\d+){3}$/.test(hostname);
  return protocol === "https:" || (protocol === "http:" && isHere);
}

/** Redirects are refused: keys come from where the settings say, or from nowhere. */
async function fetchJson(url: string): Promise<unknown> {
  const response = await fetch(url, {
    headers: { accept: "application/json, application/jwk-set+json" },
    redirect: "error",
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  if (response.status !== 200 || response.body === null) {
    await response.body?.cancel();
    throw new Error(`${url} answers ${response.status}`);
  }
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
    size += chunk.length;
    if (size > MAX_ANSWER_BYTES) throw new Error(`${url} answers more than ${MAX_ANSWER_BYTES} bytes`);
    chunks.push(chunk);
  }
  return JSON.parse(Buffer.concat(chunks).toString("utf8"));
}
