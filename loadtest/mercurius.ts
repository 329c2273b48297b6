import Fastify from "fastify";
import mercurius from "mercurius";
import { listen } from "./listen.js";
import { openContexts, readApi } from "./resolvers.js";

/** A document is compiled from its second use on. */
const COMPILE_AFTER = 1;

const { sdl, resolvers } = readApi();
const createContext = await openContexts();
const server = Fastify();
await server.register(mercurius, {
  schema: sdl,
  resolvers: resolvers as never,
  context: () => createContext() as never,
  jit: COMPILE_AFTER,
});
await server.listen({ port: 0, host: "127.0.0.1" });
listen(server.server.address());
