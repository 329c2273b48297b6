import { createHash } from "node:crypto";
import type { SharedMemory } from "../data/shared-memory.js";

/** Bytes of text kept, at two a character: tens of thousands of usual queries. */
const MAX_BYTES = 32 * 2 ** 20;
/** Characters of the longest document kept, several times a full one without comments: longer ones are sent each time. */
const MAX_CHARACTERS = 2 ** 17;
const BYTES_PER_CHARACTER = 2;
/** Of an entry beside its text: its key and its place in the table. */
const BYTES_PER_ENTRY = 250;
/** A week: a front end of which nobody uses a query any longer has been replaced by a newer one. */
const SHARED_SECONDS = 7 * 24 * 3_600;

/** Texts of queries by a key that ends in their SHA-256 in hexadecimal. */
export interface PersistedQueries {
  get(key: string): Promise<string | undefined>;
  set(key: string, text: string): Promise<void>;
  delete(key: string): Promise<void>;
}

/**
 * Where automatic persisted queries are kept: in memory, those used longest ago dropped first, and beside that in the
 * memory that several servers share, so that a query sent to one is known to all.
 */
export function createPersistedQueries(shared?: SharedMemory): PersistedQueries {
  const texts = new Map<string, string>();
  let bytes = 0;

  const sizeOf = (text: string) => BYTES_PER_ENTRY + text.length * BYTES_PER_CHARACTER;
  function drop(key: string): void {
    const text = texts.get(key);
    if (text !== undefined && texts.delete(key)) bytes -= sizeOf(text);
  }
  function keep(key: string, text: string): void {
    drop(key);
    texts.set(key, text);
    bytes += sizeOf(text);
    for (const oldest of texts.keys()) {
      if (bytes <= MAX_BYTES) break;
      drop(oldest);
    }
  }

  /** What others wrote is not taken at its word. */
  async function getShared(key: string): Promise<string | undefined> {
    const text = await shared?.get(key);
    return text !== undefined && key.endsWith(createHash("sha256").update(text).digest("hex")) ? text : undefined;
  }

  return {
    async get(key) {
      const text = texts.get(key) ?? (await getShared(key));
      if (text !== undefined) keep(key, text);
      return text;
    },
    async set(key, text) {
      if (text.length > MAX_CHARACTERS) return;
      keep(key, text);
      shared?.set(key, text, SHARED_SECONDS);
    },
    async delete(key) {
      drop(key);
    },
  };
}
