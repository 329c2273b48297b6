import type { GpuRow } from "../../../data/rows.js";
import { isFlag, isOneOf, isOneOfTexts, isWithin, type Range } from "../conditions.js";
import type { CommonFilter, ListDefinition } from "../list.js";
import { type CommonSortField, commonSortValues } from "../list-fields.js";

export interface GpuFilter extends CommonFilter {
  vendor?: readonly string[] | null | undefined;
  architecture?: readonly string[] | null | undefined;
  class?: readonly GpuRow["gpuClass"][] | null | undefined;
  form?: readonly GpuRow["form"][] | null | undefined;
  memoryGib?: Range<number> | null | undefined;
  usableMemoryGib?: Range<number> | null | undefined;
  bandwidth?: Range<number> | null | undefined;
  memoryType?: readonly string[] | null | undefined;
  tdpWatts?: Range<number> | null | undefined;
  supportsBf16?: boolean | null | undefined;
  supportsFp8?: boolean | null | undefined;
  supportsFp4?: boolean | null | undefined;
  releasedOn?: Range<string> | null | undefined;
}

export type GpuSortField =
  | CommonSortField
  | "NAME"
  | "VENDOR"
  | "MEMORY"
  | "USABLE_MEMORY"
  | "BANDWIDTH"
  | "FP16_TFLOPS"
  | "TDP_WATTS"
  | "RELEASED_ON"
  | "STREET_USD"
  | "USD_PER_HOUR";

const MIB_PER_GIB = 1024;

export const gpuList: ListDefinition<GpuRow, GpuFilter, GpuSortField> = {
  name: "gpus",
  searchTexts: (row) => [row.slug, row.name],
  conditions: {
    vendor: isOneOfTexts((row) => row.vendor),
    architecture: isOneOfTexts((row) => row.architecture),
    class: isOneOf((row) => row.gpuClass),
    form: isOneOf((row) => row.form),
    memoryGib: isWithin((row) => row.memoryNominalGib),
    usableMemoryGib: isWithin((row) => (row.memoryUsableMib === null ? null : row.memoryUsableMib / MIB_PER_GIB)),
    bandwidth: isWithin((row) => row.bandwidthGbPerSecond),
    memoryType: isOneOfTexts((row) => row.memoryType),
    tdpWatts: isWithin((row) => row.tdpWatts),
    supportsBf16: isFlag((row) => row.supportsBf16),
    supportsFp8: isFlag((row) => row.supportsFp8),
    supportsFp4: isFlag((row) => row.supportsFp4),
    releasedOn: isWithin((row) => row.releasedOn),
  },
  sortValues: {
    ...commonSortValues,
    NAME: (row) => row.name.toLowerCase(),
    VENDOR: (row) => row.vendor.toLowerCase(),
    MEMORY: (row) => row.memoryNominalGib,
    USABLE_MEMORY: (row) => row.memoryUsableMib,
    BANDWIDTH: (row) => row.bandwidthGbPerSecond,
    FP16_TFLOPS: (row) => row.fp16Tflops,
    TDP_WATTS: (row) => row.tdpWatts,
    RELEASED_ON: (row) => row.releasedOn,
    STREET_USD: (row) => row.streetUsd,
    USD_PER_HOUR: (row) => row.usdPerHour,
  },
};
