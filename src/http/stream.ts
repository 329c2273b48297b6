import type { IncomingMessage, ServerResponse } from "node:http";
import {
  type DocumentNode,
  type ExecutionResult,
  GraphQLError,
  type GraphQLSchema,
  getOperationAST,
  parse,
  subscribe,
  validate,
} from "graphql";
import type { Context, OperationStream } from "../context.js";
import { formatError } from "../format-error.js";
import type { Log } from "../log.js";
import { measureQuery } from "../plugins/measure-query.js";
import { queryLimits, requireWithinLimits } from "../plugins/query-limits.js";
import { MAX_TOKENS, MAX_VALIDATION_ERRORS } from "../server.js";
import type { BoundedWork } from "./work.js";

/** Streams at once: of one client, more than a browser opens to one server; of all. */
const MAX_STREAMS_PER_CLIENT = 12;
const MAX_STREAMS = 500;
/** Milliseconds between signs of life: proxies and this server close connections that are silent for a minute. */
const HEARTBEAT_MS = 15_000;
/** Milliseconds that a client may take to read what was sent before it is let go. */
const SLOW_MS = 30_000;
/** Milliseconds after which a browser comes back when a stream ends without having been completed. */
const RETRY_MS = 2_000;
/** Seconds to wait when there are too many streams. */
const RETRY_AFTER_SECONDS = "10";

const EVENT_STREAM = "text/event-stream";

/** A request that is not answered by a stream, and why. */
export class StreamError extends Error {
  readonly status: number;
  readonly errors: readonly object[];
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    status: number,
    code: string,
    message: string,
    {
      errors = [{ message, extensions: { code } }],
      headers = {},
    }: Partial<Pick<StreamError, "errors" | "headers">> = {},
  ) {
    super(message);
    this.status = status;
    this.errors = errors;
    this.headers = headers;
  }
}

/** What a stream is made for. */
export interface StreamRequest {
  request: IncomingMessage;
  response: ServerResponse;
  /** The JSON body of a POST, and the search part of the address, as they were admitted. */
  body: unknown;
  search: string;
  /** Bounds of what comes before the first event. */
  work: BoundedWork;
  /** Where the request comes from, to count by. */
  address: string;
  schema: GraphQLSchema;
  corsOrigins: readonly string[];
  log: Log;
  /** The context of the stream's operation. */
  contextOf(stream: OperationStream): Context;
}

/** The streams of a server. */
export interface Streams {
  /**
   * Answers a subscription by server-sent events, as graphql-sse's protocol has it with a connection for each
   * (`next` and `complete`). Each event carries an id to come back with.
   * @throws StreamError when it is refused, Refusal when the client has used up its allowance
   */
  answer(request: StreamRequest): Promise<void>;
  /** Ends all streams without completing them, so that clients come back, to this server or another. */
  close(): void;
}

/** Keeps count of a server's streams. */
export function createStreams(): Streams {
  const open = new Map<AbortController, string>();
  let isClosed = false;

  const requireRoom = (address: string) => {
    const own = [...open.values()].filter((other) => other === address).length;
    const headers = { "retry-after": RETRY_AFTER_SECONDS };
    if (isClosed) throw new StreamError(503, "UNAVAILABLE", "The server is stopping.", { headers });
    if (own >= MAX_STREAMS_PER_CLIENT) {
      const message = `One client may have ${MAX_STREAMS_PER_CLIENT} streams at once. Close some first.`;
      throw new StreamError(429, "TOO_MANY_STREAMS", message, { headers });
    }
    if (open.size >= MAX_STREAMS) {
      throw new StreamError(503, "TOO_MANY_STREAMS", "The server has no room for more streams.", { headers });
    }
  };

  return {
    async answer(exchange) {
      const { request, response, address } = exchange;
      requireRoom(address);
      const ending = new AbortController();
      open.set(ending, address);
      response.once("close", () => ending.abort());
      try {
        const stream: OperationStream = { signal: ending.signal, afterChange: readLastEvent(request), position: null };
        const results = await exchange.work.within(begin(stream, exchange));
        await send(results, stream, ending, exchange);
      } finally {
        open.delete(ending);
        ending.abort();
      }
    },
    close() {
      isClosed = true;
      for (const ending of open.keys()) ending.abort();
    },
  };
}

