import { setImmediate } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import type { Catalogue } from "../../data/catalogue.js";
import { ENTITIES, type EntityRules } from "../catalogue/rules/entities.js";
import type { EditingService, EditOptions, RowDiffModel } from "../editing/editing.js";
import { FILE_FORMS } from "../editing/forms.js";
import type { ChangeOperation } from "../editing/plan.js";
import { rowsOf } from "../editing/plan.js";
import type { UserError } from "../editing/user-error.js";
import { type CheckedFileRow, createSectionCheck } from "./check-sections.js";
import { toFileRow } from "./export-catalogue.js";
import type { FileProblem } from "./file-problem.js";
import { readDocument } from "./parse-sections.js";
import { DOCUMENT_ARGUMENT, planCatalogueImport, type Untouched } from "./plan-catalogue-import.js";
import type { Sections } from "./section-files.js";

export interface ImportOptions extends EditOptions {
  /** Archives rows of the sections' entities that are not in the file. */
  prune: boolean;
  /** The version of the catalogue that the file was made from; null for any. */
  expectedCatalogVersion: number | null;
}

/** Rows by what became, or would become, of them. */
export interface ImportCounts extends Untouched {
  added: number;
  changed: number;
  archived: number;
  restored: number;
}

export interface ImportOutcome {
  /** The catalogue as the import left it. */
  catalogue: Catalogue;
  counts: ImportCounts;
  diffs: readonly RowDiffModel[];
  /** Everything that is wrong, up to a bound; nothing was saved when there is anything. */
  problems: readonly UserError[];
}

/** Rows of one import, twenty times the catalogue's: all of them are checked, planned and written at once. */
export const MAX_IMPORT_ROWS = 50_000;
/** Problems that are told; nobody reads more. */
const MAX_PROBLEMS = 100;
/** Problems after which no more rows are checked. */
const MAX_FOUND = 1_000;
/** Rows checked before the thread answers others. */
const ROWS_PER_TURN = 20;

/** Where an import reads and writes. */
export interface ImportTarget {
  editing: EditingService;
  /** A recent version of the catalogue: what is in it already need not be checked again. */
  catalogue: Catalogue;
}

/**
 * Imports a document with a section for each entity, or several: all of it in one transaction with its entries of the
 * history, or nothing. Sections that are absent and, without `prune`, rows that are not in the file stay as they are.
 * @throws ApiError UNAVAILABLE when the database does not answer
 */
export async function importDocument(
  document: unknown,
  target: ImportTarget,
  options: ImportOptions,
): Promise<ImportOutcome> {
  const problems: FileProblem[] = [];
  const sections = readDocument(document, DOCUMENT_ARGUMENT, problems);
  return problems.length > 0 ? refused(target, problems.map(toUserError)) : importSections(sections, target, options);
}

async function importSections(
  sections: Sections,
  target: ImportTarget,
  options: ImportOptions,
): Promise<ImportOutcome> {
  const { prune, expectedCatalogVersion } = options;
  const count = [...sections.values()].reduce((sum, rows) => sum + rows.length, 0);
  if (count > MAX_IMPORT_ROWS) {
    const message = `At most ${MAX_IMPORT_ROWS} rows at once, not ${count}; import the sections one by one.`;
    return refused(target, [{ code: "TOO_MANY", field: [DOCUMENT_ARGUMENT], message }]);
  }
  const problems: FileProblem[] = [];
  const checked = await checkAll(sections, target.catalogue, problems);
  if (problems.length > 0) return refused(target, problems.map(toUserError));
  let untouched: Untouched = { unchanged: 0, notInFile: 0 };
  const outcome = await target.editing.edit((catalogue) => {
    const planned = planCatalogueImport({ sections: checked, prune, expectedCatalogVersion }, catalogue);
    untouched = planned.untouched;
    return planned.plan;
  }, options);
  const { catalogue, diffs } = outcome;
  if (outcome.problems.length > 0) return { ...refused(target, outcome.problems), catalogue };
  return { catalogue, diffs, counts: countRows(diffs, untouched), problems: [] };
}

/** As `checkSections`, while the thread answers others, and without what is in the catalogue exactly so. */
async function checkAll(
  sections: Sections,
  catalogue: Catalogue,
  problems: FileProblem[],
): Promise<Map<EntityRules["entity"], CheckedFileRow[]>> {
  const checked = new Map<EntityRules["entity"], CheckedFileRow[]>();
  for (const rules of ENTITIES) {
    const rows = sections.get(rules.entity);
    if (rows === undefined) continue;
    const checkOne = createSectionCheck(rules, rules.entity, problems, (row) => isKnown(rules, row, catalogue));
    const passed: CheckedFileRow[] = [];
    for (const [index, row] of rows.entries()) {
      if (index % ROWS_PER_TURN === 0) await setImmediate();
      if (problems.length >= MAX_FOUND) return checked;
      const result = checkOne(row, index);
      if (result !== null) passed.push(result);
    }
    checked.set(rules.entity, passed);
  }
  return checked;
}

function isKnown(rules: EntityRules, given: unknown, catalogue: Catalogue): boolean {
  const form = FILE_FORMS.get(rules.entity);
  const slug = (given as { slug?: unknown } | null)?.slug;
  const row = form === undefined || typeof slug !== "string" ? undefined : rowsOf(form, catalogue).bySlug.get(slug);
  return row !== undefined && isDeepStrictEqual(toFileRow(rules, row, catalogue), given);
}

function refused({ catalogue }: ImportTarget, problems: readonly UserError[]): ImportOutcome {
  const told = problems.slice(0, MAX_PROBLEMS);
  if (problems.length > told.length) {
    const message = `There is more wrong than these ${MAX_PROBLEMS} things.`;
    told.push({ code: "INVALID", field: [DOCUMENT_ARGUMENT], message });
  }
  return { catalogue, counts: countRows([], { unchanged: 0, notInFile: 0 }), diffs: [], problems: told };
}

function toUserError({ file, row, path, message }: FileProblem): UserError {
  const section = file === DOCUMENT_ARGUMENT ? [] : [file];
  const place = row === undefined ? [] : [String(row)];
  const subject = path.length > 0 ? path.join(".") : row === undefined ? "The document" : "The row";
  return {
    code: "INVALID",
    field: [DOCUMENT_ARGUMENT, ...section, ...place, ...path.map(String)],
    message: `${subject} ${message}.`,
  };
}

const COUNTED: Readonly<Record<Exclude<ChangeOperation, "DELETE">, keyof ImportCounts>> = {
  CREATE: "added",
  UPDATE: "changed",
  ARCHIVE: "archived",
  RESTORE: "restored",
};

function countRows(diffs: readonly RowDiffModel[], untouched: Untouched): ImportCounts {
  const counts = { added: 0, changed: 0, archived: 0, restored: 0, ...untouched };
  for (const { operation } of diffs) if (operation !== "DELETE") counts[COUNTED[operation]]++;
  return counts;
}
