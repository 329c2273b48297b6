import { ApiError } from "../../errors.js";

/** What somebody may do, least first. */
export const roles = ["VIEWER", "EDITOR", "ADMIN"] as const;
export type Role = (typeof roles)[number];

/** Who is asking. */
export interface Viewer {
  name: string;
  role: Role;
  /** The token that says so; null for nobody in particular and for the server's own administrator. */
  tokenId: string | null;
  /** No token was sent. */
  isAnonymous: boolean;
}

/** Whoever sends no token. */
export const ANONYMOUS: Viewer = { name: "anonymous", role: "VIEWER", tokenId: null, isAnonymous: true };

/**
 * Refuses whoever has too small a role.
 * @throws ApiError UNAUTHENTICATED without a token, FORBIDDEN with one that does not suffice
 */
export function requireRole(viewer: Viewer, required: Role): void {
  if (roles.indexOf(viewer.role) >= roles.indexOf(required)) return;
  if (viewer.isAnonymous) {
    throw new ApiError(
      "UNAUTHENTICATED",
      `This needs a token of role ${required}, sent as the header \`Authorization: Bearer ...\`.`,
    );
  }
  throw new ApiError("FORBIDDEN", `This needs the role ${required}; the token "${viewer.name}" has ${viewer.role}.`);
}
