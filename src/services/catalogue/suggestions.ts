import { distance } from "fastest-levenshtein";
import type { Table } from "../../data/catalogue.js";
import { BadUserInputError } from "../../errors.js";
import { compileSearch } from "./search.js";

/** Suggestions given for one unknown slug. */
const MAX_SUGGESTIONS = 5;
/** Slugs further away than this share of their length are no help. */
const MAX_RELATIVE_DISTANCE = 0.6;
/** Longest part of an unknown slug that is compared and repeated to the client. */
const MAX_QUOTED_LENGTH = 80;

interface Keyed {
  id: string;
  slug: string;
  archivedAt: Date | null;
}

/** Slugs of the table that may have been meant, best first: those that the text finds by search, then the nearest. */
export function suggestSlugs<Row extends Keyed>(table: Table<Row>, text: string): string[] {
  const wanted = text.slice(0, MAX_QUOTED_LENGTH).toLowerCase();
  const matches = /[\p{L}\p{N}]/u.test(wanted) ? compileSearch(wanted) : () => false;
  return table.rows
    .filter((row) => row.archivedAt === null)
    .map(({ slug }) => ({
      slug,
      found: matches([slug]),
      distance: distance(wanted, slug) / Math.max(wanted.length, slug.length, 1),
    }))
    .filter((candidate) => candidate.found || candidate.distance <= MAX_RELATIVE_DISTANCE)
    .sort((a, b) => Number(b.found) - Number(a.found) || a.distance - b.distance || (a.slug < b.slug ? -1 : 1))
    .slice(0, MAX_SUGGESTIONS)
    .map((candidate) => candidate.slug);
}

/**
 * The row of a slug.
 * @param path where the slug stands in the arguments
 * @param kind what the slug names, in words: "quantization format"
 * @throws BadUserInputError with the nearest slugs when there is none
 */
export function requireBySlug<Row extends Keyed>(
  table: Table<Row>,
  slug: string,
  path: readonly string[],
  kind: string,
): Row {
  const row = table.bySlug.get(slug);
  if (row !== undefined) return row;
  const suggestions = suggestSlugs(table, slug);
  const quoted = slug.length > MAX_QUOTED_LENGTH ? `${slug.slice(0, MAX_QUOTED_LENGTH)}...` : slug;
  const hint = suggestions.length > 0 ? ` Nearest: ${suggestions.join(", ")}.` : "";
  throw new BadUserInputError(`There is no ${kind} "${quoted}".${hint}`, path, suggestions);
}
