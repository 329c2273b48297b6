import type { ApolloServerPlugin } from "@apollo/server";
import type { Context } from "../context.js";

/** Codes of requests that are sound as HTTP and fail as GraphQL. */
const graphqlFailures = new Set<unknown>([
  "GRAPHQL_PARSE_FAILED",
  "GRAPHQL_VALIDATION_FAILED",
  "BAD_USER_INPUT",
  "QUERY_TOO_COMPLEX",
]);

/** The media type whose status codes say how GraphQL fared. */
const GRAPHQL_RESPONSE_TYPE = "application/graphql-response+json";

/**
 * Answers failures of the GraphQL request itself with 200 to clients that accept plain JSON only, as the
 * GraphQL-over-HTTP specification asks for: such clients take any other status for a fault of the network.
 */
export const httpStatusPlugin: ApolloServerPlugin<Context> = {
  async requestDidStart() {
    return {
      async willSendResponse({ request, response }) {
        if (request.http?.headers.get("accept")?.includes(GRAPHQL_RESPONSE_TYPE)) return;
        if (response.http.status !== 400 || response.body.kind !== "single") return;
        const errors = response.body.singleResult.errors ?? [];
        if (errors.every((error) => graphqlFailures.has(error.extensions?.code))) response.http.status = 200;
      },
    };
  },
};
