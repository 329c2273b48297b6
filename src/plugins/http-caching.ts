import type { ApolloServerPlugin } from "@apollo/server";
import type { Context } from "../context.js";

/** Caches may keep a query's answer, but ask whether it still holds: an edit is seen at once, and asking is cheap. */
const REVALIDATE = "public, max-age=0, must-revalidate";
const NEVER = "no-store";

/** Says what caches may keep: answers of GET requests without errors. */
export const httpCachingPlugin: ApolloServerPlugin<Context> = {
  async requestDidStart() {
    return {
      async willSendResponse({ request, response }) {
        const succeeded = response.body.kind === "single" && response.body.singleResult.errors === undefined;
        const cacheable = succeeded && request.http?.method === "GET";
        response.http.headers.set("cache-control", cacheable ? REVALIDATE : NEVER);
      },
    };
  },
};
