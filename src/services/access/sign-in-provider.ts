import { errors, type JWTPayload, jwtVerify } from "jose";
import { ApiError } from "../../errors.js";
import { createProviderKeys, type ProviderKeysOptions, ProviderUnavailableError } from "./provider-keys.js";
import { type Role, roles, type Viewer } from "./viewer.js";

/** How people sign in through an OpenID provider of their own. */
export interface SignInSettings {
  /** The provider, letter for letter as its tokens name it. */
  issuer: string;
  /** What tokens are for; any one of these. */
  audiences: readonly string[];
  /** Where the provider's keys are; null: where its description says. */
  jwksUrl: string | null;
  /** Name of the claim that says what somebody may do, or its path with dots. */
  roleClaim: string;
  /** What the claim's values stand for; others stand for nothing. */
  roles: ReadonlyMap<string, Role>;
  /** Name or path of the claim with the person's name; null: the first of those that are usual. */
  nameClaim: string | null;
}

/** A token of the provider that does not hold. */
export class RefusedTokenError extends Error {
  /** It did hold once, so that it is no guess. */
  readonly isExpired: boolean;

  constructor(message: string, isExpired = false) {
    super(message);
    this.name = "RefusedTokenError";
    this.isExpired = isExpired;
  }
}

/** Reads the tokens of an OpenID provider. */
export interface SignInProvider {
  /** Whether a text has the form of a token that a provider may have signed. */
  mayHaveMade(text: string): boolean;
  /**
   * Who a token stands for.
   * @throws RefusedTokenError for one that does not hold
   * @throws ApiError UNAVAILABLE while the provider's keys cannot be had
   */
  identify(text: string): Promise<Viewer>;
}

/**
 * Signatures that take the provider's private key. The others of RFC 7518 take a secret that this server would have
 * to know, so that a public key could be passed off as one, or nothing at all.
 */
const ALGORITHMS = [
  "RS256",
  "RS384",
  "RS512",
  "PS256",
  "PS384",
  "PS512",
  "ES256",
  "ES384",
  "ES512",
  "EdDSA",
  "Ed25519",
];

/** Kinds of tokens that say who is asking: ID tokens (`JWT` or nothing) and access tokens (RFC 9068). */
const TYPES = new Set<unknown>([undefined, "jwt", "application/jwt", "at+jwt", "application/at+jwt"]);

/** Seconds that the clocks of provider and server may differ. */
const CLOCK_TOLERANCE_SECONDS = 30;

/** Longer ones do not get through HTTP headers. */
const MAX_LENGTH = 16_384;

/** Claims with a person's name, in the order of their use; an address is shown only where there is nothing else. */
const NAME_CLAIMS = ["name", "preferred_username", "email"];

/** Longest parts of what the history calls a person; OpenID Connect bounds `sub` by 255. */
const MAX_NAME_LENGTH = 100;
const MAX_SUBJECT_LENGTH = 255;

const UNAVAILABLE =
  "The sign-in provider does not answer, so that its tokens cannot be checked. Tokens of this server and public reads work. Try again later.";

/** Builds the reader of a provider's tokens; nothing is fetched before the first of them. */
export function createSignInProvider(
  settings: SignInSettings,
  options: Pick<ProviderKeysOptions, "onFailure" | "now"> = {},
): SignInProvider {
  const keys = createProviderKeys({ issuer: settings.issuer, jwksUrl: settings.jwksUrl, ...options });
  return {
    mayHaveMade: (text) => text.length <= MAX_LENGTH && /^[\w-]+\.[\w-]+\.[\w-]*$/.test(text),
    async identify(text) {
      try {
        const { payload, protectedHeader } = await jwtVerify(text, keys, {
          issuer: settings.issuer,
          audience: [...settings.audiences],
          algorithms: ALGORITHMS,
          clockTolerance: CLOCK_TOLERANCE_SECONDS,
          requiredClaims: ["exp", "sub"],
        });
        if (!TYPES.has(protectedHeader.typ?.toLowerCase())) {
          throw new RefusedTokenError("The token is of a kind that says nothing about who is asking.");
        }
        return viewerOf(payload, settings);
      } catch (error) {
        if (error instanceof ProviderUnavailableError) throw new ApiError("UNAVAILABLE", UNAVAILABLE);
        if (error instanceof errors.JOSEError) throw refusalOf(error, settings);
        throw error;
      }
    },
  };
}

/** What is wrong with a token, for whoever sent it. Claims are looked at once the signature holds. */
function refusalOf(error: errors.JOSEError, { issuer, audiences }: SignInSettings): RefusedTokenError {
  if (error instanceof errors.JWTExpired) return new RefusedTokenError("The token has expired. Sign in again.", true);
  if (error instanceof errors.JWTClaimValidationFailed) {
    switch (error.claim) {
      case "iss":
        return new RefusedTokenError(`The token must be from ${issuer}.`);
      case "aud":
        return new RefusedTokenError(`The token must be for the audience ${audiences.join(" or ")}.`);
      case "nbf":
        return new RefusedTokenError("The token is not valid yet.");
      default:
        return new RefusedTokenError(`The token's claim ${error.claim} is missing or wrong.`);
    }
  }
  return new RefusedTokenError("The token's signature does not hold.", false);
}

function viewerOf(claims: JWTPayload, settings: SignInSettings): Viewer {
  const subject = printable(claims.sub, MAX_SUBJECT_LENGTH);
  // Cut or cleaned it might be that of somebody else.
  if (subject === "" || subject !== claims.sub)
    throw new RefusedTokenError("The token's claim sub is missing or wrong.");
  const name = (settings.nameClaim === null ? NAME_CLAIMS : [settings.nameClaim])
    .map((claim) => printable(readClaim(claims, claim), MAX_NAME_LENGTH))
    .find((text) => text !== "" && text !== subject);
  return {
    // Names are chosen, often by those who have them; the subject is the provider's own.
    name: name === undefined ? subject : `${name} (${subject})`,
    role: roleOf(readClaim(claims, settings.roleClaim), settings.roles),
    tokenId: null,
    isAnonymous: false,
  };
}

/** A text on one line without characters that show nothing or turn others around; empty for anything else. */
function printable(value: unknown, maxLength: number): string {
  if (typeof value !== "string") return "";
  const text = value.replace(/\s/g, " ").replace(/\p{C}/gu, "").replace(/ +/g, " ").trim();
  return Array.from(text).slice(0, maxLength).join("");
}

/** The claim of a name, which may have dots in it, or of a path through objects. */
function readClaim(claims: unknown, path: string): unknown {
  if (typeof claims !== "object" || claims === null) return undefined;
  if (Object.hasOwn(claims, path)) return (claims as Record<string, unknown>)[path];
  for (let dot = path.indexOf("."); dot !== -1; dot = path.indexOf(".", dot + 1)) {
    const head = path.slice(0, dot);
    if (!Object.hasOwn(claims, head)) continue;
    const value = readClaim((claims as Record<string, unknown>)[head], path.slice(dot + 1));
    if (value !== undefined) return value;
  }
  return undefined;
}

/** The highest role among a claim's values: a list, or one text with one or several words as in `scope`. */
function roleOf(claim: unknown, named: ReadonlyMap<string, Role>): Role {
  const values = typeof claim === "string" ? [claim, ...claim.split(/\s+/)] : Array.isArray(claim) ? claim : [];
  const held = values.map((value) => named.get(value) ?? "VIEWER");
  return roles.findLast((role) => held.includes(role)) ?? "VIEWER";
}
