import { createHash, randomUUID } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { setImmediate as nextTurn, setTimeout as wait } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { HeaderMap, type HTTPGraphQLResponse } from "@apollo/server";
import { GraphQLError } from "graphql";
import { createContext, type OperationStream } from "./context.js";
import type { Catalogue } from "./data/catalogue.js";
import type { CatalogueSource } from "./data/snapshot.js";
import { maskError } from "./errors.js";
import { type Admission, type AdmittedRequest, createAdmission, type Protection } from "./http/admission.js";
import { boundConnections, DEFAULT_MAX_CONNECTIONS } from "./http/bound-connections.js";
import { type ClientAddress, createClientAddress } from "./http/client-address.js";
import { PAGE_POLICY, setCorsHeaders, setSecurityHeaders } from "./http/headers.js";
import { createKeptAnswers, type KeptAnswer, type KeptAnswers, requestKeyOf } from "./http/kept-answers.js";
import { createMetricsAccess, type Metrics } from "./http/metrics.js";
import { awaitVersion, readMinimumVersion } from "./http/minimum-version.js";
import { BodyError } from "./http/read-body.js";
import { Refusal } from "./http/refusal.js";
import { readStaticFiles, type StaticFile, type StaticFiles } from "./http/static-files.js";
import { createStreams, StreamError, type Streams } from "./http/stream.js";
import type { Log } from "./log.js";
import { beginOperation, type Operation, type OperationObserver } from "./operation.js";
import { CATALOG_VERSION_HEADER } from "./plugins/catalog-version.js";
import { NEVER, REVALIDATE } from "./plugins/http-caching.js";
import { schemaOf } from "./plugins/keep-schema.js";
import { REQUEST_ID_HEADER } from "./plugins/request-id.js";
import { STREAM_PATH } from "./plugins/subscriptions-elsewhere.js";
import type { Api } from "./server.js";
import type { Backend } from "./services/backend.js";
import { exportedCatalogue } from "./services/catalogue-files/exported-catalogue.js";

/** Milliseconds for a whole request to arrive: a few MB over a slow line, but not one byte a minute. */
const REQUEST_TIMEOUT_MS = 30_000;
/** Milliseconds for its headers. */
const HEADERS_TIMEOUT_MS = 10_000;
/** How often the two are looked at. */
const TIMEOUT_CHECK_MS = 2_000;
/** Milliseconds of silence on a connection, reading or writing, before it is closed. */
const SOCKET_TIMEOUT_MS = 60_000;
/** Milliseconds that an idle connection is kept; longer than the usual 60 s of load balancers, who should close first. */
const KEEP_ALIVE_MS = 65_000;
/** Milliseconds that requests under way have to end when the server stops. */
const DRAIN_MS = 10_000;
/** Milliseconds in which a server that stops still takes connections. */
const LATE_CONNECTIONS_MS = 100;
/** How often connections are looked at meanwhile whose last request has ended. */
const DRAIN_CHECK_MS = 50;
/** Milliseconds that a refused body is read on, so that its sender sees the refusal instead of a broken connection. */
const DISCARD_MS = 5_000;

/** Status, as nginx has it, of answers whose client went away. */
const CLIENT_GONE = 499;
/** Header of answers from a catalogue in memory while the database does not answer: seconds since it was the newest. */
const CATALOG_STALE_HEADER = "x-catalog-stale";

const API_PATH = "/graphql";
const PLAYGROUND_PATH = "/playground/";
const PLAYGROUND_PAGE = "index.html";
/** The playground's files, in the same place seen from source and compiled code. */
const playgroundFolder = new URL("../dist/playground/", import.meta.url);
/** What caches may do with the playground's files: those with a hash in their names never change. */
const FOR_GOOD = "public, max-age=31536000, immutable";
const FOR_MINUTES = "public, max-age=300";
/** Built files carry a hash of their content in their names. */
const hashedName = /[-.][\w-]{8,}\.\w+$/;

/** Where the catalogue comes from; a request asks once and works on what it got. */
export type CurrentCatalogue = Pick<CatalogueSource, "current" | "reach"> &
  Partial<Pick<CatalogueSource, "stale" | "ageMs">>;

