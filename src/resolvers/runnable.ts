import type { RunnableConnectionResolvers, RunnableResolvers } from "./types.generated.js";

/** All other fields are properties of the item. */
export const Runnable: RunnableResolvers = {
  speed: ({ speedRun }, args, { services }) => services.speed.speed(speedRun, args),
  cost: ({ speedRun, prices }, args, { now, services }) => services.speed.cost(speedRun, prices, args, now),
};

/** All other fields are properties of the connection. */
export const RunnableConnection: RunnableConnectionResolvers = {
  nearest: (connection, { first }) => connection.nearest(first),
};
