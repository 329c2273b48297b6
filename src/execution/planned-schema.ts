import type { ApolloServerOptionsWithGateway } from "@apollo/server";
import type { GraphQLSchema } from "graphql";
import { executePlanned } from "./execute-planned.js";

/**
 * A schema for Apollo Server whose operations are executed by plans. A gateway is the place where Apollo lets others
 * execute: all that comes before and after, plugins and the masking of errors, stays as it is.
 */
export function planned(schema: GraphQLSchema): ApolloServerOptionsWithGateway<never>["gateway"] {
  return {
    onSchemaLoadOrUpdate(show) {
      show({ apiSchema: schema, coreSupergraphSdl: "" });
      return () => {};
    },
    load: async () => ({
      executor: async ({ document, operation, request, context }) =>
        executePlanned({
          schema,
          document,
          operation,
          operationName: request.operationName,
          variables: request.variables,
          context,
        }),
    }),
    async stop() {},
  };
}
