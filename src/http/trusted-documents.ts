import { createHash } from "node:crypto";
import { buildASTSchema, type DocumentNode, type GraphQLSchema, parse, validate } from "graphql";
import { Refusal } from "./refusal.js";

/** What of a request names its document; the address has it as texts. */
export interface GraphqlRequest {
  /** The parsed body; undefined where there is none. */
  body: unknown;
  /** The address's parameters, with the question mark. */
  search: string;
}

/** The documents that a server executes, and no others. */
export interface TrustedDocuments {
  readonly size: number;
  /**
   * A request with the text of its document filled in.
   * @throws Refusal DOCUMENT_NOT_TRUSTED when the document is not on the list
   */
  admit(request: GraphqlRequest): GraphqlRequest;
}

/** A list of documents that cannot be used, a sentence for each problem. */
export class TrustedDocumentsError extends Error {
  constructor(problems: readonly string[]) {
    super(problems.join("\n"));
    this.name = "TrustedDocumentsError";
  }
}

/** The name of a manifest's format, as Apollo's tools write it. */
const MANIFEST_FORMAT = "apollo-persisted-query-manifest";
/** Problems told at once. */
const MAX_PROBLEMS = 10;
/** A prefix of ids that are hashes, after the appendix of GraphQL over HTTP on persisted documents. */
const HASH_PREFIX = "sha256:";
/** Names under which requests give the id: that of GraphQL over HTTP, and that of Relay. */
const ID_PARAMETERS = ["documentId", "doc_id"] as const;

/**
 * Reads a list of documents: an object of texts by id, as Relay's and other compilers write it, or a manifest as
 * Apollo's tools do. Each document can be asked for by its id, by the SHA-256 of its text, and by its exact text.
 * @param json the list's text
 * @throws TrustedDocumentsError when it is neither, or has documents that the schema does not allow
 */
export function readTrustedDocuments(json: string, schema: DocumentNode): TrustedDocuments {
  const entries = readEntries(json);
  if (entries.length === 0) throw new TrustedDocumentsError(["The list of trusted documents is empty."]);
  const problems = checkDocuments(entries, buildASTSchema(schema));
  if (problems.length > 0) throw new TrustedDocumentsError(problems.slice(0, MAX_PROBLEMS));
  const byId = new Map<string, string>();
  const texts = new Set<string>();
  for (const [, text] of entries) {
    byId.set(createHash("sha256").update(text).digest("hex"), text);
    texts.add(text);
  }
  for (const [id, text] of entries) byId.set(id, text);
  return {
    size: texts.size,
    admit({ body, search }) {
      if (body !== undefined) return { body: admitBody(body, byId, texts), search };
      return { body, search: admitSearch(search, byId, texts) };
    },
  };
}

type Entry = readonly [id: string, text: string];

function readEntries(json: string): Entry[] {
  let list: unknown;
  try {
    list = JSON.parse(json);
  } catch {
    throw new TrustedDocumentsError(["The list of trusted documents is not JSON."]);
  }
  const entries = isObject(list)
    ? list.format === MANIFEST_FORMAT
      ? manifestEntries(list)
      : Object.entries(list)
    : [null];
  if (!entries.every(isEntry)) {
    throw new TrustedDocumentsError([
      `The list of trusted documents must be an object of texts by id, or a manifest of the format "${MANIFEST_FORMAT}".`,
    ]);
  }
  return entries;
}

function manifestEntries({ operations }: Record<string, unknown>): unknown[] {
  return Array.isArray(operations) ? operations.map((operation) => [operation?.id, operation?.body]) : [null];
}

function isEntry(value: unknown): value is Entry {
  return Array.isArray(value) && typeof value[0] === "string" && value[0] !== "" && typeof value[1] === "string";
}

function checkDocuments(entries: readonly Entry[], schema: GraphQLSchema): string[] {
  const seen = new Set<string>();
  return entries.flatMap(([id, text]) => {
    if (seen.has(id)) return [`The trusted document "${id}" is there twice.`];
    seen.add(id);
    const reason = problemOf(text, schema);
    return reason === undefined ? [] : [`The trusted document "${id}" cannot be used: ${reason}`];
  });
}

function problemOf(text: string, schema: GraphQLSchema): string | undefined {
  try {
    return validate(schema, parse(text))[0]?.message;
  } catch (error) {
    return (error as Error).message;
  }
}

function admitBody(body: unknown, byId: ReadonlyMap<string, string>, texts: ReadonlySet<string>): unknown {
  // What is no request at all is told so by those who read requests.
  if (!isObject(body)) return body;
  const { extensions, ...rest } = body;
  const { persistedQuery, ...others } = isObject(extensions) ? extensions : {};
  for (const name of ID_PARAMETERS) delete rest[name];
  const query = findText(
    body.query,
    ID_PARAMETERS.map((name) => body[name]).find((value) => value != null) ?? hashOf(persistedQuery),
    byId,
    texts,
  );
  return { ...rest, query, ...(extensions == null ? {} : { extensions: isObject(extensions) ? others : extensions }) };
}

function admitSearch(search: string, byId: ReadonlyMap<string, string>, texts: ReadonlySet<string>): string {
  const parameters = new URLSearchParams(search);
  const { persistedQuery, ...others } = readExtensions(parameters.get("extensions"));
  const id = ID_PARAMETERS.map((name) => parameters.get(name)).find((value) => value !== null);
  for (const name of ID_PARAMETERS) parameters.delete(name);
  parameters.set("query", findText(parameters.get("query"), id ?? hashOf(persistedQuery), byId, texts));
  if (persistedQuery !== undefined) parameters.set("extensions", JSON.stringify(others));
  return `?${parameters}`;
}

/** The text to execute: that of the id, or the one that was sent where it is on the list. */
function findText(query: unknown, id: unknown, byId: ReadonlyMap<string, string>, texts: ReadonlySet<string>): string {
  if (id != null) {
    const text = typeof id === "string" ? (byId.get(id) ?? byId.get(withoutPrefix(id))) : undefined;
    if (text !== undefined && (query == null || query === text)) return text;
  } else if (typeof query === "string" && texts.has(query)) {
    return query;
  }
  throw new Refusal(
    403,
    "DOCUMENT_NOT_TRUSTED",
    "This server executes only the documents that its operator has listed. Send one of them: its text exactly, or its id as `documentId`.",
  );
}

function withoutPrefix(id: string): string {
  return id.startsWith(HASH_PREFIX) ? id.slice(HASH_PREFIX.length) : id;
}

function hashOf(persistedQuery: unknown): unknown {
  return isObject(persistedQuery) ? persistedQuery.sha256Hash : undefined;
}

function readExtensions(text: string | null): Record<string, unknown> {
  try {
    const extensions: unknown = text === null ? {} : JSON.parse(text);
    return isObject(extensions) ? extensions : {};
  } catch {
    return {};
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
