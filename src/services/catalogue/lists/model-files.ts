import type { ModelFileRow } from "../../../data/rows.js";
import { isOneOfTexts, isWithin, type Range, refersToOneOf } from "../conditions.js";
import type { CommonFilter, ListDefinition } from "../list.js";
import { BYTES_PER_GIB, type CommonSortField, commonSortValues } from "../list-fields.js";

export interface ModelFileFilter extends CommonFilter {
  quantFormat?: readonly string[] | null | undefined;
  publisher?: readonly string[] | null | undefined;
  sizeGib?: Range<number> | null | undefined;
}

export type ModelFileSortField = CommonSortField | "SIZE" | "PUBLISHER" | "QUANT_NAME";

export const modelFileList: ListDefinition<ModelFileRow, ModelFileFilter, ModelFileSortField> = {
  name: "modelFiles",
  searchTexts: (row) => [row.slug, row.publisher, row.repo, row.fileName, row.quantName],
  conditions: {
    quantFormat: refersToOneOf(
      ({ catalogue }) => catalogue.quantFormats,
      "quantization format",
      (row) => row.quantFormatId,
    ),
    publisher: isOneOfTexts((row) => row.publisher),
    sizeGib: isWithin((row) => row.sizeBytes / BYTES_PER_GIB),
  },
  sortValues: {
    ...commonSortValues,
    SIZE: (row) => row.sizeBytes,
    PUBLISHER: (row) => row.publisher.toLowerCase(),
    QUANT_NAME: (row) => row.quantName.toLowerCase(),
  },
};
