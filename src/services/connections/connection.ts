import { BadUserInputError } from "../../errors.js";
import { decodeCursor, encodeCursor, type Position, type SortValue } from "./cursor.js";

/** Items of a page when the query does not say. */
export const DEFAULT_PAGE_SIZE = 20;
/** Most items of a page: keeps one response within reach of a browser and one request within a worker's time. */
export const MAX_PAGE_SIZE = 100;

/** The paging arguments of every connection field. */
export interface PageArguments {
  first?: number | null | undefined;
  after?: string | null | undefined;
  last?: number | null | undefined;
  before?: string | null | undefined;
}

export interface Edge<Item> {
  cursor: string;
  node: Item;
}

export interface PageInfo {
  hasNextPage: boolean;
  hasPreviousPage: boolean;
  startCursor: string | null;
  endCursor: string | null;
}

/** One page of a list, as the schema's connection types show it. */
export interface Connection<Item> {
  readonly edges: readonly Edge<Item>[];
  readonly nodes: readonly Item[];
  readonly pageInfo: PageInfo;
  readonly totalCount: number;
}

export type SortDirection = "ASC" | "DESC";

/** One key of an order, and how an item's value for it is read. */
export interface SortKey<Item> {
  field: string;
  direction: SortDirection;
  read: (item: Item) => SortValue;
}

/** How a list is ordered: by its keys in turn, then by id, so that no two items share a position. */
export interface Order<Item> {
  /** Name of the list, carried by its cursors. */
  list: string;
  keys: readonly SortKey<Item>[];
  idOf: (item: Item) => string;
}

/**
 * Orders items and cuts one page out. Cursors are keyset cursors: they go on working when items come and go,
 * under any filter, but only under the order they were made for.
 * `pageInfo` tells the truth in both directions, not only in that of the paging.
 * @throws BadUserInputError for a page size out of bounds, for `first` with `last`, for a cursor that is none or
 * belongs to another order
 */
export function paginate<Item>(items: readonly Item[], order: Order<Item>, page: PageArguments): Connection<Item> {
  checkPage(order, page);
  return paginateSorted(sortItems(items, order), order, page);
}

/** Items in their order. Each key is read once an item, ids only where all keys are equal. */
export function sortItems<Item>(items: readonly Item[], { keys, idOf }: Order<Item>): Item[] {
  const columns = keys.map(({ direction, read }) => ({ direction, values: items.map((item) => read(item)) }));
  const ids = new Map<number, string>();
  const idAt = (index: number): string => {
    const id = ids.get(index) ?? idOf(items[index] as Item);
    ids.set(index, id);
    return id;
  };
  const order = Array.from(items.keys());
  order.sort((a, b) => {
    for (const { direction, values } of columns) {
      const difference = compareValues(values[a] as SortValue, values[b] as SortValue, direction);
      if (difference !== 0) return difference;
    }
    return comparePlain(idAt(a), idAt(b));
  });
  return order.map((index) => items[index] as Item);
}

/**
 * Refuses paging arguments that {@link paginate} would refuse, before the items are there.
 * @throws BadUserInputError as {@link paginate} does
 */
export function checkPage<Item>(order: Order<Item>, page: PageArguments): void {
  readPage(order, page);
}

/** One page of items that are in their order already; see {@link paginate}. */
export function paginateSorted<Item>(
  sorted: readonly Item[],
  order: Order<Item>,
  page: PageArguments,
): Connection<Item> {
  const { size, after, before } = readPage(order, page);
  const compare = (item: Item, position: Position) => comparePositions(positionOf(item, order), position, order);

  const lower = after === null ? 0 : countWhere(sorted, (item) => compare(item, after) <= 0);
  const upper = before === null ? sorted.length : countWhere(sorted, (item) => compare(item, before) < 0);
  const start = size.fromEnd ? Math.max(lower, upper - size.count) : lower;
  const end = size.fromEnd ? upper : Math.min(upper, lower + size.count);

  const edges = sorted
    .slice(start, Math.max(start, end))
    .map((item) => ({ cursor: cursorOf(item, order), node: item }));
  return {
    edges,
    nodes: edges.map((edge) => edge.node),
    pageInfo: {
      hasNextPage: end < sorted.length,
      hasPreviousPage: start > 0,
      startCursor: edges[0]?.cursor ?? null,
      endCursor: edges.at(-1)?.cursor ?? null,
    },
    totalCount: sorted.length,
  };
}

