import type { Catalogue } from "../../data/catalogue.js";
import type { ScenarioRow } from "../../data/rows.js";
import { BadUserInputError } from "../../errors.js";
import type { EstimateModel, EstimationService } from "../estimation/types.js";
import { createScope, describeEstimate, describeFit } from "./scope.js";
import { createTemplateEngine, type TemplateEngine, TemplateError, type TemplateScope } from "./templates.js";

/** The texts of a scenario with every figure filled in. */
export interface RenderedScenario {
  answer: string;
  explanation: string;
  verdict: string;
  faq: readonly { question: string; answer: string }[];
}

/** What is wrong with one text of a scenario. */
export interface ScenarioProblem {
  /** Field and list index: `["faq", "2", "answer"]`. */
  path: readonly string[];
  message: string;
}

/** Fills in the templates of scenarios over one version of the catalogue. */
export interface ScenarioService {
  /** @throws TemplateError for a template that check() would not have let through */
  render(scenario: ScenarioRow): RenderedScenario;
  /** Everything that is wrong with a scenario's settings and texts; empty when it can be saved. */
  check(scenario: ScenarioRow): ScenarioProblem[];
}

/** Builds the scenario service over one version of the catalogue. */
export function createScenarioService(catalogue: Catalogue, estimation: EstimationService): ScenarioService {
  const rendered = new Map<string, RenderedScenario>();

  return {
    render(scenario) {
      const known = rendered.get(scenario.id);
      if (known) return known;
      const { engine, scope } = prepare(scenario, catalogue, estimation);
      const result: RenderedScenario = {
        answer: engine.render(scenario.answer, scope),
        explanation: engine.render(scenario.explanation, scope),
        verdict: engine.render(scenario.verdict, scope),
        faq: scenario.faq.map(({ question, answer }) => ({
          question: engine.render(question, scope),
          answer: engine.render(answer, scope),
        })),
      };
      rendered.set(scenario.id, result);
      return result;
    },

    check(scenario) {
      const { engine, scope } = prepare(scenario, catalogue, estimation);
      try {
        estimation.estimateScenario(scenario);
      } catch (error) {
        if (error instanceof BadUserInputError) return [{ path: error.argument, message: error.message }];
        throw error;
      }
      return templatesOf(scenario).flatMap(({ path, template }) => {
        try {
          engine.check(template, scope);
          engine.render(template, scope);
          return [];
        } catch (error) {
          if (error instanceof TemplateError) return [{ path, message: error.message }];
          throw error;
        }
      });
    },
  };
}

function templatesOf(scenario: ScenarioRow): { path: readonly string[]; template: string }[] {
  return [
    { path: ["answer"], template: scenario.answer },
    { path: ["explanation"], template: scenario.explanation },
    { path: ["verdict"], template: scenario.verdict },
    ...scenario.faq.flatMap(({ question, answer }, index) => [
      { path: ["faq", String(index), "question"], template: question },
      { path: ["faq", String(index), "answer"], template: answer },
    ]),
  ];
}

function prepare(
  scenario: ScenarioRow,
  catalogue: Catalogue,
  estimation: EstimationService,
): { engine: TemplateEngine; scope: TemplateScope } {
  const quantFormat = requireRow(catalogue.quantFormats.byId.get(scenario.quantFormatId));
  const own = (): EstimateModel => estimation.estimateScenario(scenario);
  const scope = createScope({
    scenario,
    model: requireRow(catalogue.models.byId.get(scenario.modelId)),
    quantFormat,
    estimate: own,
    hardware: () =>
      [...estimation.findHardware(own()).fits].sort((a, b) => a.count - b.count || b.headroom - a.headroom),
  });
  const engine = createTemplateEngine({
    estimate: (modelSlug, settings) =>
      asTemplateError(() => {
        const input = { model: { slug: modelSlug }, quant: quantFormat.slug, context: scenario.context, sequences: 1 };
        return describeEstimate(estimation.estimate({ ...input, ...settings }, []));
      }),
    smallestSet: (gpuSlug) =>
      asTemplateError(() => {
        const gpu = catalogue.gpus.bySlug.get(gpuSlug);
        if (!gpu) throw new TemplateError(`unknown GPU "${gpuSlug}"`);
        const fit = estimation.smallestSet(own(), gpu);
        if (!fit) throw new TemplateError(`no set of ${gpu.name} holds this scenario`);
        return describeFit(fit);
      }),
  });
  return { engine, scope };
}

function asTemplateError<Result>(action: () => Result): Result {
  try {
    return action();
  } catch (error) {
    if (error instanceof BadUserInputError) throw new TemplateError(error.message);
    throw error;
  }
}

/** Foreign keys hold within one snapshot. */
function requireRow<Row>(row: Row | undefined): Row {
  if (row === undefined) throw new Error("a row refers to one that is not in the same snapshot");
  return row;
}
