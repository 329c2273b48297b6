import type { Catalogue } from "../../data/catalogue.js";
import type { ModelRow } from "../../data/rows.js";
import type { Architecture } from "../../estimator/architecture/architecture.js";

const indexes = new WeakMap<Catalogue, ReadonlyMap<ModelRow, Architecture>>();

/**
 * The description of a model, the same object for all models of the catalogue that are described alike: a base model
 * and those trained further from it. What the estimator keeps by description is then computed once for all of them.
 */
export function sharedArchitecture(model: ModelRow, catalogue: Catalogue): Architecture {
  let index = indexes.get(catalogue);
  if (index === undefined) {
    index = indexArchitectures(catalogue.models.rows);
    indexes.set(catalogue, index);
  }
  return index.get(model) ?? model.architecture;
}

function indexArchitectures(models: readonly ModelRow[]): Map<ModelRow, Architecture> {
  const byText = new Map<string, Architecture>();
  const index = new Map<ModelRow, Architecture>();
  for (const model of models) {
    const text = JSON.stringify(model.architecture);
    const architecture = byText.get(text) ?? model.architecture;
    byText.set(text, architecture);
    index.set(model, architecture);
  }
  return index;
}