export interface HttpOptions {
  api: Api;
  catalogue: CurrentCatalogue;
  backend: Backend;
  /** Origins whose pages may call the API. */
  corsOrigins: readonly string[];
  /** Proxies whose word about where a request comes from is taken; none if absent. See `createClientAddress`. */
  trustedProxies?: readonly string[];
  /** What keeps one client from taking what is there for all. */
  protection?: Protection;
  /** Connections open at the same time; see `boundConnections`. */
  maxConnections?: number;
  /** Whether people reach the server by HTTPS, through a proxy in front. */
  isHttps?: boolean;
  log: Log;
  /** Are told of each operation once it is over. */
  observers?: readonly OperationObserver[];
  /** What `/metrics` shows; it does not exist if absent. */
  metrics?: Pick<Metrics, "render">;
  /** Ranges of addresses that may read them; null: anybody may. This machine's if absent. See `createMetricsAccess`. */
  metricsFrom?: readonly string[] | null;
  /** Folder of the built playground; the one beside the compiled server if absent. */
  playground?: string;
}

/** The server on its port. */
export interface HttpService {
  server: Server;
  /** Takes no more requests, lets those under way end, and closes. `/readyz` says no from the first moment. */
  drain(): Promise<void>;
}

/** What every handler may need. */
interface Exchange extends HttpOptions {
  request: IncomingMessage;
  response: ServerResponse;
  url: URL;
  files: () => StaticFiles;
  answers: KeptAnswers;
  addressOf: ClientAddress;
  admit: Admission;
  mayReadMetrics: (request: IncomingMessage) => boolean;
  streams: Streams;
  isDraining: () => boolean;
}

type Handler = (exchange: Exchange) => Promise<void> | void;

const handlers: Readonly<Record<string, Handler>> = {
  "/": ({ response }) => redirect(response, API_PATH),
  [API_PATH]: answerApi,
  [STREAM_PATH]: answerStream,
  "/healthz": ({ response }) => sendJson(response, 200, { status: "ok" }),
  "/readyz": answerReadiness,
  "/catalog.json": sendCatalogue,
  "/metrics": sendMetrics,
};

/** Builds the HTTP server, not listening yet. The API must be started. */
export function createHttpService(options: HttpOptions): HttpService {
  let draining = false;
  const addressOf = createClientAddress(options.trustedProxies ?? []);
  const admit = createAdmission(options.protection ?? {});
  const { metricsFrom = ["loopback"] } = options;
  const mayReadMetrics = createMetricsAccess(metricsFrom);
  const streams = createStreams();
  const answers = createKeptAnswers();
  const files = readOnceThere(options.playground ?? fileURLToPath(playgroundFolder));
  const shared: Omit<Exchange, "request" | "response" | "url"> = {
    ...options,
    files,
    answers,
    addressOf,
    admit,
    mayReadMetrics,
    streams,
    isDraining: () => draining,
  };
  const server = createServer(
    {
      requestTimeout: REQUEST_TIMEOUT_MS,
      headersTimeout: HEADERS_TIMEOUT_MS,
      connectionsCheckingInterval: TIMEOUT_CHECK_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
    },
    (request, response) => {
      if (draining) response.setHeader("connection", "close");
      const url = parseUrl(request);
      // Inherited, not copied: there are many of them, and most requests need few.
      const exchange: Exchange = Object.assign(Object.create(shared), { request, response, url });
      handle(exchange).catch((error: unknown) => {
        fail(options.log, response, error);
      });
    },
  );
  server.setTimeout(SOCKET_TIMEOUT_MS);
  boundConnections(
    server,
    options.maxConnections ?? DEFAULT_MAX_CONNECTIONS,
    (options.trustedProxies ?? []).length > 0,
  );
  return {
    server,
    async drain() {
      draining = true;
      streams.close();
      // A busy process takes up late what has connected already; closing at once would cut it off.
      await wait(LATE_CONNECTIONS_MS);
      await nextTurn();
      await close(server);
    },
  };
}

/** The playground's files, read at the first request that finds them: they may be built while the server starts. */
function readOnceThere(folder: string): () => StaticFiles {
  let files: StaticFiles = new Map();
  return () => {
    if (files.size === 0) files = readStaticFiles(folder);
    return files;
  };
}

/** The address of most requests, which is not read anew for each. */
const apiUrl = new URL(API_PATH, "http://server");

/** Requests that are not even a path are answered as unknown ones. */
function parseUrl(request: IncomingMessage): URL {
  const target = request.url ?? "/";
  if (target === API_PATH) return apiUrl;
  const base = "http://server";
  return target.startsWith("/") && URL.canParse(base + target) ? new URL(base + target) : new URL("/unknown", base);
}

