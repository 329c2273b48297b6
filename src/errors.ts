import { randomUUID } from "node:crypto";

/** Codes in `extensions.code` of errors this program raises itself; GraphQL's own errors keep theirs. */
export type ErrorCode = "BAD_USER_INPUT" | "NOT_FOUND" | "UNAUTHENTICATED" | "FORBIDDEN" | "UNAVAILABLE";

/** An error whose message is meant for the client. `extensions` travel with it. */
export class ApiError extends Error {
  readonly extensions: { readonly code: ErrorCode } & Readonly<Record<string, unknown>>;

  constructor(code: ErrorCode, message: string, details: Readonly<Record<string, unknown>> = {}) {
    super(message);
    this.name = "ApiError";
    this.extensions = { code, ...details };
  }
}

/**
 * An argument that cannot be used. `extensions.argument` is its path in the field's arguments
 * (list indices as decimal strings), `extensions.suggestions` what may have been meant.
 */
export class BadUserInputError extends ApiError {
  readonly argument: readonly string[];
  readonly suggestions: readonly string[];

  constructor(message: string, argument: readonly string[], suggestions: readonly string[] = []) {
    super("BAD_USER_INPUT", message, { argument, ...(suggestions.length > 0 ? { suggestions } : {}) });
    this.name = "BadUserInputError";
    this.argument = argument;
    this.suggestions = suggestions;
  }
}

/** What a client is told of a fault of ours: an id to find it in the log by, nothing else. */
export interface MaskedError {
  id: string;
  message: string;
}

/** Gives an unexpected error an id. */
export function maskError(): MaskedError {
  const id = randomUUID();
  return { id, message: `Something went wrong on the server; its log has the details under ${id}.` };
}