/** Streams cost a connection: pages of other sites must not open them through their visitors' browsers. */
function requireOwnPage({ request, corsOrigins }: StreamRequest): void {
  const { origin, host } = request.headers;
  const isAllowed = (from: string) =>
    corsOrigins.includes("*") || corsOrigins.includes(from) || (URL.canParse(from) && new URL(from).host === host);
  const isForeign = origin === undefined ? request.headers["sec-fetch-site"] === "cross-site" : !isAllowed(origin);
  if (isForeign)
    throw new StreamError(403, "FORBIDDEN", "Pages of this origin may not open streams; see CORS_ORIGINS.");
}

interface Parameters {
  query: string;
  operationName: string | undefined;
  variables: Record<string, unknown>;
}

function readParameters({ request, search, body }: StreamRequest): Parameters {
  if (request.method !== "GET" && request.method !== "POST") {
    throw new StreamError(405, "METHOD_NOT_ALLOWED", "A stream is asked for by GET or POST.", {
      headers: { allow: "GET, POST" },
    });
  }
  const accepted = request.headers.accept ?? "*/*";
  if (![EVENT_STREAM, "text/*", "*/*"].some((type) => accepted.includes(type))) {
    throw new StreamError(406, "BAD_USER_INPUT", `The answer is a stream: accept ${EVENT_STREAM}.`);
  }
  if (request.method === "POST" && body === undefined) {
    throw new StreamError(415, "BAD_USER_INPUT", "The body must be JSON, with the content type application/json.");
  }
  const given = (request.method === "POST" ? body : readSearch(search)) as Record<string, unknown> | null;
  const { query, operationName, variables } = typeof given === "object" && given !== null ? given : {};
  if (typeof query !== "string" || query === "") {
    throw new StreamError(400, "BAD_USER_INPUT", "`query` must be a GraphQL document with a subscription.");
  }
  if (operationName != null && typeof operationName !== "string") {
    throw new StreamError(400, "BAD_USER_INPUT", "`operationName` must be a text.");
  }
  if (variables != null && (typeof variables !== "object" || Array.isArray(variables))) {
    throw new StreamError(400, "BAD_USER_INPUT", "`variables` must be an object.");
  }
  return { query, operationName: operationName ?? undefined, variables: (variables ?? {}) as Record<string, unknown> };
}

function readSearch(search: string): Record<string, unknown> {
  const searchParams = new URLSearchParams(search);
  const variables = searchParams.get("variables");
  try {
    return {
      query: searchParams.get("query"),
      operationName: searchParams.get("operationName"),
      variables: variables === null || variables === "" ? null : JSON.parse(variables),
    };
  } catch {
    throw new StreamError(400, "BAD_USER_INPUT", "`variables` must be JSON.");
  }
}

/** A valid document whose operation is a subscription within the limits, and what it costs. */
function readDocument({ query, operationName, variables }: Parameters, exchange: StreamRequest): Readable {
  const { schema } = exchange;
  let document: DocumentNode;
  try {
    document = parse(query, { maxTokens: MAX_TOKENS });
  } catch (error) {
    throw refuse([asGraphQLError(error)], "GRAPHQL_PARSE_FAILED", exchange);
  }
  const invalid = validate(schema, document, undefined, { maxErrors: MAX_VALIDATION_ERRORS });
  if (invalid.length > 0) throw refuse(invalid, "GRAPHQL_VALIDATION_FAILED", exchange);
  const operation = getOperationAST(document, operationName);
  if (operation == null) {
    throw new StreamError(400, "OPERATION_RESOLUTION_FAILURE", "`operationName` must say which operation is meant.");
  }
  if (operation.operation !== "subscription") {
    throw new StreamError(400, "BAD_USER_INPUT", `A ${operation.operation} is no stream: send it to /graphql.`);
  }
  try {
    const measure = measureQuery(schema, document, operation, variables, queryLimits.fields);
    requireWithinLimits(measure);
    return { document, cost: measure.cost };
  } catch (error) {
    throw refuse([asGraphQLError(error)], "BAD_USER_INPUT", exchange);
  }
}

