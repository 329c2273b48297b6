import { GraphQLError } from "graphql";

/** Codes of requests that are not answered, for reasons that lie outside of what they ask. */
export type RefusalCode = "RATE_LIMITED" | "OVERLOADED" | "TIMEOUT" | "CANCELLED" | "DOCUMENT_NOT_TRUSTED";

/** Details of a refusal; what is not named here travels in the error's `extensions`. */
export interface RefusalDetails {
  /** Seconds after which the same request may be answered. */
  retryAfterSeconds?: number;
  /** Further headers of the response. */
  headers?: Readonly<Record<string, string>>;
}

/**
 * A request that this server does not answer, now or at all. It is an error of the whole request with a status of
 * HTTP, raised before GraphQL has a part in it as well as within it.
 */
export class Refusal extends GraphQLError {
  readonly status: number;
  readonly code: RefusalCode;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, code: RefusalCode, message: string, details: RefusalDetails = {}) {
    const { retryAfterSeconds, headers = {} } = details;
    const wait = retryAfterSeconds === undefined ? {} : { "retry-after": String(retryAfterSeconds) };
    const all = { ...wait, ...headers };
    super(message, {
      extensions: {
        code,
        ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
        http: { status, headers: new Map(Object.entries(all)) },
      },
    });
    this.status = status;
    this.code = code;
    this.headers = all;
  }
}