async function handle(exchange: Exchange): Promise<void> {
  const { request, response, url, corsOrigins, isHttps = false } = exchange;
  setSecurityHeaders(response, isHttps);
  setCorsHeaders(request, response, corsOrigins);
  if (request.method === "OPTIONS") return sendEmpty(response, 204);
  if (url.pathname.startsWith(PLAYGROUND_PATH)) return sendPlaygroundFile(exchange);
  const handler = Object.hasOwn(handlers, url.pathname) ? handlers[url.pathname] : undefined;
  if (handler === undefined) return sendNotFound(response, url);
  return handler(exchange);
}

async function answerApi(exchange: Exchange): Promise<void> {
  const { request, response, url, answers, catalogue, backend, addressOf, admit } = exchange;
  if (request.method === "GET" && request.headers.accept?.includes("text/html")) return sendPlaygroundPage(exchange);
  const operation = observe(exchange);
  markStale(exchange);
  try {
    const admitted = await admit({ request, response, url, backend, address: addressOf(request) });
    for (const [name, value] of Object.entries(admitted.account.headers())) response.setHeader(name, value);
    const shown = catalogue.current();
    const key = requestKeyOf(request, request.method === "GET" ? readSearch(url) : admitted.body);
    const known = key === null ? undefined : answers.find(shown, key);
    if (known !== undefined) return sendKept(exchange, shown, operation, known);
    const { result, source } = await execute(exchange, admitted, operation);
    const answer = source === null || key === null ? null : keepable(result, operation);
    if (source !== null && key !== null && answer !== null) answers.keep(source, key, answer);
    // What the operation took is told as well.
    for (const [name, value] of Object.entries(admitted.account.headers())) response.setHeader(name, value);
    await sendResult(request, response, result);
  } catch (error) {
    operation.codes.add(codeOf(error));
    if (error instanceof BodyError) refuseBody(request, response, error);
    else if (error instanceof Refusal) sendRefusal(request, response, error);
    else throw error;
  }
}

/** Begins the account of an operation, which ends with its answer. */
function observe({ request, response, observers = [] }: Exchange): Operation {
  const { traceparent } = request.headers;
  const operation = beginOperation(readRequestId(request), typeof traceparent === "string" ? traceparent : null);
  response.setHeader(REQUEST_ID_HEADER, operation.requestId);
  response.once("close", () => {
    const ms = performance.now() - operation.startedAt;
    const status = response.writableFinished ? response.statusCode : CLIENT_GONE;
    if (status === 304) operation.source = "unchanged";
    for (const tell of observers) tell({ ...operation, status, ms });
  });
  return operation;
}

function codeOf(error: unknown): string {
  if (error instanceof BodyError) return "BAD_USER_INPUT";
  return error instanceof Refusal ? error.code : "INTERNAL_SERVER_ERROR";
}

/** Says in an answer's header for how many seconds its catalogue may have been overtaken, while the database is away. */
function markStale({ response, catalogue }: Exchange): void {
  if (catalogue.stale) response.setHeader(CATALOG_STALE_HEADER, String(ageSeconds(catalogue)));
}

function ageSeconds(catalogue: CurrentCatalogue): number {
  return Math.round((catalogue.ageMs?.() ?? 0) / 1_000);
}

/** An answer, and the catalogue that is all it depends on; null where it depends on more. */
interface Executed {
  result: HTTPGraphQLResponse;
  source: Catalogue | null;
}

async function execute(
  exchange: Exchange,
  { body, search, work }: AdmittedRequest,
  operation: Operation,
): Promise<Executed> {
  const { request, api, catalogue, backend, addressOf } = exchange;
  let used: Catalogue | null = null;
  let isForAll = true;
  const answered = api.executeHTTPGraphQLRequest({
    httpGraphQLRequest: { method: request.method ?? "GET", headers: toHeaderMap(request), search, body },
    context: async () => {
      const minimum = readMinimumVersion(exchange, body);
      if (minimum !== null) await awaitVersion(catalogue, minimum);
      used = catalogue.current();
      return createContext({
        catalogue: used,
        backend,
        requestId: operation.requestId,
        authorization: request.headers.authorization,
        address: addressOf(request),
        work,
        operation,
        onOwn: () => {
          isForAll = false;
        },
      });
    },
  });
  const result = await work.within(answered);
  return { result, source: isForAll ? used : null };
}

