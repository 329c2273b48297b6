import type { Catalogue } from "../../data/catalogue.js";
import { ENTITIES } from "../catalogue/rules/entities.js";
import { previewCatalogue } from "../editing/apply-changes.js";
import { FILE_FORMS } from "../editing/forms.js";
import { mark, type Plan, type PlannedChange, rowsOf, startDraft, store } from "../editing/plan.js";
import type { UserError } from "../editing/user-error.js";
import type { CheckedSections } from "./check-sections.js";

/** What is to become of the catalogue. */
export interface CatalogueImport {
  sections: CheckedSections;
  /** Archives rows of the sections' entities that are not among them. */
  prune: boolean;
  /** The version of the catalogue that the rows were made from; null for any. */
  expectedCatalogVersion: number | null;
}

/** Rows that an import leaves as they are. */
export interface Untouched {
  /** In the file and in the catalogue, and the same. */
  unchanged: number;
  /** In the catalogue, of an entity that the file has a section for, but not in the file; archived ones not counted. */
  notInFile: number;
}

/** Argument of the API that rows are given in; every path begins with it. */
export const DOCUMENT_ARGUMENT = "catalog";

/**
 * Plans an import over a version of the catalogue: rows are created or changed by their slugs, archived and restored
 * as their marks say. References may lead to rows of the file and of the catalogue.
 */
export function planCatalogueImport(
  { sections, prune, expectedCatalogVersion }: CatalogueImport,
  catalogue: Catalogue,
): { plan: Plan; untouched: Untouched } {
  const untouched: Untouched = { unchanged: 0, notInFile: 0 };
  const changes: PlannedChange[] = [];
  const problems: UserError[] = [];
  if (expectedCatalogVersion !== null && expectedCatalogVersion !== catalogue.version) {
    problems.push(describeStale(expectedCatalogVersion, catalogue.version));
    return { plan: planOf([], problems), untouched };
  }
  let planned = catalogue;
  for (const { entity } of ENTITIES) {
    const rows = sections.get(entity);
    const form = FILE_FORMS.get(entity);
    if (rows === undefined || form === undefined) continue;
    const draft = startDraft(form, planned);
    const table = rowsOf(form, planned);
    for (const { slug, index, input, archivedAt } of rows) {
      const path = [DOCUMENT_ARGUMENT, entity, String(index)];
      store(draft, { existing: table.bySlug.get(slug) ?? null, input, path, isChecked: true, archivedAt });
    }
    untouched.unchanged += draft.rowIds.length - draft.changes.length;
    const inFile = new Set(rows.map(({ slug }) => slug));
    const missing = table.rows.filter((row) => row.archivedAt === null && !inFile.has(row.slug));
    if (prune) for (const row of missing) mark(draft, row, "ARCHIVE", ["prune"]);
    else untouched.notInFile += missing.length;
    changes.push(...draft.changes);
    problems.push(...draft.problems);
    planned = previewCatalogue(planned, draft.changes);
  }
  return { plan: planOf(changes, problems), untouched };
}

function planOf(changes: readonly PlannedChange[], problems: readonly UserError[]): Plan {
  return { form: null, rowIds: [], staleIds: [], changes, problems };
}

function describeStale(expected: number, current: number): UserError {
  return {
    code: "STALE",
    field: ["expectedCatalogVersion"],
    message:
      `The catalogue is at version ${current}, not at ${expected}: somebody has edited it since the export. ` +
      "Look at the differences, and import with the version as it is now.",
  };
}
