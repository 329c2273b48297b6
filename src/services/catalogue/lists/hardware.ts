import type { Catalogue } from "../../../data/catalogue.js";
import type { GpuRow, SystemRow } from "../../../data/rows.js";
import { BadUserInputError } from "../../../errors.js";
import { GIB } from "../../../estimator/byte-units.js";
import type { OffloadKind } from "../../../estimator/fit/offload.js";
import {
  type Connection,
  MAX_PAGE_SIZE,
  type PageArguments,
  paginate,
  type SortDirection,
} from "../../connections/connection.js";
import type { SortValue } from "../../connections/cursor.js";
import type {
  HardwareFindings,
  HardwareMissModel,
  HardwareSelection,
  HardwareSet,
} from "../../estimation/hardware-selection.js";
import { runOfFit, type SpeedService } from "../../estimation/speed.js";
import type { EstimateModel, EstimationService, HardwareFitModel } from "../../estimation/types.js";
import { findAll, isOneOf, isOneOfTexts, isWithin, type Range } from "../conditions.js";
import { requireSearch } from "../list.js";
import { systemsOfGpu } from "../relations.js";
import { compileSearch } from "../search.js";

type Maybe<Value> = Value | null | undefined;

export interface HardwareFilter {
  search?: Maybe<string>;
  kind?: Maybe<readonly ("CARDS" | "SYSTEM")[]>;
  vendor?: Maybe<readonly string[]>;
  class?: Maybe<readonly GpuRow["gpuClass"][]>;
  form?: Maybe<readonly GpuRow["form"][]>;
  gpu?: Maybe<readonly string[]>;
  system?: Maybe<readonly string[]>;
  ownership?: Maybe<readonly ("RENT" | "BUY")[]>;
  memoryGib?: Maybe<Range<number>>;
  count?: Maybe<Range<number>>;
  maxCount?: Maybe<number>;
  nodes?: Maybe<Range<number>>;
  usdPerHour?: Maybe<Range<number>>;
  usdToBuy?: Maybe<Range<number>>;
  maxWatts?: Maybe<number>;
  minHeadroomGib?: Maybe<number>;
  minContext?: Maybe<number>;
  maxHostMemoryGib?: Maybe<number>;
  offload?: Maybe<readonly OffloadKind[]>;
}

export type HardwareSort =
  | "FEWEST_CARDS"
  | "MOST_HEADROOM"
  | "LEAST_HEADROOM"
  | "MOST_CONTEXT"
  | "CHEAPEST"
  | "CHEAPEST_TO_BUY"
  | "LEAST_POWER"
  | "FASTEST";

export interface HardwareArguments extends PageArguments {
  filter?: Maybe<HardwareFilter>;
  sort?: Maybe<HardwareSort>;
}

/** A page of hardware that fits, and what can be said of the rest. */
export interface HardwareConnection extends Connection<HardwareFitModel> {
  /** Why the list is empty; null when it is not. */
  readonly reason: string | null;
  /** @throws BadUserInputError for a number of items out of bounds */
  nearest(first: number): readonly HardwareMissModel[];
}

/** What the list is made of. */
interface HardwareServices {
  estimation: EstimationService;
  speed: SpeedService;
}

type Key = [direction: SortDirection, read: (fit: HardwareFitModel, speed: SpeedService) => SortValue];

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
  LEAST_POWER: [["ASC", (fit) => fit.tdpWatts], ...fewestCards],
  FASTEST: [["DESC", (fit, speed) => speed.throughput(runOfFit(fit))], ...fewestCards],
};

/**
 * One page of the hardware that an estimate fits on, fewest cards first unless sorted otherwise.
 *
 * @throws BadUserInputError for arguments that make no sense, with their path
 */
export function listHardware(
  { estimation, speed }: HardwareServices,
  estimate: EstimateModel,
  args: HardwareArguments,
  catalogue: Catalogue,
): HardwareConnection {
  const findings = estimation.findHardware(estimate, selectHardware(args.filter ?? {}, catalogue));
  const sort = args.sort ?? "FEWEST_CARDS";
  const page = paginate(
    findings.fits,
    {
      list: "hardware",
      keys: sorts[sort].map(([direction, read], index) => ({
        field: `${sort}.${index}`,
        direction,
        read: (fit: HardwareFitModel) => read(fit, speed),
      })),
      idOf: ({ system, gpu, count, offload }) => `${system?.slug ?? ""}/${gpu.slug}/${count}/${offload}`,
    },
    args,
  );
  return withTheRest(page, findings);
}

