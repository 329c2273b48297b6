import { runOfFit } from "../services/estimation/speed.js";
import type { HardwareFitConnectionResolvers, HardwareFitResolvers } from "./types.generated.js";

export const HardwareFit: HardwareFitResolvers = {
  speed: (fit, args, { services }) => services.speed.speed(runOfFit(fit), args),
  cost: (fit, args, { services }) => services.speed.cost(runOfFit(fit), fit, args),
};

export const HardwareFitConnection: HardwareFitConnectionResolvers = {
  nearest: (connection, { first }) => connection.nearest(first),
};
