import type { Catalogue } from "../../../data/catalogue.js";
import type { GpuRow } from "../../../data/rows.js";
import { type Connection, type PageArguments, paginate, type SortDirection } from "../../connections/connection.js";
import type { SortValue } from "../../connections/cursor.js";
import type { HardwareFitModel } from "../../estimation/types.js";
import { findAll, isOneOf, isOneOfTexts, isWithin, type Range } from "../conditions.js";
import { requireSearch } from "../list.js";
import { compileSearch } from "../search.js";

export interface HardwareFilter {
  search?: string | null | undefined;
  kind?: readonly ("CARDS" | "SYSTEM")[] | null | undefined;
  vendor?: readonly string[] | null | undefined;
  class?: readonly GpuRow["gpuClass"][] | null | undefined;
  gpu?: readonly string[] | null | undefined;
  memoryGib?: Range<number> | null | undefined;
  maxCount?: number | null | undefined;
  usdPerHour?: Range<number> | null | undefined;
}

export type HardwareSort =
  | "FEWEST_CARDS"
  | "MOST_HEADROOM"
  | "LEAST_HEADROOM"
  | "MOST_CONTEXT"
  | "CHEAPEST"
  | "CHEAPEST_TO_BUY";

export interface HardwareArguments extends PageArguments {
  filter?: HardwareFilter | null | undefined;
  sort?: HardwareSort | null | undefined;
}

type Key = [direction: SortDirection, read: (fit: HardwareFitModel) => SortValue];

const totalMemory = (fit: HardwareFitModel) => fit.count * fit.gpu.memoryNominalGib;
const fewestCards: Key[] = [
  ["ASC", (fit) => fit.count],
  ["ASC", totalMemory],
];

const sorts: Record<HardwareSort, Key[]> = {
  FEWEST_CARDS: fewestCards,
  MOST_HEADROOM: [["DESC", (fit) => fit.headroom], ...fewestCards],
  LEAST_HEADROOM: [["ASC", (fit) => fit.headroom], ...fewestCards],
  MOST_CONTEXT: [["DESC", (fit) => fit.maxContext], ...fewestCards],
  CHEAPEST: [["ASC", (fit) => fit.usdPerHour], ...fewestCards],
  CHEAPEST_TO_BUY: [["ASC", (fit) => fit.usdToBuy], ...fewestCards],
};

type Test = (fit: HardwareFitModel) => boolean;
type FilterValues = { [Field in keyof HardwareFilter]-?: NonNullable<HardwareFilter[Field]> };

const conditions: { [Field in keyof FilterValues]: (value: FilterValues[Field], catalogue: Catalogue) => Test } = {
  search: (search) => {
    const matches = compileSearch(requireSearch(search));
    return ({ gpu, system }) => matches([gpu.slug, gpu.name, system?.slug, system?.name]);
  },
  kind: isOneOf((fit) => (fit.system === null ? "CARDS" : "SYSTEM")),
  vendor: isOneOfTexts((fit) => fit.gpu.vendor),
  class: isOneOf((fit) => fit.gpu.gpuClass),
  gpu: (slugs, catalogue) => {
    const wanted = new Set(findAll(catalogue.gpus, slugs, ["filter", "gpu"], "GPU").map((gpu) => gpu.id));
    return (fit) => wanted.has(fit.gpu.id);
  },
  memoryGib: isWithin((fit) => fit.gpu.memoryNominalGib),
  maxCount: (maxCount) => (fit) => fit.count <= maxCount,
  usdPerHour: isWithin((fit) => fit.usdPerHour),
};

/**
 * One page of the hardware that a filter lets through, fewest cards first unless sorted otherwise.
 * @throws BadUserInputError for arguments that make no sense, with their path
 */
export function listHardware(
  fits: readonly HardwareFitModel[],
  args: HardwareArguments,
  catalogue: Catalogue,
): Connection<HardwareFitModel> {
  const tests = compileTests(args.filter ?? {}, catalogue);
  const sort = args.sort ?? "FEWEST_CARDS";
  return paginate(
    fits.filter((fit) => tests.every((test) => test(fit))),
    {
      list: "hardware",
      keys: sorts[sort].map(([direction, read], index) => ({ field: `${sort}.${index}`, direction, read })),
      idOf: (fit) => `${fit.system?.slug ?? ""}/${fit.gpu.slug}/${fit.count}`,
    },
    args,
  );
}

function compileTests(filter: HardwareFilter, catalogue: Catalogue): Test[] {
  const compile = <Field extends keyof FilterValues>(field: Field): Test[] => {
    const value = filter[field] as FilterValues[Field] | null | undefined;
    return value == null ? [] : [conditions[field](value, catalogue)];
  };
  return (Object.keys(conditions) as (keyof HardwareFilter)[]).flatMap((field) => compile(field));
}
