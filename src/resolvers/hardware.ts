import type { HardwareFitConnectionResolvers } from "./types.generated.js";

export const HardwareFitConnection: HardwareFitConnectionResolvers = {
  nearest: (connection, { first }) => connection.nearest(first),
};
