import { z } from "zod";
import { checkRow } from "../catalogue/rules/check-row.js";
import { ENTITIES, type EntityName, type EntityRules } from "../catalogue/rules/entities.js";
import type { FileProblem } from "./file-problem.js";
import type { Sections } from "./section-files.js";

/** A row that passed its entity's rules. */
export interface CheckedFileRow {
  slug: string;
  /** Its place in the file, the first is 0. */
  index: number;
  /** By the names of the entity's rules, defaults filled in. */
  input: Readonly<Record<string, unknown>>;
  /** When it was taken out of use, RFC 3339 in UTC; null when it is in use. */
  archivedAt: string | null;
}

export type CheckedSections = ReadonlyMap<EntityName, readonly CheckedFileRow[]>;

/** The field that rows of files have besides those of the rules: what becomes of a row, not a fact about it. */
export const ARCHIVED_AT = "archivedAt";

/** Earlier ones are mistakes, and some of them are no dates to a database. */
const EARLIEST = "1970";

const archiveMark = z.iso
  .datetime({ precision: 3 })
  .refine((moment) => moment > EARLIEST)
  .nullable();

/**
 * Checks the rows of every section by the rules of its entity, and that no slug is there twice. References and
 * scenarios need other rows as well and are checked where those are known.
 * @param problems gets everything that is wrong
 * @param nameOf what messages call a section
 */
export function checkSections(
  sections: Sections,
  problems: FileProblem[],
  nameOf: (entity: EntityName) => string,
): CheckedSections {
  return new Map(
    ENTITIES.filter(({ entity }) => sections.has(entity)).map((rules) => {
      const checkOne = createSectionCheck(rules, nameOf(rules.entity), problems);
      const rows = (sections.get(rules.entity) ?? []).flatMap((row, index) => checkOne(row, index) ?? []);
      return [rules.entity, rows];
    }),
  );
}

/**
 * Checks the rows of one section, one after the other; null for one that has a fault of its own.
 * @param isKnown whether a row is in the catalogue exactly so, and need not be checked again
 */
export function createSectionCheck(
  rules: EntityRules,
  file: string,
  problems: FileProblem[],
  isKnown: (row: unknown) => boolean = () => false,
): (row: unknown, index: number) => CheckedFileRow | null {
  const indexBySlug = new Map<string, number>();
  return (given, index) => {
    const { archivedAt, row } = takeMark(given);
    const checked = isKnown(given) ? { ok: true as const, input: row as RowWithSlug } : checkRow(rules, row);
    const mark = archiveMark.safeParse(archivedAt ?? null);
    const place = { file, row: index, ...slugOf(row) };
    if (!mark.success) {
      const message = 'must be a moment in UTC such as "2026-03-01T12:00:00.000Z", or null';
      problems.push({ ...place, path: [ARCHIVED_AT], message });
    }
    if (!checked.ok) problems.push(...checked.problems.map((problem) => ({ ...place, ...problem })));
    if (!checked.ok || !mark.success) return null;
    const { slug } = checked.input;
    const earlier = indexBySlug.get(slug);
    if (earlier !== undefined) {
      problems.push({ ...place, path: ["slug"], message: `is the slug of row ${earlier + 1} too` });
    }
    indexBySlug.set(slug, index);
    return { slug, index, input: checked.input, archivedAt: mark.data };
  };
}

type RowWithSlug = Readonly<Record<string, unknown>> & { slug: string };

function takeMark(given: unknown): { archivedAt?: unknown; row: unknown } {
  if (typeof given !== "object" || given === null || !Object.hasOwn(given, ARCHIVED_AT)) return { row: given };
  const { [ARCHIVED_AT]: archivedAt, ...row } = given as Record<string, unknown>;
  return { archivedAt, row };
}

function slugOf(row: unknown): { slug?: string } {
  const slug = (row as { slug?: unknown } | null)?.slug;
  return typeof slug === "string" ? { slug } : {};
}
