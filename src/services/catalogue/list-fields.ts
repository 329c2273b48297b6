import type { CatalogueRow } from "./list.js";

/** Sort fields that every row has. */
export type CommonSortField = "SLUG" | "CREATED_AT" | "UPDATED_AT";

/** Values of the sort fields that every row has. */
export const commonSortValues = {
  SLUG: (row: CatalogueRow) => row.slug,
  CREATED_AT: (row: CatalogueRow) => row.createdAt.getTime(),
  UPDATED_AT: (row: CatalogueRow) => row.updatedAt.getTime(),
};

/** Bytes in one GiB. */
export const BYTES_PER_GIB = 2 ** 30;