function withTheRest(page: Connection<HardwareFitModel>, findings: HardwareFindings): HardwareConnection {
  return {
    ...page,
    get reason() {
      return findings.reason;
    },
    nearest(first) {
      if (first < 0 || first > MAX_PAGE_SIZE) {
        throw new BadUserInputError(`\`first\` must be from 0 to ${MAX_PAGE_SIZE}, not ${first}.`, ["first"]);
      }
      return findings.nearest(first);
    },
  };
}

// What is looked at

interface Row {
  gpu: GpuRow;
  system: SystemRow | null;
}

type RowTest = (row: Row) => boolean;
type FilterValues = { [Field in keyof HardwareFilter]-?: NonNullable<HardwareFilter[Field]> };
type RowField = "search" | "kind" | "vendor" | "class" | "form" | "gpu" | "system" | "ownership" | "memoryGib";

const rowConditions: { [Field in RowField]: (value: FilterValues[Field], catalogue: Catalogue) => RowTest } = {
  search: (search) => {
    const matches = compileSearch(requireSearch(search));
    return ({ gpu, system }) => matches([gpu.slug, gpu.name, system?.slug, system?.name]);
  },
  kind: isOneOf((row) => (row.system === null ? "CARDS" : "SYSTEM")),
  vendor: isOneOfTexts((row) => row.gpu.vendor),
  class: isOneOf((row) => row.gpu.gpuClass),
  form: isOneOf((row) => row.gpu.form),
  gpu: (slugs, catalogue) => {
    const wanted = new Set(findAll(catalogue.gpus, slugs, ["filter", "gpu"], "GPU").map((gpu) => gpu.id));
    return ({ gpu }) => wanted.has(gpu.id);
  },
  system: (slugs, catalogue) => {
    const wanted = new Set(findAll(catalogue.systems, slugs, ["filter", "system"], "system").map(({ id }) => id));
    return ({ system }) => system !== null && wanted.has(system.id);
  },
  ownership: (kinds, catalogue) => (row) => kinds.some((kind) => ownerships[kind](row, catalogue)),
  memoryGib: isWithin((row) => row.gpu.memoryNominalGib),
};

/** Cards that are only let by the hour are in cloud systems alone and have no price. */
const ownerships: Record<"RENT" | "BUY", (row: Row, catalogue: Catalogue) => boolean> = {
  RENT: ({ gpu, system }) => (system === null ? gpu.usdPerHour !== null : system.kind === "CLOUD"),
  BUY: ({ gpu, system }, catalogue) => {
    if (system !== null) return system.kind !== "CLOUD";
    const systems = systemsOfGpu(catalogue.systems, gpu.id);
    return (
      (gpu.streetUsd ?? gpu.msrpUsd) !== null || systems.length === 0 || systems.some(({ kind }) => kind !== "CLOUD")
    );
  },
};

/** What a filter asks for, checked. */
function selectHardware(filter: HardwareFilter, catalogue: Catalogue): HardwareSelection {
  checkRanges(filter);
  checkCounts(filter);
  checkAmounts(filter);
  const { maxWatts, minContext, maxHostMemoryGib } = filter;
  const rows = (Object.keys(rowConditions) as RowField[]).flatMap((field) => compileRow(field, filter, catalogue));
  return {
    rows: rows.map((test) => (gpu, system) => test({ gpu, system })),
    counts: {
      least: filter.count?.gte ?? 1,
      most: Math.min(filter.count?.lte ?? Number.POSITIVE_INFINITY, filter.maxCount ?? Number.POSITIVE_INFINITY),
    },
    nodes: { least: filter.nodes?.gte ?? 1, most: filter.nodes?.lte ?? Number.POSITIVE_INFINITY },
    offload: filter.offload ?? null,
    sets: [
      ...given(
        filter.usdPerHour,
        "usdPerHour",
        isWithin((set: HardwareSet) => set.usdPerHour),
      ),
      ...given(
        filter.usdToBuy,
        "usdToBuy",
        isWithin((set: HardwareSet) => set.usdToBuy),
      ),
      ...given(
        maxWatts,
        "maxWatts",
        (most) =>
          ({ tdpWatts }: HardwareSet) =>
            tdpWatts !== null && tdpWatts <= most,
      ),
    ],
    minHeadroom: (filter.minHeadroomGib ?? 0) * GIB,
    fits: [
      ...given(
        maxHostMemoryGib,
        "maxHostMemoryGib",
        (most) =>
          ({ host }: HardwareFitModel) =>
            host.total <= most * GIB,
      ),
      ...given(minContext, "minContext", (least) => (fit: HardwareFitModel) => fit.maxContext >= least),
    ],
    notes: listNotes(filter, catalogue),
  };
}

