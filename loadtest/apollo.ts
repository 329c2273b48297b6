import { ApolloServer } from "@apollo/server";
import { startStandaloneServer } from "@apollo/server/standalone";
import type { Context } from "../src/context.js";
import { openContexts, readApi } from "./resolvers.js";

const { sdl, resolvers } = readApi();
const createContext = await openContexts();
const server = new ApolloServer<Context>({ typeDefs: sdl, resolvers });
const { url } = await startStandaloneServer(server, {
  listen: { port: 0, host: "127.0.0.1" },
  context: async () => createContext(),
});
process.send?.({ port: Number(new URL(url).port) });
