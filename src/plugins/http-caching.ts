import type { ApolloServerPlugin } from "@apollo/server";
import type { Context } from "../context.js";

/** Caches may keep a query's answer, but ask whether it still holds: an edit is seen at once, and asking is cheap. */
export const REVALIDATE = "public, max-age=0, must-revalidate";
/** Nobody may keep it. */
export const NEVER = "no-store";

/** Says what caches may keep: answers of GET requests without errors and tokens. */
export const httpCachingPlugin: ApolloServerPlugin<Context> = {
  async requestDidStart() {
    return {
      async willSendResponse({ request, response }) {
        const succeeded = response.body.kind === "single" && response.body.singleResult.errors === undefined;
        // An answer to somebody's token is for nobody else.
        const isForAll = request.http?.headers.get("authorization") === undefined;
        const cacheable = succeeded && isForAll && request.http?.method === "GET";
        response.http.headers.set("cache-control", cacheable ? REVALIDATE : NEVER);
      },
    };
  },
};