/** Paging arguments, read: how many items from which end, between which positions. */
export interface Page {
  size: { count: number; fromEnd: boolean };
  after: Position | null;
  before: Position | null;
}

/**
 * Reads paging arguments for lists of any kind, also those that a database cuts.
 * @throws BadUserInputError as {@link paginate} does
 */
export function readPage<Item>(order: Order<Item>, page: PageArguments): Page {
  return {
    size: readPageSize(page),
    after: readCursor(page.after, "after", order),
    before: readCursor(page.before, "before", order),
  };
}

/** The cursor of an item in an order. */
export function cursorOf<Item>(item: Item, order: Order<Item>): string {
  return encodeCursor(signatureOf(order), positionOf(item, order));
}

function readPageSize(page: PageArguments): { count: number; fromEnd: boolean } {
  const { first, last } = page;
  if (first != null && last != null) {
    throw new BadUserInputError("Give `first` or `last`, not both.", ["last"]);
  }
  for (const [name, value] of [
    ["first", first],
    ["last", last],
  ] as const) {
    if (value != null && (value < 0 || value > MAX_PAGE_SIZE)) {
      throw new BadUserInputError(`\`${name}\` must be from 0 to ${MAX_PAGE_SIZE}, not ${value}.`, [name]);
    }
  }
  if (last != null) return { count: last, fromEnd: true };
  if (first != null) return { count: first, fromEnd: false };
  return { count: DEFAULT_PAGE_SIZE, fromEnd: page.before != null && page.after == null };
}

function readCursor<Item>(
  cursor: string | null | undefined,
  name: "after" | "before",
  order: Order<Item>,
): Position | null {
  if (cursor == null) return null;
  const decoded = decodeCursor(cursor);
  if (decoded === null) {
    throw new BadUserInputError(`\`${name}\` is not a cursor of this API.`, [name]);
  }
  if (decoded.order !== signatureOf(order) || decoded.values.length !== order.keys.length) {
    throw new BadUserInputError(
      `The cursor in \`${name}\` was made for another list or sort. Start from the first page after changing the sort.`,
      [name],
    );
  }
  return decoded;
}

function signatureOf<Item>(order: Order<Item>): string {
  return [order.list, ...order.keys.map((key) => `${key.field}:${key.direction}`)].join(",");
}

function positionOf<Item>(item: Item, order: Order<Item>): Position {
  return { values: order.keys.map((key) => key.read(item)), id: order.idOf(item) };
}

function comparePositions<Item>(a: Position, b: Position, order: Order<Item>): number {
  for (const [index, key] of order.keys.entries()) {
    const difference = compareValues(a.values[index] ?? null, b.values[index] ?? null, key.direction);
    if (difference !== 0) return difference;
  }
  return comparePlain(a.id, b.id);
}

function compareValues(a: SortValue, b: SortValue, direction: SortDirection): number {
  if (a === null || b === null) return Number(a === null) - Number(b === null);
  return direction === "ASC" ? comparePlain(a, b) : comparePlain(b, a);
}

/** Numbers before text, so that a forged cursor cannot make the order inconsistent. */
function comparePlain(a: string | number, b: string | number): number {
  if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Length of the front part of a sorted list for which the condition holds. */
function countWhere<Entry>(sorted: readonly Entry[], condition: (entry: Entry) => boolean): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (condition(sorted[middle] as Entry)) low = middle + 1;
    else high = middle;
  }
  return low;
}
