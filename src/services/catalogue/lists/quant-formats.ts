import type { QuantFormatRow } from "../../../data/rows.js";
import { isOneOf, isWithin, loadsInOneOf, type Range } from "../conditions.js";
import type { CommonFilter, ListDefinition } from "../list.js";
import { type CommonSortField, commonSortValues } from "../list-fields.js";

export interface QuantFormatFilter extends CommonFilter {
  family?: readonly QuantFormatRow["family"][] | null | undefined;
  bitsPerWeight?: Range<number> | null | undefined;
  runtime?: readonly string[] | null | undefined;
}

export type QuantFormatSortField = CommonSortField | "NAME" | "FAMILY" | "BITS_PER_WEIGHT" | "QUALITY_RANK";

export const quantFormatList: ListDefinition<QuantFormatRow, QuantFormatFilter, QuantFormatSortField> = {
  name: "quantFormats",
  searchTexts: (row) => [row.slug, row.name],
  conditions: {
    family: isOneOf((row) => row.family),
    bitsPerWeight: isWithin((row) => row.bitsPerWeight),
    runtime: loadsInOneOf(),
  },
  sortValues: {
    ...commonSortValues,
    NAME: (row) => row.name.toLowerCase(),
    FAMILY: (row) => row.family,
    BITS_PER_WEIGHT: (row) => row.bitsPerWeight,
    QUALITY_RANK: (row) => row.qualityRank,
  },
};
