import type { IncomingMessage, ServerResponse } from "node:http";

/** Sent with every response. */
const securityHeaders: Readonly<Record<string, string>> = {
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "permissions-policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
  "x-frame-options": "DENY",
};

/** A year in which browsers come by HTTPS only; sent where people reach the server that way. */
const HTTPS_ONLY = "max-age=31536000";

/** What a response that is no page may do in a browser. */
const DATA_POLICY = "default-src 'none'; frame-ancestors 'none'";

/**
 * What the playground may do: its own files only. Its editor sets styles on elements, carries small images and
 * fonts as data, and runs its language services in workers.
 */
export const PAGE_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "worker-src 'self' blob:",
  "style-src 'self' 'unsafe-inline'",
  "font-src 'self' data:",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

/** Headers that pages of allowed origins may send. */
const ALLOWED_HEADERS = [
  "content-type",
  "authorization",
  "last-event-id",
  "apollo-require-preflight",
  "x-apollo-operation-name",
  "x-query-cost",
  "x-request-id",
  "x-min-catalog-version",
  "traceparent",
  "tracestate",
].join(", ");
/** Headers that such pages may read. */
const EXPOSED_HEADERS =
  "etag, ratelimit, ratelimit-policy, retry-after, x-catalog-stale, x-catalog-version, x-request-id";
/** Seconds that a browser may keep the answer to a preflight. */
const PREFLIGHT_SECONDS = "600";

/** @param isHttps whether people reach the server by HTTPS */
export function setSecurityHeaders(response: ServerResponse, isHttps: boolean): void {
  for (const [name, value] of Object.entries(securityHeaders)) response.setHeader(name, value);
  response.setHeader("content-security-policy", DATA_POLICY);
  if (isHttps) response.setHeader("strict-transport-security", HTTPS_ONLY);
}

/** Lets pages of the listed origins read the response; `*` in the list stands for any. */
export function setCorsHeaders(request: IncomingMessage, response: ServerResponse, allowed: readonly string[]): void {
  response.setHeader("vary", "Origin, Accept");
  const { origin } = request.headers;
  if (origin === undefined || !(allowed.includes("*") || allowed.includes(origin))) return;
  response.setHeader("access-control-allow-origin", allowed.includes("*") ? "*" : origin);
  response.setHeader("access-control-expose-headers", EXPOSED_HEADERS);
  if (request.method !== "OPTIONS") return;
  response.setHeader("access-control-allow-methods", "GET, POST");
  response.setHeader("access-control-allow-headers", ALLOWED_HEADERS);
  response.setHeader("access-control-max-age", PREFLIGHT_SECONDS);
}