/** Parts of a read by GET as they would stand in a body; null where they are written in a way that Apollo refuses. */
function readSearch({ searchParams }: URL): unknown {
  const parts: Record<string, unknown> = {};
  for (const [name, value] of searchParams) {
    if (Object.hasOwn(parts, name)) return null;
    try {
      parts[name] = name === "variables" || name === "extensions" ? JSON.parse(value) : value;
    } catch {
      return null;
    }
  }
  return "minCatalogVersion" in parts ? null : parts;
}

/** Headers that are made anew for everybody who gets a kept answer. */
const freshHeaders = new Set([REQUEST_ID_HEADER, CATALOG_VERSION_HEADER, "cache-control"]);

/** An answer without errors, as Apollo writes it: with its errors first if there are any. */
function keepable(
  { status, headers, body }: HTTPGraphQLResponse,
  { name, kind, persistedQuery }: Operation,
): KeptAnswer | null {
  if ((status ?? 200) !== 200 || body.kind !== "complete" || !body.string.startsWith('{"data":')) return null;
  const version = headers.get(CATALOG_VERSION_HEADER);
  if (version === undefined) return null;
  const text = body.string;
  let etag: string | undefined;
  return {
    operation: { name, kind, persistedQuery },
    body: text,
    headers: [...headers].filter(([name]) => !freshHeaders.has(name)),
    // Made when the first GET asks for it.
    get etag() {
      etag ??= etagOf(version, text);
      return etag;
    },
  };
}

/** Sends an answer that was made for another request that asked for the same. */
function sendKept(
  { request, response }: Exchange,
  { version }: Catalogue,
  operation: Operation,
  kept: KeptAnswer,
): void {
  Object.assign(operation, kept.operation, { source: "kept" });
  for (const [name, value] of kept.headers) response.setHeader(name, value);
  response.setHeader(CATALOG_VERSION_HEADER, String(version));
  response.setHeader("cache-control", request.method === "GET" ? REVALIDATE : NEVER);
  if (request.method === "GET") {
    response.setHeader("etag", kept.etag);
    if (matches(request.headers["if-none-match"], kept.etag)) {
      response.removeHeader("content-type");
      sendEmpty(response, 304);
      return;
    }
  }
  send(response, kept.body);
}

function etagOf(version: string, body: string): string {
  return `"${version}-${createHash("sha256").update(body).digest("base64url").slice(0, 22)}"`;
}

async function answerStream(exchange: Exchange): Promise<void> {
  const { request, response, url, api, catalogue, backend, addressOf, admit, streams, corsOrigins, log } = exchange;
  const requestId = readRequestId(request);
  const address = addressOf(request);
  response.setHeader(REQUEST_ID_HEADER, requestId);
  try {
    const { body, search, work } = await admit({ request, response, url, backend, address });
    const contextOf = (stream: OperationStream) => {
      const { authorization } = request.headers;
      return createContext({
        catalogue: catalogue.current(),
        backend,
        requestId,
        authorization,
        address,
        work,
        stream,
      });
    };
    const schema = schemaOf(api);
    await streams.answer({ request, response, corsOrigins, log, body, search, work, address, schema, contextOf });
  } catch (error) {
    if (error instanceof BodyError) refuseBody(request, response, error);
    else if (error instanceof Refusal) sendRefusal(request, response, error);
    else if (error instanceof StreamError) sendStreamError(response, error);
    else throw error;
  }
}

function sendStreamError(response: ServerResponse, { status, headers, errors }: StreamError): void {
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  sendJson(response, status, { errors });
}

/** Ids that clients choose: what can stand in a header and a log without harm. */
const REQUEST_ID = /^[\w.:/+=-]{1,128}$/;

function readRequestId(request: IncomingMessage): string {
  const given = request.headers[REQUEST_ID_HEADER];
  return typeof given === "string" && REQUEST_ID.test(given) ? given : randomUUID();
}

function toHeaderMap(request: IncomingMessage): HeaderMap {
  const headers = new HeaderMap();
  for (const [name, value] of Object.entries(request.headers)) {
    if (value !== undefined) headers.set(name, Array.isArray(value) ? value.join(", ") : value);
  }
  return headers;
}

