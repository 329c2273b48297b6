import { readFile } from "node:fs/promises";
import type { DocumentNode } from "graphql";
import { ConfigurationError } from "./config.js";
import type { LimitsConfig } from "./config-limits.js";
import { openSharedMemory, type SharedMemory } from "./data/shared-memory.js";
import type { Protection } from "./http/admission.js";
import { createPersistedQueries, type PersistedQueries } from "./http/persisted-queries.js";
import { createRateLimiter } from "./http/rate-limit.js";
import { readTrustedDocuments, type TrustedDocuments, TrustedDocumentsError } from "./http/trusted-documents.js";
import type { Log } from "./log.js";

/** What protects a server, as its settings have it. */
export interface OpenProtection {
  protection: Protection;
  persistedQueries: PersistedQueries | false;
  close(): Promise<void>;
}

/**
 * Builds what protects a server.
 * @param redisUrl memory shared with other servers; null for none
 * @param schema what trusted documents are checked against
 * @throws ConfigurationError for a list of documents that cannot be used
 */
export async function openProtection(
  limits: LimitsConfig,
  redisUrl: string | null,
  schema: DocumentNode,
  log: Log,
): Promise<OpenProtection> {
  const documents = limits.trustedDocuments === null ? null : await loadDocuments(limits.trustedDocuments, schema);
  const shared = redisUrl === null ? undefined : await connect(redisUrl, log);
  return {
    protection: {
      operationMs: limits.operationMs,
      heavyAtWork: limits.heavyAtWork,
      ...(limits.rate !== null && { rateLimiter: createRateLimiter(limits.rate, shared) }),
      ...(documents !== null && { documents }),
    },
    // Documents are found by the list alone.
    persistedQueries: documents === null && createPersistedQueries(shared),
    async close() {
      await shared?.close();
    },
  };
}

function connect(url: string, log: Log): Promise<SharedMemory> {
  return openSharedMemory(url, {
    onLost: (error) =>
      log.warn("Redis does not answer; persisted queries and rate limits are this server's own meanwhile", error),
    onFound: () => log.info("Redis answers again"),
  });
}

async function loadDocuments(path: string, schema: DocumentNode): Promise<TrustedDocuments> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    throw new ConfigurationError([`TRUSTED_DOCUMENTS: ${path} cannot be read: ${(error as Error).message}.`]);
  }
  try {
    return readTrustedDocuments(text, schema);
  } catch (error) {
    if (error instanceof TrustedDocumentsError) throw new ConfigurationError([`TRUSTED_DOCUMENTS: ${error.message}`]);
    throw error;
  }
}
