import { encodeGlobalId } from "../services/catalogue/global-ids.js";
import { listHardware } from "../services/catalogue/lists/hardware.js";
import { listRelatedScenarios } from "../services/catalogue/lists/related-scenarios.js";
import { requireRow } from "../services/catalogue/relations.js";
import type { ScenarioResolvers } from "./types.generated.js";

export const Scenario: ScenarioResolvers = {
  id: (scenario) => encodeGlobalId("Scenario", scenario.id),
  model: (scenario, _, { catalogue }) => requireRow(catalogue.models, scenario.modelId),
  quantFormat: (scenario, _, { catalogue }) => requireRow(catalogue.quantFormats, scenario.quantFormatId),
  estimate: (scenario, _, { services }) => services.estimation.estimateScenario(scenario),
  hardware: (scenario, args, { catalogue, services }) =>
    listHardware(services, services.estimation.estimateScenario(scenario), args, catalogue),
  answer: (scenario, _, { services }) => services.scenarios.render(scenario).answer,
  explanation: (scenario, _, { services }) => services.scenarios.render(scenario).explanation,
  verdict: (scenario, _, { services }) => services.scenarios.render(scenario).verdict,
  faq: (scenario, _, { services }) => services.scenarios.render(scenario).faq,
  related: (scenario, page, { catalogue }) => listRelatedScenarios(scenario, page, catalogue),
  templates: (scenario) => scenario,
  history: (scenario, page, { backend }) => backend.audit.listOfRow(scenario.id, page),
};
