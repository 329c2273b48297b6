import { isSafeUrl } from "./services/access/provider-keys.js";
import type { SignInSettings } from "./services/access/sign-in-provider.js";
import { type Role, roles } from "./services/access/viewer.js";

/** Claim with what somebody may do, by the custom of several providers. */
const DEFAULT_ROLE_CLAIM = "roles";
/** Values that hardly mean anything else where one provider serves several programs. */
const DEFAULT_ROLES: ReadonlyMap<string, Role> = new Map(roles.map((role) => [`vramql-${role.toLowerCase()}`, role]));

const NAMES = ["OIDC_AUDIENCE", "OIDC_JWKS_URL", "OIDC_ROLE_CLAIM", "OIDC_ROLES", "OIDC_NAME_CLAIM"] as const;

/**
 * The settings of signing in through an OpenID provider; null when `OIDC_ISSUER` is not set.
 * @param given the text of a setting; undefined when it is absent or empty
 * @param problems gets a sentence for everything that cannot be used
 */
export function readSignInSettings(
  given: (name: string) => string | undefined,
  problems: string[],
): SignInSettings | null {
  const issuer = given("OIDC_ISSUER");
  if (issuer === undefined) {
    for (const name of NAMES) if (given(name) !== undefined) problems.push(`${name} must go with OIDC_ISSUER.`);
    return null;
  }
  const urls = { OIDC_ISSUER: issuer, OIDC_JWKS_URL: given("OIDC_JWKS_URL") };
  for (const [name, url] of Object.entries(urls)) {
    if (url !== undefined && !isSafeUrl(url)) {
      problems.push(`${name} must be an address that begins with https:// (http:// on this machine only).`);
    }
  }
  const audiences = (given("OIDC_AUDIENCE") ?? "")
    .split(",")
    .map((audience) => audience.trim())
    .filter((audience) => audience !== "");
  if (audiences.length === 0) {
    problems.push("OIDC_AUDIENCE must say what tokens of the provider are for, else any of its tokens would do.");
  }
  return {
    issuer,
    audiences,
    jwksUrl: urls.OIDC_JWKS_URL ?? null,
    roleClaim: given("OIDC_ROLE_CLAIM") ?? DEFAULT_ROLE_CLAIM,
    roles: readRoles(given("OIDC_ROLES"), problems),
    nameClaim: given("OIDC_NAME_CLAIM") ?? null,
  };
}

/** `editors=EDITOR, admins=ADMIN`, or as a JSON object where values have commas in them. */
function readRoles(text: string | undefined, problems: string[]): ReadonlyMap<string, Role> {
  if (text === undefined) return DEFAULT_ROLES;
  const pairs = text.startsWith("{") ? readObject(text) : text.split(",").map(splitPair);
  const named = new Map<string, Role>();
  for (const [value, role] of pairs ?? []) {
    const known = roles.find((candidate) => candidate === role);
    if (known === undefined || value === "") break;
    named.set(value, known);
  }
  if (pairs === null || pairs.length === 0 || named.size < pairs.length) {
    problems.push(
      `OIDC_ROLES must say what the values of the role claim stand for, each once, such as \`editors=EDITOR, admins=ADMIN\` or {"editors": "EDITOR"}; roles are ${roles.join(", ")}.`,
    );
  }
  return named;
}

function splitPair(pair: string): [string, unknown] {
  const end = pair.lastIndexOf("=");
  return end === -1 ? ["", undefined] : [pair.slice(0, end).trim(), pair.slice(end + 1).trim()];
}

function readObject(text: string): [string, unknown][] | null {
  try {
    return Object.entries(JSON.parse(text) as object);
  } catch {
    return null;
  }
}
