import type { MeasurementRow } from "../../../data/rows.js";
import { isOneOf, isWithin, type Range, refersToOneOf } from "../conditions.js";
import type { CommonFilter, ListDefinition } from "../list.js";
import { type CommonSortField, commonSortValues } from "../list-fields.js";

export interface MeasurementFilter extends CommonFilter {
  kind?: readonly MeasurementRow["kind"][] | null | undefined;
  runtime?: readonly string[] | null | undefined;
  model?: readonly string[] | null | undefined;
  quantFormat?: readonly string[] | null | undefined;
  gpu?: readonly string[] | null | undefined;
  gpuCount?: Range<number> | null | undefined;
  context?: Range<number> | null | undefined;
}

export type MeasurementSortField = CommonSortField | "MODEL_NAME" | "CONTEXT" | "GPU_COUNT" | "OBSERVED_ON";

export const measurementList: ListDefinition<MeasurementRow, MeasurementFilter, MeasurementSortField> = {
  name: "measurements",
  searchTexts: (row) => [row.slug, row.modelName, row.quantName, row.gpuName],
  conditions: {
    kind: isOneOf((row) => row.kind),
    runtime: refersToOneOf(
      ({ catalogue }) => catalogue.runtimes,
      "runtime",
      (row) => row.runtimeId,
    ),
    model: refersToOneOf(
      ({ catalogue }) => catalogue.models,
      "model",
      (row) => row.modelId,
    ),
    quantFormat: refersToOneOf(
      ({ catalogue }) => catalogue.quantFormats,
      "quantization format",
      (row) => row.quantFormatId,
    ),
    gpu: refersToOneOf(
      ({ catalogue }) => catalogue.gpus,
      "GPU",
      (row) => row.gpuId,
    ),
    gpuCount: isWithin((row) => row.gpuCount),
    context: isWithin((row) => row.contextTokens),
  },
  sortValues: {
    ...commonSortValues,
    MODEL_NAME: (row) => row.modelName.toLowerCase(),
    CONTEXT: (row) => row.contextTokens,
    GPU_COUNT: (row) => row.gpuCount,
    OBSERVED_ON: (row) => row.observedOn,
  },
};