async function sendResult(
  request: IncomingMessage,
  response: ServerResponse,
  { status, headers, body }: HTTPGraphQLResponse,
): Promise<void> {
  for (const [name, value] of headers) response.setHeader(name, value);
  if (body.kind === "chunked") throw new Error("a response in parts, which no operation of this schema has");
  const version = headers.get(CATALOG_VERSION_HEADER);
  if (request.method === "GET" && version !== undefined && headers.get("cache-control") !== "no-store") {
    const etag = etagOf(version, body.string);
    response.setHeader("etag", etag);
    if (matches(request.headers["if-none-match"], etag)) {
      response.removeHeader("content-type");
      return sendEmpty(response, 304);
    }
  }
  response.statusCode = status ?? 200;
  send(response, body.string);
}

/** Whether a client has the version of a tag already; weak and strong tags are the same here. */
function matches(ifNoneMatch: string | undefined, etag: string): boolean {
  const strong = (tag: string) => tag.trim().replace(/^W\//, "");
  const tags = ifNoneMatch?.split(",").map(strong) ?? [];
  return tags.includes("*") || tags.includes(strong(etag));
}

function answerReadiness({ response, catalogue, isDraining }: Exchange): void {
  const isStale = catalogue.stale ?? false;
  const state = {
    catalogVersion: catalogue.current().version,
    catalogAgeSeconds: ageSeconds(catalogue),
    database: isStale ? "unreachable" : "reachable",
  };
  if (isDraining()) sendJson(response, 503, { status: "stopping", ...state });
  // Reads go on from memory: a server that is taken out now would serve nobody.
  else sendJson(response, 200, { status: isStale ? "stale" : "ready", ...state });
}

/** As if it were not there for those who may not read it: nothing about it is anybody else's business. */
async function sendMetrics({ request, response, url, metrics, mayReadMetrics }: Exchange): Promise<void> {
  if (metrics === undefined || !mayReadMetrics(request)) return sendNotFound(response, url);
  const { contentType, text } = await metrics.render();
  response.setHeader("content-type", contentType);
  response.setHeader("cache-control", "no-store");
  send(response, text);
}

/** The catalogue as a file, for backups and forks; caches ask whether it is still the same. */
async function sendCatalogue(exchange: Exchange): Promise<void> {
  const catalogue = await readCatalogue(exchange);
  if (catalogue instanceof GraphQLError) return sendGraphQLError(exchange.response, catalogue);
  exchange.response.setHeader(CATALOG_VERSION_HEADER, String(catalogue.version));
  markStale(exchange);
  const { content, gzipped, etag } = await exportedCatalogue(catalogue);
  const contentType = "application/json; charset=utf-8";
  sendFile(exchange, { contentType, content, etag, gzipped: () => gzipped }, "public, max-age=0, must-revalidate");
}

/** The catalogue at the version that is asked for at least. */
async function readCatalogue(exchange: Exchange): Promise<Catalogue | GraphQLError> {
  try {
    const minimum = readMinimumVersion(exchange, undefined);
    if (minimum !== null) await awaitVersion(exchange.catalogue, minimum);
    return exchange.catalogue.current();
  } catch (error) {
    if (error instanceof GraphQLError) return error;
    throw error;
  }
}

function sendGraphQLError(response: ServerResponse, { message, extensions }: GraphQLError): void {
  const { code, http, ...details } = extensions as { code: string; http: { status: number } };
  sendError(response, http.status, code, message, details);
}

/** How often a browser asks again for a playground that is still being built. */
const BUILD_POLL_SECONDS = 2;

function sendPlaygroundPage(exchange: Exchange): void {
  if (exchange.protection?.documents !== undefined) {
    sendError(exchange.response, 404, "NOT_FOUND", "This server executes listed documents only: it has no playground.");
    return;
  }
  const page = exchange.files().get(PLAYGROUND_PAGE);
  exchange.response.setHeader("content-security-policy", PAGE_POLICY);
  if (page !== undefined) {
    sendFile(exchange, page, "no-cache");
    return;
  }
  exchange.response.setHeader("refresh", String(BUILD_POLL_SECONDS));
  sendError(
    exchange.response,
    404,
    "NOT_FOUND",
    "The playground is not built yet. `npm start` builds it as soon as the server listens, and this page then opens by itself; `npm run build` builds it ahead.",
  );
}

function sendPlaygroundFile(exchange: Exchange): void {
  const { url, files, response } = exchange;
  const name = url.pathname.slice(PLAYGROUND_PATH.length);
  const file = files().get(name);
  if (name === "") redirect(response, API_PATH);
  else if (file === undefined) sendNotFound(response, url);
  else if (name === PLAYGROUND_PAGE) sendPlaygroundPage(exchange);
  else sendFile(exchange, file, hashedName.test(name) ? FOR_GOOD : FOR_MINUTES);
}

function sendFile({ request, response }: Exchange, file: StaticFile, cacheControl: string): void {
  if (request.method !== "GET" && request.method !== "HEAD") {
    response.setHeader("allow", "GET, HEAD");
    sendError(response, 405, "METHOD_NOT_ALLOWED", "This can only be read.");
    return;
  }
  response.setHeader("cache-control", cacheControl);
  response.setHeader("etag", file.etag);
  response.setHeader("vary", "Accept-Encoding, Accept");
  if (matches(request.headers["if-none-match"], file.etag)) {
    sendEmpty(response, 304);
    return;
  }
  response.setHeader("content-type", file.contentType);
  const compress = /\bgzip\b/.test(String(request.headers["accept-encoding"] ?? ""));
  if (compress) response.setHeader("content-encoding", "gzip");
  send(response, compress ? file.gzipped() : file.content);
}

function sendJson(response: ServerResponse, status: number, value: unknown): void {
  response.statusCode = status;
  response.setHeader("content-type", "application/json; charset=utf-8");
  if (!response.hasHeader("cache-control")) response.setHeader("cache-control", "no-store");
  send(response, JSON.stringify(value));
}

/** Errors have the shape of a GraphQL response, whatever was asked for. */
function sendError(
  response: ServerResponse,
  status: number,
  code: string,
  message: string,
  details: object = {},
): void {
  sendJson(response, status, { errors: [{ message, extensions: { code, ...details } }] });
}

function sendNotFound(response: ServerResponse, url: URL): void {
  sendError(response, 404, "NOT_FOUND", `There is nothing at ${url.pathname}.`);
}

function sendEmpty(response: ServerResponse, status: number): void {
  response.statusCode = status;
  response.end();
}

function redirect(response: ServerResponse, location: string): void {
  response.setHeader("location", location);
  sendEmpty(response, 302);
}

/** Sends a body; node leaves it out where the request was HEAD. */
function send(response: ServerResponse, body: string | Buffer): void {
  response.setHeader("content-length", Buffer.byteLength(body));
  response.end(body);
}

/** Bytes of a body that is not looked at and yet read to its end, so that the connection can be used again. */
const SKIPPED_BYTES = 2 ** 16;

function sendRefusal(request: IncomingMessage, response: ServerResponse, refusal: Refusal): void {
  if (response.destroyed) return;
  for (const [name, value] of Object.entries(refusal.headers)) response.setHeader(name, value);
  if (!request.complete) {
    if (Number(request.headers["content-length"] ?? Number.POSITIVE_INFINITY) <= SKIPPED_BYTES) request.resume();
    else discardBody(request, response);
  }
  const { http: _, code: __, ...details } = refusal.extensions;
  sendError(response, refusal.status, refusal.code, refusal.message, details);
}

function refuseBody(request: IncomingMessage, response: ServerResponse, error: BodyError): void {
  discardBody(request, response);
  sendError(response, error.status, "BAD_USER_INPUT", error.message, { argument: [] });
}

/** Reads on for a while what will not be looked at, and closes the connection. */
function discardBody(request: IncomingMessage, response: ServerResponse): void {
  response.setHeader("connection", "close");
  request.resume();
  setTimeout(() => request.destroy(), DISCARD_MS).unref();
}

function fail(log: Log, response: ServerResponse, error: unknown): void {
  if (response.destroyed) return;
  const masked = maskError();
  log.error(`${masked.id}: answering a request`, error);
  if (response.headersSent) response.destroy();
  else sendError(response, 500, "INTERNAL_SERVER_ERROR", masked.message, { id: masked.id });
}

/** Stops listening and waits for requests under way, but not for ever. */
async function close(server: Server): Promise<void> {
  if (!server.listening) return;
  await new Promise<void>((resolve) => {
    const deadline = setTimeout(() => server.closeAllConnections(), DRAIN_MS);
    const check = setInterval(() => server.closeIdleConnections(), DRAIN_CHECK_MS);
    server.close(() => {
      clearTimeout(deadline);
      clearInterval(check);
      resolve();
    });
  });
}
