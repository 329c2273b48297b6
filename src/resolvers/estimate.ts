import { listHardware } from "../services/catalogue/lists/hardware.js";
import { isFailure } from "../services/estimation/outcomes.js";
import { pricesOf } from "../services/estimation/speed.js";
import type { EstimateOutcomeResolvers, EstimateResolvers } from "./types.generated.js";

/** All other fields are properties of the estimate. */
export const Estimate: EstimateResolvers = {
  speed: (estimate, args, { services }) => services.speed.speed(estimate.speedRun, args),
  cost: ({ speedRun, gpus, system }, args, { now, services }) =>
    gpus.length === 0 ? null : services.speed.cost(speedRun, pricesOf(gpus, system), args, now),
  hardware: (estimate, args, { catalogue, services }) => listHardware(services, estimate, args, catalogue),
  bestQuantFormat: (estimate, _, { services }) => services.estimation.bestFormat(estimate),
};

export const EstimateOutcome: EstimateOutcomeResolvers = {
  __resolveType: (outcome) => (isFailure(outcome) ? "EstimateFailure" : "Estimate"),
};
