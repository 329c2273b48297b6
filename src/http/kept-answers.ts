import type { IncomingMessage } from "node:http";
import type { Catalogue } from "../data/catalogue.js";
import type { Operation } from "../operation.js";

/** An answer that is the same for everybody as long as the catalogue is the same. */
export interface KeptAnswer {
  /** What the log and the metrics are told of it. */
  readonly operation: Pick<Operation, "name" | "kind" | "persistedQuery">;
  readonly body: string;
  /** Headers that do not depend on who asks and how. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly etag: string;
}

/** Answers to reads, ready to be sent again. All belong to one catalogue and go with it. */
export interface KeptAnswers {
  find(catalogue: Catalogue, key: string): KeptAnswer | undefined;
  /** Keeps an answer. One from a catalogue that is no longer current, or too large, is not kept. */
  keep(catalogue: Catalogue, key: string, answer: KeptAnswer): void;
  /** What answers and keys take at most, in bytes. */
  readonly bytes: number;
}

/** Memory for answers and their keys: about a thousand pages with estimates, and little beside the catalogue itself. */
const MAX_BYTES = 64 * 2 ** 20;
/** An answer that takes more than this share of it would push out too many others. */
const MAX_SHARE = 1 / 16;
/** Strings take at most so many bytes a character in memory. */
const BYTES_PER_CHARACTER = 2;
/** About what an entry takes beside its texts. */
const ENTRY_BYTES = 500;
interface Entry {
  answer: KeptAnswer;
  bytes: number;
}

/** @param maxBytes most bytes of answers and keys together; those used longest ago are dropped first */
export function createKeptAnswers(maxBytes = MAX_BYTES): KeptAnswers {
  let current: Catalogue | undefined;
  /** In the order of their last use. */
  const entries = new Map<string, Entry>();
  let bytes = 0;

  function drop(key: string): void {
    bytes -= entries.get(key)?.bytes ?? 0;
    entries.delete(key);
  }

  function show(catalogue: Catalogue): void {
    if (catalogue === current) return;
    current = catalogue;
    entries.clear();
    bytes = 0;
  }

  return {
    find(catalogue, key) {
      show(catalogue);
      const entry = entries.get(key);
      if (entry === undefined) return undefined;
      entries.delete(key);
      entries.set(key, entry);
      return entry.answer;
    },
    keep(catalogue, key, answer) {
      const size = (answer.body.length + key.length) * BYTES_PER_CHARACTER + ENTRY_BYTES;
      if (catalogue !== current || size > maxBytes * MAX_SHARE) return;
      drop(key);
      entries.set(key, { answer, bytes: size });
      bytes += size;
      for (const oldest of entries.keys()) {
        if (bytes <= maxBytes) return;
        drop(oldest);
      }
    },
    get bytes() {
      return bytes;
    },
  };
}

/** Longest request, in characters, that is remembered: a large config.json pasted once is not asked for again. */
const MAX_KEY_LENGTH = 32_768;

/** Deepest value, in levels, whose request is remembered: a config.json has five, and each level takes some of the stack. */
const MAX_KEY_DEPTH = 32;

/** Headers that make an answer something of its own. */
const ownHeaders = ["authorization", "x-query-cost", "x-min-catalog-version"];
/** Headers of which a read by GET has one; without, it is checked for forgery by Apollo. */
const preflightedHeaders = ["apollo-require-preflight", "x-apollo-operation-name"];

/**
 * What a request is known by, however it was written and sent.
 * @param parsed its parts, the fields of objects in any order
 * @returns null for requests whose answers are neither kept nor taken from what is kept
 */
export function requestKeyOf({ method, headers }: IncomingMessage, parsed: unknown): string | null {
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) return null;
  if (ownHeaders.some((name) => headers[name] !== undefined)) return null;
  if (Number(headers["content-length"] ?? 0) > MAX_KEY_LENGTH) return null;
  if (method === "GET") {
    if (headers["content-type"] !== undefined) return null;
    if (!preflightedHeaders.some((name) => headers[name] !== undefined && headers[name] !== "")) return null;
  } else if (method !== "POST") return null;
  const { query, operationName, variables, extensions } = parsed as Record<string, unknown>;
  // A request that also registers its query must be seen each time it is sent.
  if (query != null && extensions != null) return null;
  if (!isWithin(MAX_KEY_DEPTH, parsed)) return null;
  const parts = [query ?? null, operationName ?? null, inOrder(variables ?? {}), inOrder(extensions ?? null)];
  const key = `${headers.accept ?? ""}\n${JSON.stringify(parts)}`;
  return key.length > MAX_KEY_LENGTH ? null : key;
}

/** Whether a value has at most so many levels of lists and objects. */
function isWithin(levels: number, value: unknown): boolean {
  if (typeof value !== "object" || value === null) return true;
  return levels > 0 && Object.values(value).every((part) => isWithin(levels - 1, part));
}

/** A value with the fields of its objects in alphabetical order; lists stay apart from objects by how they begin. */
function inOrder(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return ["list", ...value.map(inOrder)];
  const fields = Object.entries(value).sort(([left], [right]) => (left < right ? -1 : 1));
  return ["object", ...fields.map(([name, field]) => [name, inOrder(field)])];
}
