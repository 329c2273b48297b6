/** Where an answer came from: worked out, kept from an earlier request, or had by the client already (304). */
export type AnswerSource = "computed" | "kept" | "unchanged";

/** What is known of an operation while it is answered: for the log, the metrics and traces. */
export interface Operation {
  readonly requestId: string;
  /** When its request came, on the clock of `performance.now`. */
  readonly startedAt: number;
  /** Header of W3C Trace Context that came with it. */
  readonly traceparent: string | null;
  /** Its name in the document; null when it has none or it was not found out. */
  name: string | null;
  kind: "query" | "mutation" | "subscription" | null;
  /** Units of work; null when they were not counted. */
  cost: number | null;
  /** Distinct codes of its errors. */
  readonly codes: Set<string>;
  /** Ids of errors whose cause only the log tells. */
  readonly errorIds: string[];
  source: AnswerSource;
  /** Whether its document was known by its hash, or was sent to be known from now on; null: neither was asked for. */
  persistedQuery: "hit" | "registered" | null;
  /** When GraphQL took over and gave back, on the clock of `performance.now`. */
  executionStartedAt: number | null;
  executionEndedAt: number | null;
}

/** An operation whose answer has been sent, or whose client is gone. */
export interface AnsweredOperation extends Operation {
  /** Status of HTTP; 499 when the client went away before it had the answer. */
  readonly status: number;
  /** Milliseconds from the request to the end of the answer. */
  readonly ms: number;
}

/** Is told of each operation once it is over. It must not throw. */
export type OperationObserver = (operation: AnsweredOperation) => void;

/** Begins the account of an operation. */
export function beginOperation(requestId: string, traceparent: string | null = null): Operation {
  return {
    requestId,
    startedAt: performance.now(),
    traceparent,
    name: null,
    kind: null,
    cost: null,
    codes: new Set(),
    errorIds: [],
    source: "computed",
    persistedQuery: null,
    executionStartedAt: null,
    executionEndedAt: null,
  };
}
