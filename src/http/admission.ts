import type { IncomingMessage, ServerResponse } from "node:http";
import type { Backend } from "../services/backend.js";
import { createBodyBudget } from "./body-budget.js";
import { type ClientAccount, noRateLimiter, type RateLimiter } from "./rate-limit.js";
import { readJsonBody } from "./read-body.js";
import type { GraphqlRequest, TrustedDocuments } from "./trusted-documents.js";
import { type BoundedWork, beginWork, createWorkQueues, DEFAULT_HEAVY_AT_WORK, DEFAULT_OPERATION_MS } from "./work.js";
import { overloaded } from "./work-queue.js";

/** What keeps one client from taking what is there for all. */
export interface Protection {
  /** Counts what clients take; nothing is counted if absent. */
  rateLimiter?: RateLimiter;
  /** Milliseconds that an operation may take. */
  operationMs?: number;
  /** Heavy operations at work at the same time. */
  heavyAtWork?: number;
  /** The only documents that are executed; any are if absent. */
  documents?: TrustedDocuments;
}

/** What is asked, and by whom. */
export interface Arrival {
  request: IncomingMessage;
  response: ServerResponse;
  url: URL;
  /** Where the request comes from. */
  address: string;
  backend: Backend;
}

/** A request that may be answered, with the bounds of its work. */
export interface AdmittedRequest extends GraphqlRequest {
  account: ClientAccount;
  readonly work: BoundedWork;
}

/**
 * Reads a request and looks whether it may be answered.
 * @throws BodyError for a body that cannot be used; Refusal for a request that is not answered
 */
export type Admission = (arrival: Arrival) => Promise<AdmittedRequest>;

/** Units of any request, whatever it asks. */
const REQUEST_UNITS = 1;
/** Bytes of a request for a unit: reading 12 MiB of JSON takes as long as an operation of the largest cost. */
const BYTES_PER_UNIT = 2 ** 10;
/** Requests that may be read and answered at once: beyond it, even telling them apart takes more memory than there is. */
const MAX_REQUESTS = 5_000;

/** Builds the admission of one server. */
export function createAdmission(protection: Protection): Admission {
  const { rateLimiter = noRateLimiter, documents } = protection;
  const limits = {
    operationMs: protection.operationMs ?? DEFAULT_OPERATION_MS,
    heavyAtWork: protection.heavyAtWork ?? DEFAULT_HEAVY_AT_WORK,
  };
  const queues = createWorkQueues(limits);
  const budget = createBodyBudget();
  let requests = 0;

  return async ({ request, response, url, address, backend }) => {
    const { authorization } = request.headers;
    const identify = () => backend.access.identify(authorization, address);
    const account = rateLimiter.of({ address, authorization, identify });
    account.charge(REQUEST_UNITS + Math.floor(url.search.length / BYTES_PER_UNIT));
    if (requests >= MAX_REQUESTS) throw overloaded("This server is busy: too many requests are being answered.");
    let bytes = 0;
    requests++;
    response.once("close", () => {
      requests--;
      budget.give(bytes);
    });
    const count = (more: number) => {
      budget.take(more);
      bytes += more;
    };
    const body = request.method === "POST" ? await readJsonBody(request, count) : undefined;
    account.charge(Math.floor(bytes / BYTES_PER_UNIT));
    const asked = { body, search: url.search };
    const admitted = documents === undefined ? asked : documents.admit(asked);
    let work: BoundedWork | undefined;
    return {
      ...admitted,
      account,
      // Begun when it is asked for: an answer that is kept takes none.
      get work() {
        work ??= beginWork({ limits, queues, account, response });
        return work;
      },
    };
  };
}