interface Readable {
  document: DocumentNode;
  /** Units of one event. */
  cost: number;
}

async function begin(stream: OperationStream, exchange: StreamRequest): Promise<AsyncGenerator<ExecutionResult, void>> {
  const { schema, work } = exchange;
  requireOwnPage(exchange);
  const parameters = readParameters(exchange);
  const { operationName, variables } = parameters;
  const { document, cost } = readDocument(parameters, exchange);
  await work.admit({ cost, isMutation: false });
  const contextValue = exchange.contextOf(stream);
  const results = await subscribe({ schema, document, contextValue, variableValues: variables, operationName });
  if (Symbol.asyncIterator in results) return results as AsyncGenerator<ExecutionResult, void>;
  throw refuse(results.errors ?? [], "INTERNAL_SERVER_ERROR", exchange);
}

function asGraphQLError(error: unknown): GraphQLError {
  return error instanceof GraphQLError ? error : new GraphQLError(String(error));
}

function refuse(errors: readonly GraphQLError[], code: string, exchange: StreamRequest): StreamError {
  const isUnavailable = errors.some(({ extensions }) => extensions.code === "UNAVAILABLE");
  return new StreamError(isUnavailable ? 503 : 400, code, "the operation is refused", {
    errors: publicErrors(errors, code, exchange),
  });
}

/** Errors as queries have them. */
function publicErrors(errors: readonly GraphQLError[], code: string, { log }: StreamRequest): object[] {
  return errors.map((error) => {
    const formatted = error.toJSON();
    return formatError({ ...formatted, extensions: { code, ...formatted.extensions } }, error, log);
  });
}

/** Ids of changes as events carry them. */
const EVENT_ID = /^[1-9]\d{0,14}$/;

/** The change that the last event ended with, of a browser that comes back. */
function readLastEvent(request: IncomingMessage): number | null {
  const id = request.headers["last-event-id"];
  return typeof id === "string" && EVENT_ID.test(id) ? Number(id) : null;
}

async function send(
  results: AsyncGenerator<ExecutionResult, void>,
  stream: OperationStream,
  ending: AbortController,
  exchange: StreamRequest,
): Promise<void> {
  const { response } = exchange;
  response.writeHead(200, {
    "content-type": `${EVENT_STREAM}; charset=utf-8`,
    "cache-control": "no-store",
    // Nothing else comes over this connection, so that a server that stops waits for none.
    connection: "close",
    // Proxies that collect answers would hold events back.
    "x-accel-buffering": "no",
  });
  response.write(`retry: ${RETRY_MS}\n:\n\n`);
  const heartbeat = setInterval(() => {
    if (response.writableNeedDrain) return;
    response.write(":\n\n");
  }, HEARTBEAT_MS);
  try {
    for await (const result of results) {
      if (ending.signal.aborted) break;
      if (!response.write(toEvent(result, stream.position, exchange)) && !(await isRead(response, ending.signal))) {
        response.destroy();
        break;
      }
    }
  } finally {
    clearInterval(heartbeat);
    response.end();
  }
}

function toEvent(result: ExecutionResult, id: number | null, exchange: StreamRequest): string {
  const { data, errors } = result;
  const payload =
    errors === undefined ? { data } : { errors: publicErrors(errors, "INTERNAL_SERVER_ERROR", exchange), data };
  return `event: next\n${id === null ? "" : `id: ${id}\n`}data: ${JSON.stringify(payload)}\n\n`;
}

/** Whether a client reads on in time. */
function isRead(response: ServerResponse, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const end = (read: boolean) => {
      clearTimeout(timeout);
      response.off("drain", onDrain);
      signal.removeEventListener("abort", onAbort);
      resolve(read);
    };
    const onDrain = () => end(true);
    const onAbort = () => end(false);
    const timeout = setTimeout(onAbort, SLOW_MS);
    response.once("drain", onDrain);
    signal.addEventListener("abort", onAbort);
  });
}
