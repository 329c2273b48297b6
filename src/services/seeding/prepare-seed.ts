import { type Catalogue, createTable } from "../../data/catalogue.js";
import type { ScenarioRow } from "../../data/rows.js";
import type { RowProblem } from "../catalogue/rules/check-row.js";
import { toColumns } from "../catalogue/rules/columns.js";
import { ENTITIES, type EntityName } from "../catalogue/rules/entities.js";
import { suggestSlugs } from "../catalogue/suggestions.js";
import { type CheckedSections, checkSections } from "../catalogue-files/check-sections.js";
import type { FileProblem } from "../catalogue-files/file-problem.js";
import { parseFiles } from "../catalogue-files/parse-sections.js";
import { SECTION_FILES } from "../catalogue-files/section-files.js";
import { seedRowId } from "./row-id.js";
import { SeedError } from "./seed-error.js";

/** Rows that passed the rules of their entities, the seed's or any file's of the catalogue. */
export type PreparedSeed = CheckedSections;

/** Checks a scenario's settings and templates; they need the whole catalogue, which is built from the seed first. */
export type ScenarioCheck = (catalogue: Catalogue) => (scenario: ScenarioRow) => readonly RowProblem[];

/**
 * Checks a whole seed: JSON, the rules of every entity, unique slugs, references, scenarios.
 * Throws SeedError with everything that is wrong.
 */
export function prepareSeed(texts: ReadonlyMap<EntityName, string>, checkScenario?: ScenarioCheck): PreparedSeed {
  const problems: FileProblem[] = [];
  const seed = checkSections(parseFiles(texts, problems), problems, (entity) => SECTION_FILES[entity]);
  // A row with a fault of its own is missing from the others' view; its references' owners are told so only once
  // the row itself is right.
  if (problems.length === 0) checkReferences(seed, problems);
  if (problems.length === 0 && checkScenario) checkScenarios(seed, checkScenario, problems);
  if (problems.length > 0) throw new SeedError(problems);
  return seed;
}

function checkReferences(seed: PreparedSeed, problems: FileProblem[]): void {
  const tables = new Map(
    ENTITIES.map(({ entity }) => [
      entity,
      createTable((seed.get(entity) ?? []).map(({ slug }) => ({ id: slug, slug, archivedAt: null }))),
    ]),
  );
  for (const { entity, references } of ENTITIES) {
    for (const { slug, index, input } of seed.get(entity) ?? []) {
      for (const { field, entity: target } of references) {
        const table = tables.get(target);
        if (!table) continue;
        const value = input[field] as string | readonly string[] | null;
        const isList = Array.isArray(value);
        (isList ? value : [value]).forEach((wanted: string | null, place: number) => {
          if (wanted === null || table.bySlug.has(wanted)) return;
          const nearest = suggestSlugs(table, wanted).slice(0, 3).join(", ");
          problems.push({
            file: SECTION_FILES[entity],
            row: index,
            slug,
            path: isList ? [field, place] : [field],
            message: `names "${wanted}", which is not in ${SECTION_FILES[target]}${nearest ? `; near it are ${nearest}` : ""}`,
          });
        });
      }
    }
  }
}

function checkScenarios(seed: PreparedSeed, check: ScenarioCheck, problems: FileProblem[]): void {
  const catalogue = toCatalogue(seed);
  const checkOne = check(catalogue);
  for (const { slug, index } of seed.get("scenarios") ?? []) {
    const scenario = catalogue.scenarios.bySlug.get(slug);
    if (!scenario) continue;
    problems.push(
      ...checkOne(scenario).map((problem) => ({ file: SECTION_FILES.scenarios, row: index, slug, ...problem })),
    );
  }
}

/** The catalogue that a database with nothing but this seed would hold. */
export function toCatalogue(seed: PreparedSeed): Catalogue {
  const never = new Date(0);
  const tables = ENTITIES.map((rules) => {
    const rows = (seed.get(rules.entity) ?? []).map((row) => ({
      id: seedRowId(rules.entity, row.slug),
      ...toColumns(rules, row.input, seedRowId),
      version: 1,
      createdAt: never,
      updatedAt: never,
      archivedAt: row.archivedAt === null ? null : new Date(row.archivedAt),
    }));
    return [rules.entity, createTable(rows as unknown as { id: string; slug: string }[])];
  });
  return { version: 0, ...Object.fromEntries(tables) } as Catalogue;
}
