import { readFileSync } from "node:fs";
import { ApolloServer } from "@apollo/server";
import {
  ApolloServerPluginCacheControlDisabled,
  ApolloServerPluginUsageReportingDisabled,
} from "@apollo/server/plugin/disabled";
import { makeExecutableSchema } from "@graphql-tools/schema";
import { type DocumentNode, parse } from "graphql";
import type { Context } from "./context.js";
import { planned } from "./execution/planned-schema.js";
import { formatError } from "./format-error.js";
import { createPersistedQueries, type PersistedQueries } from "./http/persisted-queries.js";
import type { Log } from "./log.js";
import { catalogVersionPlugin } from "./plugins/catalog-version.js";
import { httpCachingPlugin } from "./plugins/http-caching.js";
import { httpStatusPlugin } from "./plugins/http-status.js";
import { keepSchemaPlugin } from "./plugins/keep-schema.js";
import { noteOperationPlugin } from "./plugins/note-operation.js";
import { queryLimitsPlugin } from "./plugins/query-limits.js";
import { requestIdPlugin } from "./plugins/request-id.js";
import { subscriptionsElsewherePlugin } from "./plugins/subscriptions-elsewhere.js";
import { takeTurns } from "./plugins/take-turns.js";
import { enforceRoles } from "./resolvers/enforce-roles.js";
import { resolvers } from "./resolvers/resolvers.js";

/** The API contract, beside the folder of this file both as source and compiled. */
const schemaFile = new URL("../schema.graphql", import.meta.url);

/**
 * Tokens of one document: a table of a hundred aliased estimates has about 3,000. The parser stops here, before a
 * large or deeply nested document costs anything.
 */
export const MAX_TOKENS = 5_000;
/** Validation stops after so many errors; nobody reads more. */
export const MAX_VALIDATION_ERRORS = 20;

/** The GraphQL server, not started, without anything that listens. */
export type Api = ApolloServer<Context>;

/** The schema's text, read into a document. */
export function readSchema(): DocumentNode {
  return parse(readFileSync(schemaFile, "utf8"));
}

export interface ApiOptions {
  log: Log;
  /** Where automatic persisted queries are kept; false: queries are sent whole. In memory if absent. */
  persistedQueries?: PersistedQueries | false;
}

/** Builds the GraphQL server over a catalogue. Start it with `start()`, end it with `stop()`. */
export function createApi({ log, persistedQueries = createPersistedQueries() }: ApiOptions): Api {
  const definitions = readSchema();
  const guarded = takeTurns(enforceRoles(resolvers, definitions));
  const schema = makeExecutableSchema({ typeDefs: definitions, resolvers: guarded });
  const api: Api = new ApolloServer<Context>({
    gateway: planned(schema),
    // The catalogue is public, and so is the way to ask for it.
    introspection: true,
    csrfPrevention: true,
    allowBatchedHttpRequests: false,
    // Bounded by itself.
    persistedQueries: persistedQueries && { cache: persistedQueries, ttl: null },
    includeStacktraceInErrorResponses: false,
    stopOnTerminationSignals: false,
    parseOptions: { maxTokens: MAX_TOKENS },
    validationOptions: { maxErrors: MAX_VALIDATION_ERRORS },
    formatError: (formatted, error) => formatError(formatted, error, log),
    logger: log,
    plugins: [
      // It would hook every field, which costs as much as executing them; what caches may keep is said below.
      ApolloServerPluginCacheControlDisabled(),
      // Nothing leaves this server.
      ApolloServerPluginUsageReportingDisabled(),
      noteOperationPlugin,
      keepSchemaPlugin(() => api),
      subscriptionsElsewherePlugin,
      queryLimitsPlugin,
      catalogVersionPlugin,
      requestIdPlugin,
      httpCachingPlugin,
      httpStatusPlugin,
    ],
  });
  return api;
}
