import { CatalogueFileError } from "./catalogue-folder.js";
import { checkSections } from "./check-sections.js";
import { normalizeSections, toDocument } from "./export-catalogue.js";
import type { FileProblem } from "./file-problem.js";
import { SECTION_FILES, type Sections } from "./section-files.js";

/**
 * The document that an export of these rows would give: rows by slug, every field there, keys in order.
 * @throws CatalogueFileError when rows are wrong by themselves; references are not looked at
 */
export function normalizeFiles(sections: Sections): string {
  const problems: FileProblem[] = [];
  const checked = checkSections(sections, problems, (entity) => SECTION_FILES[entity]);
  if (problems.length > 0) throw new CatalogueFileError(problems);
  return toDocument(normalizeSections(checked));
}
