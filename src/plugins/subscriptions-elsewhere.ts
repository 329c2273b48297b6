import type { ApolloServerPlugin } from "@apollo/server";
import { GraphQLError } from "graphql";
import type { Context } from "../context.js";

/** Where subscriptions are answered. */
export const STREAM_PATH = "/graphql/stream";

/** Tells whoever sends a subscription as if it were a query where it belongs. */
export const subscriptionsElsewherePlugin: ApolloServerPlugin<Context> = {
  async requestDidStart() {
    return {
      async didResolveOperation({ operation }) {
        if (operation?.operation !== "subscription") return;
        throw new GraphQLError(
          `A subscription is a stream of server-sent events: send it to ${STREAM_PATH} with \`Accept: text/event-stream\`.`,
          { extensions: { code: "BAD_USER_INPUT", stream: STREAM_PATH } },
        );
      },
    };
  },
};
