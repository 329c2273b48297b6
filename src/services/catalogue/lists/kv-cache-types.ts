import type { KvCacheTypeRow } from "../../../data/rows.js";
import { isWithin, loadsInOneOf, type Range } from "../conditions.js";
import type { CommonFilter, ListDefinition } from "../list.js";
import { type CommonSortField, commonSortValues } from "../list-fields.js";

export interface KvCacheTypeFilter extends CommonFilter {
  bitsPerValue?: Range<number> | null | undefined;
  runtime?: readonly string[] | null | undefined;
}

export type KvCacheTypeSortField = CommonSortField | "NAME" | "BITS_PER_VALUE";

export const kvCacheTypeList: ListDefinition<KvCacheTypeRow, KvCacheTypeFilter, KvCacheTypeSortField> = {
  name: "kvCacheTypes",
  searchTexts: (row) => [row.slug, row.name],
  conditions: {
    bitsPerValue: isWithin((row) => row.bitsPerValue),
    runtime: loadsInOneOf(),
  },
  sortValues: {
    ...commonSortValues,
    NAME: (row) => row.name.toLowerCase(),
    BITS_PER_VALUE: (row) => row.bitsPerValue,
  },
};
