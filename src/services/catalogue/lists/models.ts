import type { ModelRow } from "../../../data/rows.js";
import { isOneOf, isOneOfTexts, isWithin, type Range } from "../conditions.js";
import type { CommonFilter, ListDefinition } from "../list.js";
import { type CommonSortField, commonSortValues } from "../list-fields.js";

export interface ModelFilter extends CommonFilter {
  family?: readonly string[] | null | undefined;
  vendor?: readonly string[] | null | undefined;
  licence?: readonly string[] | null | undefined;
  attention?: readonly ModelRow["attention"][] | null | undefined;
  parameters?: Range<number> | null | undefined;
  activeParameters?: Range<number> | null | undefined;
  contextLength?: Range<number> | null | undefined;
  experts?: Range<number> | null | undefined;
  releasedOn?: Range<string> | null | undefined;
}

export type ModelSortField =
  | CommonSortField
  | "NAME"
  | "FAMILY"
  | "VENDOR"
  | "PARAMETERS"
  | "ACTIVE_PARAMETERS"
  | "CONTEXT_LENGTH"
  | "RELEASED_ON";

export const modelList: ListDefinition<ModelRow, ModelFilter, ModelSortField> = {
  name: "models",
  searchTexts: (row) => [row.slug, row.name, row.huggingFaceRepo],
  conditions: {
    family: isOneOfTexts((row) => row.family),
    vendor: isOneOfTexts((row) => row.vendor),
    licence: isOneOfTexts((row) => row.licence),
    attention: isOneOf((row) => row.attention),
    parameters: isWithin((row) => row.parameters),
    activeParameters: isWithin((row) => row.activeParameters),
    contextLength: isWithin((row) => row.contextLength),
    experts: isWithin((row) => row.experts),
    releasedOn: isWithin((row) => row.releasedOn),
  },
  sortValues: {
    ...commonSortValues,
    NAME: (row) => row.name.toLowerCase(),
    FAMILY: (row) => row.family.toLowerCase(),
    VENDOR: (row) => row.vendor.toLowerCase(),
    PARAMETERS: (row) => row.parameters,
    ACTIVE_PARAMETERS: (row) => row.activeParameters,
    CONTEXT_LENGTH: (row) => row.contextLength,
    RELEASED_ON: (row) => row.releasedOn,
  },
};
