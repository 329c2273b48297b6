import type { Catalogue } from "../../../data/catalogue.js";
import type { ModelRow, ScenarioRow } from "../../../data/rows.js";
import { type Connection, type PageArguments, paginate } from "../../connections/connection.js";
import { requireRow } from "../relations.js";

/** What two models can have in common, the closest first. */
const bonds: readonly ((a: ModelRow, b: ModelRow) => boolean)[] = [
  (a, b) => a.id === b.id,
  (a, b) => a.family === b.family,
  (a, b) => a.attention === b.attention,
];

/** Other scenarios: of the same model first, then of its family, then of models with the same kind of attention. */
export function listRelatedScenarios(
  scenario: ScenarioRow,
  page: PageArguments,
  catalogue: Catalogue,
): Connection<ScenarioRow> {
  const modelOf = (row: ScenarioRow) => requireRow(catalogue.models, row.modelId);
  const model = modelOf(scenario);
  const distanceOf = (row: ScenarioRow) => bonds.findIndex((bond) => bond(model, modelOf(row)));
  const related = catalogue.scenarios.rows.filter(
    (row) => row.id !== scenario.id && row.archivedAt === null && distanceOf(row) !== -1,
  );
  return paginate(
    related,
    {
      list: "related",
      keys: [
        { field: "DISTANCE", direction: "ASC", read: distanceOf },
        { field: "SLUG", direction: "ASC", read: (row) => row.slug },
      ],
      idOf: (row) => row.id,
    },
    page,
  );
}
