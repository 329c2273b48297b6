import type { Table } from "../../data/catalogue.js";
import type { CatalogueRow, FilterScope } from "./list.js";
import { requireBySlug } from "./suggestions.js";

/** Bounds, both included; an absent one does not limit. */
export interface Range<Value> {
  gte?: Value | null | undefined;
  lte?: Value | null | undefined;
}

/** Rows whose value is in the list. */
export function isOneOf<Row, Value>(read: (row: Row) => Value) {
  return (values: readonly Value[]) => {
    const wanted = new Set(values);
    return (row: Row) => wanted.has(read(row));
  };
}

/** Rows whose text is in the list, whatever the case. */
export function isOneOfTexts<Row>(textOf: (row: Row) => string | null) {
  return (texts: readonly string[]) => {
    const wanted = new Set(texts.map((text) => text.toLowerCase()));
    return (row: Row) => {
      const text = textOf(row);
      return text !== null && wanted.has(text.toLowerCase());
    };
  };
}

/** Rows whose value is within the bounds; those without one are left out once there is a bound. */
export function isWithin<Row, Value extends number | string>(read: (row: Row) => Value | null) {
  return ({ gte, lte }: Range<Value>) =>
    (row: Row) => {
      if (gte == null && lte == null) return true;
      const value = read(row);
      return value !== null && (gte == null || value >= gte) && (lte == null || value <= lte);
    };
}

/** Rows whose flag is as asked. */
export function isFlag<Row>(flagOf: (row: Row) => boolean) {
  return (wanted: boolean) => (row: Row) => flagOf(row) === wanted;
}

/**
 * Rows that refer to one of the things named by slug.
 * @param kind what the slugs name, in words
 * @throws BadUserInputError for an unknown slug, with the nearest ones
 */
export function refersToOneOf<Row, Target extends CatalogueRow>(
  tableOf: (scope: FilterScope) => Table<Target>,
  kind: string,
  idOf: (row: Row) => string | null,
) {
  return (slugs: readonly string[], scope: FilterScope) => {
    const ids = new Set(findAll(tableOf(scope), slugs, scope.path, kind).map((target) => target.id));
    return (row: Row) => {
      const id = idOf(row);
      return id !== null && ids.has(id);
    };
  };
}

/** The rows of several slugs; see {@link requireBySlug}. */
export function findAll<Target extends CatalogueRow>(
  table: Table<Target>,
  slugs: readonly string[],
  path: readonly string[],
  kind: string,
): Target[] {
  return slugs.map((slug, index) => requireBySlug(table, slug, [...path, String(index)], kind));
}

/** Rows that one of the engines named by slug can use. */
export function loadsInOneOf<Row extends { runtimes: readonly string[] }>() {
  return (slugs: readonly string[], { catalogue, path }: FilterScope) => {
    const wanted = findAll(catalogue.runtimes, slugs, path, "runtime").map((runtime) => runtime.slug);
    return (row: Row) => wanted.some((slug) => row.runtimes.includes(slug));
  };
}
