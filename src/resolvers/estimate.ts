import { listHardware } from "../services/catalogue/lists/hardware.js";
import { isFailure } from "../services/estimation/outcomes.js";
import type { EstimateOutcomeResolvers, EstimateResolvers } from "./types.generated.js";

/** All other fields are properties of the estimate. */
export const Estimate: EstimateResolvers = {
  hardware: (estimate, args, { catalogue, services }) => listHardware(services.estimation, estimate, args, catalogue),
  bestQuantFormat: (estimate, _, { services }) => services.estimation.bestFormat(estimate),
};

export const EstimateOutcome: EstimateOutcomeResolvers = {
  __resolveType: (outcome) => (isFailure(outcome) ? "EstimateFailure" : "Estimate"),
};
