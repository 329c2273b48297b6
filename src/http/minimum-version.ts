import type { IncomingMessage } from "node:http";
import { GraphQLError } from "graphql";
import type { CatalogueSource } from "../data/snapshot.js";

/** Header of requests that must not be answered from an older catalogue than the one they know of. */
const HEADER = "x-min-catalog-version";
/** The same as a parameter of the address, and among the `extensions` of a GraphQL request. */
const PARAMETER = "minCatalogVersion";

/** Milliseconds that a request waits for its version: servers learn of an edit within a few. */
const WAIT_MS = 5_000;

/**
 * The version that a request asks for at least: in its header, its address or its extensions, the highest of them.
 * @returns null when it asks for none
 * @throws GraphQLError BAD_USER_INPUT for a version that is no whole number
 */
export function readMinimumVersion(
  { request, url }: { request: IncomingMessage; url: URL },
  body: unknown,
): number | null {
  const extensions = (body as { extensions?: Record<string, unknown> | null } | null | undefined)?.extensions;
  const asked = [request.headers[HEADER], url.searchParams.get(PARAMETER), extensions?.[PARAMETER]];
  const versions = asked.filter((value) => value != null && value !== "").map(readVersion);
  return versions.length === 0 ? null : Math.max(...versions);
}

function readVersion(value: unknown): number {
  const version = typeof value === "string" && /^\d{1,16}$/.test(value) ? Number(value) : value;
  if (typeof version === "number" && Number.isSafeInteger(version) && version >= 0) return version;
  throw new GraphQLError("The least catalogue version must be a whole number.", {
    extensions: { code: "BAD_USER_INPUT", argument: [PARAMETER], http: { status: 400 } },
  });
}

/**
 * Waits until this server has a version of the catalogue, as after an edit on another one.
 * @throws GraphQLError CATALOG_VERSION_NOT_REACHED, to be tried again, when it has not in time
 */
export async function awaitVersion(
  catalogue: Pick<CatalogueSource, "current" | "reach">,
  minimum: number,
): Promise<void> {
  if (await catalogue.reach(minimum, WAIT_MS)) return;
  const { version } = catalogue.current();
  throw new GraphQLError(
    `This server has version ${version} of the catalogue and did not get ${minimum} within ${WAIT_MS / 1_000} s.`,
    {
      extensions: {
        code: "CATALOG_VERSION_NOT_REACHED",
        catalogVersion: version,
        [PARAMETER]: minimum,
        http: { status: 503, headers: new Map([["retry-after", "1"]]) },
      },
    },
  );
}
