import type { Catalogue } from "../data/catalogue.js";
import { createEstimationService } from "./estimation/estimation.js";
import { createSpeedService, type SpeedService } from "./estimation/speed.js";
import type { EstimationService } from "./estimation/types.js";
import { createEvidenceService, type EvidenceService } from "./evidence/evidence.js";
import { createRunnableService, type RunnableService } from "./runnable/runnable.js";
import { createScenarioService, type ScenarioService } from "./scenarios/scenarios.js";

/** What resolvers call, over one version of the catalogue. */
export interface Services {
  estimation: EstimationService;
  evidence: EvidenceService;
  runnable: RunnableService;
  speed: SpeedService;
  scenarios: ScenarioService;
}

const servicesOf = new WeakMap<Catalogue, Services>();

/** The services over a version of the catalogue, kept as long as that version. */
export function servicesFor(catalogue: Catalogue): Services {
  let services = servicesOf.get(catalogue);
  if (services === undefined) {
    const evidence = createEvidenceService(catalogue);
    const estimation = createEstimationService(catalogue, evidence);
    const speed = createSpeedService(catalogue, evidence);
    services = {
      estimation,
      evidence,
      speed,
      runnable: createRunnableService(catalogue, estimation, speed),
      scenarios: createScenarioService(catalogue, estimation),
    };
    servicesOf.set(catalogue, services);
  }
  return services;
}