function compileRow<Field extends RowField>(field: Field, filter: HardwareFilter, catalogue: Catalogue): RowTest[] {
  const value = filter[field] as FilterValues[Field] | null | undefined;
  return value == null ? [] : [rowConditions[field](value, catalogue)];
}

/** A condition on sets or fits, under the name of its field, where the filter has a value for it. */
function given<Value, Item>(
  value: Maybe<Value>,
  field: keyof HardwareFilter,
  compile: (value: Value) => (item: Item) => boolean,
): { field: string; test: (item: Item) => boolean }[] {
  return value == null ? [] : [{ field, test: compile(value) }];
}

const rangeFields = ["memoryGib", "count", "nodes", "usdPerHour", "usdToBuy"] as const;

function checkRanges(filter: HardwareFilter): void {
  for (const field of rangeFields) {
    const { gte, lte } = filter[field] ?? {};
    if (gte != null && lte != null && gte > lte) {
      throw new BadUserInputError(`\`${field}\` asks for at least ${gte} and at most ${lte}: nothing is both.`, [
        "filter",
        field,
      ]);
    }
  }
}

/** Above this a number of cards or machines is a slip; the largest sets of the catalogue have some hundreds. */
const MAX_CARDS_ASKED = 10_000;

function checkCounts({ count, maxCount, nodes }: HardwareFilter): void {
  const bounds: [value: Maybe<number>, path: string[]][] = [
    [count?.gte, ["count", "gte"]],
    [count?.lte, ["count", "lte"]],
    [maxCount, ["maxCount"]],
    [nodes?.gte, ["nodes", "gte"]],
    [nodes?.lte, ["nodes", "lte"]],
  ];
  for (const [value, path] of bounds) {
    if (value != null && (value < 1 || value > MAX_CARDS_ASKED)) {
      throw new BadUserInputError(
        `\`${path.join(".")}\` must be from 1 to ${MAX_CARDS_ASKED}, not ${value}: a set has at least one card.`,
        ["filter", ...path],
      );
    }
  }
  if (count?.gte != null && maxCount != null && count.gte > maxCount) {
    throw new BadUserInputError(
      `\`count\` asks for at least ${count.gte} cards, \`maxCount\` for at most ${maxCount}: no set is both.`,
      ["filter", "maxCount"],
    );
  }
}

/** Amounts with the least that makes sense of each. */
const leastAmounts = { maxWatts: 1, minHeadroomGib: 0, minContext: 1, maxHostMemoryGib: 0 } as const;

function checkAmounts(filter: HardwareFilter): void {
  for (const [field, least] of Object.entries(leastAmounts) as [keyof typeof leastAmounts, number][]) {
    const value = filter[field];
    if (value != null && value < least) {
      throw new BadUserInputError(`\`${field}\` must be at least ${least}, not ${value}.`, ["filter", field]);
    }
  }
}

/** What the filter names in vain. */
function listNotes({ gpu, system, vendor }: HardwareFilter, catalogue: Catalogue): string[] {
  const rows = [
    ...(gpu ?? []).flatMap((slug) => catalogue.gpus.bySlug.get(slug) ?? []),
    ...(system ?? []).flatMap((slug) => catalogue.systems.bySlug.get(slug) ?? []),
  ];
  const archived = rows.filter(({ archivedAt }) => archivedAt !== null).map(({ name }) => `${name} is archived.`);
  const idle = (system ?? []).flatMap((slug) => {
    const row = catalogue.systems.bySlug.get(slug);
    const card = row && catalogue.gpus.byId.get(row.gpuId);
    return row && card && row.archivedAt === null && card.archivedAt !== null
      ? [`The cards of ${row.name}, ${card.name}, are archived.`]
      : [];
  });
  const makers = [...new Set(catalogue.gpus.rows.map((row) => row.vendor))].sort();
  const known = new Set(makers.map((maker) => maker.toLowerCase()));
  const unknown = (vendor ?? [])
    .filter((maker) => !known.has(maker.toLowerCase()))
    .map((maker) => `No card is from "${maker.slice(0, MAX_QUOTED_LENGTH)}"; makers are ${makers.join(", ")}.`);
  return [...archived, ...idle, ...unknown];
}

/** Longest part of a text that is repeated to the client. */
const MAX_QUOTED_LENGTH = 80;
