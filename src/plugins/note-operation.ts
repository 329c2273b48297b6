import type { ApolloServerPlugin } from "@apollo/server";
import type { Context } from "../context.js";

/** Code of errors that have none of their own. */
const UNEXPECTED = "INTERNAL_SERVER_ERROR";

/** Notes what an operation is called and how it fared, for the log, the metrics and traces. */
export const noteOperationPlugin: ApolloServerPlugin<Context> = {
  async requestDidStart({ contextValue: { operation: note } }) {
    note.executionStartedAt = performance.now();
    return {
      async didResolveOperation({ operation, operationName }) {
        note.name = operationName ?? null;
        note.kind = operation?.operation ?? null;
      },
      async willSendResponse({ response, metrics }) {
        note.executionEndedAt = performance.now();
        if (metrics.persistedQueryHit) note.persistedQuery = "hit";
        else if (metrics.persistedQueryRegister) note.persistedQuery = "registered";
        if (response.body.kind !== "single") return;
        for (const { extensions } of response.body.singleResult.errors ?? []) {
          note.codes.add(typeof extensions?.code === "string" ? extensions.code : UNEXPECTED);
          if (typeof extensions?.id === "string") note.errorIds.push(extensions.id);
        }
      },
    };
  },
};
