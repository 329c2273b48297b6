import type { ApolloServerPlugin } from "@apollo/server";
import type { Context } from "../context.js";

/** Names a request: what clients send is kept, so that one id can follow a call through several services. */
export const REQUEST_ID_HEADER = "x-request-id";

/** Puts the request's id into every response's headers; the history has it too. */
export const requestIdPlugin: ApolloServerPlugin<Context> = {
  async requestDidStart() {
    return {
      async willSendResponse({ contextValue, response }) {
        response.http.headers.set(REQUEST_ID_HEADER, contextValue.requestId);
      },
    };
  },
};
