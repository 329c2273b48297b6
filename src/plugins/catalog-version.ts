import type { ApolloServerPlugin } from "@apollo/server";
import type { Context } from "../context.js";

/** Names the catalogue version that a response was computed from. */
export const CATALOG_VERSION_HEADER = "x-catalog-version";

/** Puts the catalogue version into every response's headers. */
export const catalogVersionPlugin: ApolloServerPlugin<Context> = {
  async requestDidStart() {
    return {
      async willSendResponse({ contextValue, response }) {
        response.http.headers.set(CATALOG_VERSION_HEADER, String(contextValue.catalogue.version));
      },
    };
  },
};
