import type { RunnableConnectionResolvers } from "./types.generated.js";

/** All other fields are properties of the connection. */
export const RunnableConnection: RunnableConnectionResolvers = {
  nearest: (connection, { first }) => connection.nearest(first),
};
