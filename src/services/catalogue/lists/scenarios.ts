import type { ScenarioRow } from "../../../data/rows.js";
import { isOneOfTexts, isWithin, type Range, refersToOneOf } from "../conditions.js";
import type { CommonFilter, ListDefinition } from "../list.js";
import { type CommonSortField, commonSortValues } from "../list-fields.js";
import { requireRow } from "../relations.js";

export interface ScenarioFilter extends CommonFilter {
  model?: readonly string[] | null | undefined;
  family?: readonly string[] | null | undefined;
  quantFormat?: readonly string[] | null | undefined;
  context?: Range<number> | null | undefined;
}

export type ScenarioSortField = CommonSortField | "TITLE" | "CONTEXT" | "PARAMETERS";

export const scenarioList: ListDefinition<ScenarioRow, ScenarioFilter, ScenarioSortField> = {
  name: "scenarios",
  searchTexts: (row, catalogue) => [row.slug, row.title, requireRow(catalogue.models, row.modelId).name],
  conditions: {
    model: refersToOneOf(
      ({ catalogue }) => catalogue.models,
      "model",
      (row) => row.modelId,
    ),
    family: (families, { catalogue }) =>
      isOneOfTexts((row: ScenarioRow) => requireRow(catalogue.models, row.modelId).family)(families),
    quantFormat: refersToOneOf(
      ({ catalogue }) => catalogue.quantFormats,
      "quantization format",
      (row) => row.quantFormatId,
    ),
    context: isWithin((row) => row.context),
  },
  sortValues: {
    ...commonSortValues,
    TITLE: (row) => row.title.toLowerCase(),
    CONTEXT: (row) => row.context,
    PARAMETERS: (row, catalogue) => requireRow(catalogue.models, row.modelId).parameters,
  },
};
