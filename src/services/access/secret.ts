import { createHash, randomBytes, timingSafeEqual } from "node:crypto";

/** 256 bits. */
const SECRET_BYTES = 32;
/** Tells these tokens from others, for people and for scanners that look for lost secrets. */
const PREFIX = "vramql";

/** What a token's text says. */
export interface TokenParts {
  /** The row's id, a UUID. */
  id: string;
  secret: string;
}

/** A new token for a row: its text, to be shown once, and the hash that is kept. */
export function createToken(id: string): { text: string; secretHash: string } {
  const secret = randomBytes(SECRET_BYTES).toString("base64url");
  return { text: `${PREFIX}_${id.replaceAll("-", "")}_${secret}`, secretHash: hashSecret(secret) };
}

/** Takes a token's text apart; null when it is none of ours. */
export function readToken(text: string): TokenParts | null {
  const [, id, secret] = /^vramql_([0-9a-f]{32})_([\w-]{43})$/.exec(text) ?? [];
  if (id === undefined || secret === undefined) return null;
  return { id: id.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5"), secret };
}

/**
 * SHA-256 in hexadecimal. A fast hash is enough, since the secret is no password: of 256 random bits nobody can try
 * a noticeable part, however fast, and there is nothing to salt, as no two secrets are alike.
 */
export function hashSecret(secret: string): string {
  return createHash("sha256").update(secret).digest("hex");
}

/** Compares two secrets in a time that does not tell how much of them agrees. */
export function isSameSecret(secret: string, hash: string): boolean {
  const left = Buffer.from(hashSecret(secret));
  const right = Buffer.from(hash);
  return left.length === right.length && timingSafeEqual(left, right);
}
