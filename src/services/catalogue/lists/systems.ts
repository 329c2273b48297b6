import type { Catalogue } from "../../../data/catalogue.js";
import type { SystemRow } from "../../../data/rows.js";
import { isOneOf, isOneOfTexts, isWithin, type Range, refersToOneOf } from "../conditions.js";
import type { CommonFilter, ListDefinition } from "../list.js";
import { type CommonSortField, commonSortValues } from "../list-fields.js";
import { requireRow } from "../relations.js";

export interface SystemFilter extends CommonFilter {
  provider?: readonly string[] | null | undefined;
  kind?: readonly SystemRow["kind"][] | null | undefined;
  gpu?: readonly string[] | null | undefined;
  gpuCount?: Range<number> | null | undefined;
  memoryGib?: Range<number> | null | undefined;
  usdPerHour?: Range<number> | null | undefined;
}

export type SystemSortField = CommonSortField | "NAME" | "PROVIDER" | "GPU_COUNT" | "MEMORY" | "USD_PER_HOUR";

/** Nominal memory of all cards of a system, GiB. */
export function systemMemoryGib(system: SystemRow, catalogue: Catalogue): number {
  return system.gpuCount * requireRow(catalogue.gpus, system.gpuId).memoryNominalGib;
}

export const systemList: ListDefinition<SystemRow, SystemFilter, SystemSortField> = {
  name: "systems",
  searchTexts: (row, catalogue) => {
    const gpu = requireRow(catalogue.gpus, row.gpuId);
    return [row.slug, row.name, gpu.slug, gpu.name];
  },
  conditions: {
    provider: isOneOfTexts((row) => row.provider),
    kind: isOneOf((row) => row.kind),
    gpu: refersToOneOf(
      ({ catalogue }) => catalogue.gpus,
      "GPU",
      (row) => row.gpuId,
    ),
    gpuCount: isWithin((row) => row.gpuCount),
    memoryGib: (range, { catalogue }) => isWithin((row: SystemRow) => systemMemoryGib(row, catalogue))(range),
    usdPerHour: isWithin((row) => row.usdPerHour),
  },
  sortValues: {
    ...commonSortValues,
    NAME: (row) => row.name.toLowerCase(),
    PROVIDER: (row) => row.provider.toLowerCase(),
    GPU_COUNT: (row) => row.gpuCount,
    MEMORY: systemMemoryGib,
    USD_PER_HOUR: (row) => row.usdPerHour,
  },
};
