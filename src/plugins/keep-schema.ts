import type { ApolloServerPlugin } from "@apollo/server";
import type { GraphQLSchema } from "graphql";
import type { Context } from "../context.js";

const schemas = new WeakMap<object, GraphQLSchema>();

/** Keeps the schema of a server that starts, for what Apollo does not execute. */
export function keepSchemaPlugin(server: () => object): ApolloServerPlugin<Context> {
  return {
    async serverWillStart({ schema }) {
      schemas.set(server(), schema);
    },
  };
}

/** The schema of a started server. @throws Error for one that was not */
export function schemaOf(server: object): GraphQLSchema {
  const schema = schemas.get(server);
  if (schema === undefined) throw new Error("the API is not started");
  return schema;
}
