import type { Catalogue } from "../../../data/catalogue.js";
import type { ScenarioRow } from "../../../data/rows.js";
import { type Connection, type PageArguments, paginate } from "../../connections/connection.js";
import { requireRow } from "../relations.js";

/** Other scenarios of the same family of models, those of the same model first. */
export function listRelatedScenarios(
  scenario: ScenarioRow,
  page: PageArguments,
  catalogue: Catalogue,
): Connection<ScenarioRow> {
  const familyOf = (row: ScenarioRow) => requireRow(catalogue.models, row.modelId).family;
  const family = familyOf(scenario);
  const related = catalogue.scenarios.rows.filter(
    (row) => row.id !== scenario.id && row.archivedAt === null && familyOf(row) === family,
  );
  return paginate(
    related,
    {
      list: "related",
      keys: [
        { field: "MODEL", direction: "ASC", valueOf: (row) => (row.modelId === scenario.modelId ? 0 : 1) },
        { field: "SLUG", direction: "ASC", valueOf: (row) => row.slug },
      ],
      idOf: (row) => row.id,
    },
    page,
  );
}
