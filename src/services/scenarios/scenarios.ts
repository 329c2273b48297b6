import type { Catalogue } from "../../data/catalogue.js";
import type { ScenarioRow } from "../../data/rows.js";
import type { EstimationService } from "../estimation/types.js";

/** The texts of a scenario with every figure filled in. */
export interface RenderedScenario {
  answer: string;
  explanation: string;
  verdict: string;
  faq: readonly { question: string; answer: string }[];
}

/** Fills in the templates of scenarios over one version of the catalogue. */
export interface ScenarioService {
  render(scenario: ScenarioRow): RenderedScenario;
}

/** Builds the scenario service over one version of the catalogue. */
export function createScenarioService(_catalogue: Catalogue, _estimation: EstimationService): ScenarioService {
  return {
    render() {
      throw new Error("not implemented");
    },
  };
}
