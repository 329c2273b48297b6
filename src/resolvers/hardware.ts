import { warnOfStalePrices } from "../services/catalogue/stale-prices.js";
import { runOfFit } from "../services/estimation/speed.js";
import type { HardwareFitConnectionResolvers, HardwareFitResolvers } from "./types.generated.js";

export const HardwareFit: HardwareFitResolvers = {
  speed: (fit, args, { services }) => services.speed.speed(runOfFit(fit), args),
  cost: (fit, args, { now, services }) => services.speed.cost(runOfFit(fit), fit, args, now),
  warnings: ({ gpu, system, warnings }, _, { now }) => [
    ...warnings,
    ...warnOfStalePrices(system === null ? { bought: [gpu], rented: [gpu] } : { systems: [system] }, now),
  ],
};

export const HardwareFitConnection: HardwareFitConnectionResolvers = {
  nearest: (connection, { first }) => connection.nearest(first),
};
