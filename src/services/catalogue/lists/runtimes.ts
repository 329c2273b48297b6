import type { RuntimeRow } from "../../../data/rows.js";
import type { CommonFilter, ListDefinition } from "../list.js";
import { type CommonSortField, commonSortValues } from "../list-fields.js";

export type RuntimeSortField = CommonSortField | "NAME";

export const runtimeList: ListDefinition<RuntimeRow, CommonFilter, RuntimeSortField> = {
  name: "runtimes",
  searchTexts: (row) => [row.slug, row.name],
  conditions: {},
  sortValues: { ...commonSortValues, NAME: (row) => row.name.toLowerCase() },
};
