import type { Catalogue } from "../../data/catalogue.js";
import { BadUserInputError } from "../../errors.js";
import { type Connection, type PageArguments, paginate, type SortDirection } from "../connections/connection.js";
import type { SortValue } from "../connections/cursor.js";
import { compileSearch } from "./search.js";

/** Longest search: more words than any name has, few enough to test every row against. */
const MAX_SEARCH_LENGTH = 200;

/** What every row of the catalogue has. */
export interface CatalogueRow {
  id: string;
  slug: string;
  createdAt: Date;
  updatedAt: Date;
  archivedAt: Date | null;
}

/** What every filter has. */
export interface CommonFilter {
  search?: string | null | undefined;
  includeArchived: boolean;
}

/** What a filter's condition may look at besides its own value. */
export interface FilterScope {
  catalogue: Catalogue;
  /** Where the value stands in the arguments. */
  path: readonly string[];
}

/** Turns the value of one filter field into a test of rows. */
type Condition<Row, Value> = (value: Value, scope: FilterScope) => (row: Row) => boolean;

/** Everything that makes one list different from another. */
export interface ListDefinition<Row, Filter extends CommonFilter, SortField extends string> {
  /** Name of the list, carried by its cursors. */
  name: string;
  /** Texts that `search` looks in. */
  searchTexts: (row: Row, catalogue: Catalogue) => readonly (string | null)[];
  /** One condition for each further field of the filter. */
  conditions: {
    [Field in Exclude<keyof Filter, keyof CommonFilter>]-?: Condition<Row, NonNullable<Filter[Field]>>;
  };
  /** How a row's value is read for each field of the sort. */
  sortValues: Record<SortField, (row: Row, catalogue: Catalogue) => SortValue>;
}

/** Arguments of a list field. */
export interface ListArguments<Filter, SortField extends string> extends PageArguments {
  filter?: Filter | null | undefined;
  sort?: readonly { field: SortField; direction: SortDirection }[] | null | undefined;
}

/**
 * One page of the rows that a filter lets through, by slug unless sorted otherwise.
 * @throws BadUserInputError for arguments that make no sense, with their path
 */
export function listRows<Row extends CatalogueRow, Filter extends CommonFilter, SortField extends string>(
  definition: ListDefinition<Row, Filter, SortField>,
  rows: readonly Row[],
  args: ListArguments<Filter, SortField>,
  catalogue: Catalogue,
): Connection<Row> {
  const tests = compileFilter(definition, args.filter ?? null, catalogue);
  const matching = rows.filter((row) => tests.every((test) => test(row)));
  const sort = args.sort ?? [];
  const keys =
    sort.length === 0
      ? [{ field: "SLUG", direction: "ASC" as const, read: (row: Row) => row.slug }]
      : sort.map(({ field, direction }) => ({
          field,
          direction,
          read: (row: Row) => definition.sortValues[field](row, catalogue),
        }));
  return paginate(matching, { list: definition.name, keys, idOf: (row) => row.id }, args);
}

/**
 * The tests that a row must pass to be let through by a filter.
 * @throws BadUserInputError for values that make no sense, with their path
 */
export function compileFilter<Row extends CatalogueRow, Filter extends CommonFilter, SortField extends string>(
  definition: Pick<ListDefinition<Row, Filter, SortField>, "searchTexts" | "conditions">,
  filter: Filter | null,
  catalogue: Catalogue,
): ((row: Row) => boolean)[] {
  const tests: ((row: Row) => boolean)[] = [];
  if (filter?.includeArchived !== true) tests.push((row) => row.archivedAt === null);
  if (filter === null) return tests;
  if (filter.search != null) {
    const matches = compileSearch(requireSearch(filter.search));
    tests.push((row) => matches(definition.searchTexts(row, catalogue)));
  }
  for (const field of Object.keys(definition.conditions) as (keyof typeof definition.conditions)[]) {
    const value = filter[field];
    if (value == null) continue;
    tests.push(definition.conditions[field](value, { catalogue, path: ["filter", String(field)] }));
  }
  return tests;
}

/**
 * A search that is short enough.
 * @throws BadUserInputError otherwise
 */
export function requireSearch(search: string): string {
  if (search.length <= MAX_SEARCH_LENGTH) return search;
  throw new BadUserInputError(`A search has at most ${MAX_SEARCH_LENGTH} characters.`, ["filter", "search"]);
}
