import type { UserErrorCode } from "../../editing/user-error.js";

/** What a hub did not give, and why. The message is for people and has no token in it. */
export class HubError extends Error {
  override readonly name = "HubError";

  constructor(
    readonly code: UserErrorCode,
    message: string,
  ) {
    super(message);
  }
}

/** Header in which the hub says what kind of refusal an answer is. */
const ERROR_CODE_HEADER = "x-error-code";
/** Longest waiting time that is repeated, characters. */
const LONGEST_WAIT = 40;
/** First status that is a fault of the hub itself. */
const FIRST_SERVER_ERROR = 500;

/** The refusal that an answer of the hub is; what it says beyond its status stands in `x-error-code`. */
export function explainRefusal(response: Response, host: string, hasToken: boolean): HubError {
  const { status } = response;
  const code = response.headers.get(ERROR_CODE_HEADER);
  if (code === "GatedRepo") return gated(hasToken);
  if (status === 429) return rateLimited(response.headers.get("retry-after"), host, hasToken);
  if (status === 404) return notFound(code);
  if (status === 401) return unauthorized(code, host, hasToken);
  if (status === 403) {
    return new HubError(
      "PRIVATE",
      `${host} does not let ${hasToken ? "the owner of HUGGINGFACE_TOKEN" : "anybody without a token"} read this. ` +
        "Fine-grained tokens need the right to read public gated repositories, or this repository.",
    );
  }
  if (status === 416) return new HubError("INVALID", "A file ends sooner than its header says: it is cut off.");
  if (status >= FIRST_SERVER_ERROR) {
    return new HubError("UNREACHABLE", `${host} has a fault of its own (status ${status}). Try again later.`);
  }
  return new HubError(
    "UNREACHABLE",
    `${host} answered with status ${status}, which nothing here knows what to do with.`,
  );
}

function gated(hasToken: boolean): HubError {
  const what = hasToken
    ? "The owner of HUGGINGFACE_TOKEN has not been let in: accept its conditions on its page, and wait until they are granted."
    : "Accept its conditions on its page, and set HUGGINGFACE_TOKEN to a token of that account.";
  return new HubError("GATED", `The repository is gated. ${what} Or paste its config.json instead.`);
}

function unauthorized(code: string | null, host: string, hasToken: boolean): HubError {
  if (hasToken && code !== "RepoNotFound") {
    return new HubError(
      "PRIVATE",
      `${host} does not accept HUGGINGFACE_TOKEN: it has expired, was revoked, or is another hub's.`,
    );
  }
  const advice = hasToken
    ? "The owner of HUGGINGFACE_TOKEN may not read it."
    : "Set HUGGINGFACE_TOKEN to a token that may read it, or paste its config.json instead.";
  return new HubError(
    "PRIVATE",
    `There is no such repository on ${host}, or it is private. Look at the name. ${advice}`,
  );
}

function notFound(code: string | null): HubError {
  switch (code) {
    case "RevisionNotFound":
      return new HubError("NOT_FOUND", "The repository has no such revision.");
    case "EntryNotFound":
      return new HubError("NOT_FOUND", "The repository has no such file.");
    default:
      return new HubError(
        "NOT_FOUND",
        "There is no such repository. Look at the name; a private one needs HUGGINGFACE_TOKEN.",
      );
  }
}

function rateLimited(retryAfter: string | null, host: string, hasToken: boolean): HubError {
  const wait = retryAfter !== null && /^[\w ,:]+$/.test(retryAfter) ? retryAfter.slice(0, LONGEST_WAIT) : null;
  const when = wait === null ? "later" : /^\d+$/.test(wait) ? `in ${wait} seconds` : `after ${wait}`;
  const advice = hasToken ? "" : " With HUGGINGFACE_TOKEN set, more requests are allowed.";
  return new HubError("RATE_LIMITED", `${host} allows no more requests for now. Try again ${when}.${advice}`);
}
