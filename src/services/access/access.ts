import { randomUUID } from "node:crypto";
import type { Database } from "../../data/database.js";
import { ApiError } from "../../errors.js";
import { isRowId } from "../catalogue/global-ids.js";
import type { UserError } from "../editing/user-error.js";
import { whileReachable } from "../while-reachable.js";
import { checkTokenInput, type TokenInput } from "./check-token-input.js";
import { createFailedLogins, type FailedLogins } from "./failed-logins.js";
import { createToken, hashSecret, isSameSecret, readToken } from "./secret.js";
import { RefusedTokenError, type SignInProvider } from "./sign-in-provider.js";
import { ANONYMOUS, type Role, type Viewer } from "./viewer.js";

/** A token as people see it; its secret is not kept. */
export interface ApiTokenModel {
  id: string;
  name: string;
  role: Role;
  createdBy: string;
  createdAt: Date;
  expiresAt: Date;
  revokedBy: string | null;
  revokedAt: Date | null;
  lastUsedAt: Date | null;
}

export interface CreatedToken {
  /** Shown this once; null when it was not made. */
  text: string | null;
  token: ApiTokenModel | null;
  problems: readonly UserError[];
}

/** Says who is asking, and keeps the tokens that say so. */
export interface AccessService {
  /**
   * Who sends this `Authorization` header.
   * @param address where it comes from, for counting failures
   * @throws ApiError UNAUTHENTICATED for a token that does not hold, UNAVAILABLE when it cannot be found out
   */
  identify(header: string | undefined, address: string): Promise<Viewer>;
  createToken(input: TokenInput, creator: Viewer): Promise<CreatedToken>;
  /** Revokes a token; null when there is none of this id. A token revoked before stays as it is. */
  revokeToken(id: string, revoker: Viewer): Promise<ApiTokenModel | null>;
  listTokens(): Promise<ApiTokenModel[]>;
}

/** The server's own administrator, whose token is a setting. */
const SERVER_ADMIN: Viewer = { name: "server administrator", role: "ADMIN", tokenId: null, isAnonymous: false };

/** A use is recorded when the last one is older than this. */
const LAST_USE_RESOLUTION_MS = 60_000;

/** Hashes of tokens that held lately; an address with many failures does not lock these out. */
const MAX_KNOWN_GOOD = 1_000;

/** What of a token is shown. */
const visible = {
  id: true,
  name: true,
  role: true,
  createdBy: true,
  createdAt: true,
  expiresAt: true,
  revokedBy: true,
  revokedAt: true,
  lastUsedAt: true,
} as const;

export interface AccessOptions {
  database: Database;
  /** Token of the first administrator; null when there is none. */
  adminToken: string | null;
  /** Whose tokens are taken beside the server's own; null: nobody's. */
  signIn?: SignInProvider | null;
  failedLogins?: FailedLogins;
  now?: () => Date;
}

/** What clients are told while the database does not answer. */
const UNREACHABLE = "The database does not answer, so that tokens cannot be looked up. Try again later.";

/** Builds the access service over a database. */
export function createAccessService({
  database: { prisma },
  adminToken,
  signIn = null,
  failedLogins = createFailedLogins(),
  now = () => new Date(),
}: AccessOptions): AccessService {
  const adminHash = adminToken === null ? null : hashSecret(adminToken);
  const knownGood = new Set<string>();

  const findViewer = async (text: string): Promise<Viewer | null> => {
    if (adminHash !== null && isSameSecret(text, adminHash)) return SERVER_ADMIN;
    const parts = readToken(text);
    if (parts === null) return signIn?.mayHaveMade(text) ? signIn.identify(text) : null;
    const token = await prisma.apiToken.findUnique({ where: { id: parts.id } });
    if (token === null || !isSameSecret(parts.secret, token.secretHash)) return null;
    if (token.revokedAt !== null || token.expiresAt <= now()) return null;
    const oldest = new Date(now().getTime() - LAST_USE_RESOLUTION_MS);
    if (token.lastUsedAt === null || token.lastUsedAt < oldest) {
      await prisma.apiToken.updateMany({ where: { id: token.id }, data: { lastUsedAt: now() } });
    }
    return { name: token.name, role: token.role, tokenId: token.id, isAnonymous: false };
  };

  const rememberGood = (hash: string) => {
    knownGood.delete(hash);
    knownGood.add(hash);
    const [oldest] = knownGood;
    if (knownGood.size > MAX_KNOWN_GOOD && oldest !== undefined) knownGood.delete(oldest);
  };

  return {
    async identify(header, address) {
      if (header === undefined) return ANONYMOUS;
      const text = /^Bearer +([\x21-\x7e]+) *$/i.exec(header)?.[1];
      if (text === undefined) {
        throw new ApiError("UNAUTHENTICATED", "The Authorization header must be `Bearer` and a token.");
      }
      const hash = hashSecret(text);
      const waitSeconds = knownGood.has(hash) ? 0 : failedLogins.waitSeconds(address);
      if (waitSeconds > 0) {
        throw new ApiError(
          "UNAUTHENTICATED",
          `Too many tokens from this address were refused; it may try again in ${waitSeconds} s.`,
          { retryAfterSeconds: waitSeconds },
        );
      }
      const found = await whileReachable(findViewer(text), UNREACHABLE).catch((error: unknown) => {
        if (error instanceof RefusedTokenError) return error;
        throw error;
      });
      if (found !== null && !(found instanceof RefusedTokenError)) {
        rememberGood(hash);
        return found;
      }
      knownGood.delete(hash);
      // A page that goes on with its user's token after its time guesses nothing, and shares its address with others.
      if (!found?.isExpired) failedLogins.note(address);
      throw new ApiError("UNAUTHENTICATED", found?.message ?? "The token is unknown, expired or revoked.");
    },

    async createToken(input, creator) {
      const { problems, name, role, expiresAt } = checkTokenInput(input, now());
      if (problems.length > 0) return { text: null, token: null, problems };
      const id = randomUUID();
      const { text, secretHash } = createToken(id);
      const data = { id, name, role, secretHash, createdBy: creator.name, createdAt: now(), expiresAt };
      const token = await whileReachable(prisma.apiToken.create({ data, select: visible }), UNREACHABLE);
      return { text, token, problems };
    },

    async revokeToken(id, revoker) {
      if (!isRowId(id)) return null;
      const data = { revokedAt: now(), revokedBy: revoker.name };
      await whileReachable(prisma.apiToken.updateMany({ where: { id, revokedAt: null }, data }), UNREACHABLE);
      return whileReachable(prisma.apiToken.findUnique({ where: { id }, select: visible }), UNREACHABLE);
    },

    listTokens: () =>
      whileReachable(prisma.apiToken.findMany({ select: visible, orderBy: { id: "asc" } }), UNREACHABLE),
  };
}
