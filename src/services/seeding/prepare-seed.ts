import { type Catalogue, createTable } from "../../data/catalogue.js";
import type { ScenarioRow } from "../../data/rows.js";
import { checkRow, type RowProblem } from "../catalogue/rules/check-row.js";
import { toColumns } from "../catalogue/rules/columns.js";
import { ENTITIES, type EntityName, type EntityRules } from "../catalogue/rules/entities.js";
import { suggestSlugs } from "../catalogue/suggestions.js";
import { SEED_FILES } from "./read-seed.js";
import { seedRowId } from "./row-id.js";
import { SeedError, type SeedProblem } from "./seed-error.js";

/** A row that passed its entity's rules. */
export interface PreparedRow {
  slug: string;
  /** Its place in the file. */
  index: number;
  input: Readonly<Record<string, unknown>>;
}

export type PreparedSeed = ReadonlyMap<EntityName, readonly PreparedRow[]>;

/** Checks a scenario's settings and templates; they need the whole catalogue, which is built from the seed first. */
export type ScenarioCheck = (catalogue: Catalogue) => (scenario: ScenarioRow) => readonly RowProblem[];

/**
 * Checks a whole seed: JSON, the rules of every entity, unique slugs, references, scenarios.
 * Throws SeedError with everything that is wrong.
 */
export function prepareSeed(texts: ReadonlyMap<EntityName, string>, checkScenario?: ScenarioCheck): PreparedSeed {
  const problems: SeedProblem[] = [];
  const seed = new Map<EntityName, PreparedRow[]>();
  for (const rules of ENTITIES) seed.set(rules.entity, prepareEntity(rules, texts.get(rules.entity), problems));
  // A row with a fault of its own is missing from the others' view; its references' owners are told so only once
  // the row itself is right.
  if (problems.length === 0) checkReferences(seed, problems);
  if (problems.length === 0 && checkScenario) checkScenarios(seed, checkScenario, problems);
  if (problems.length > 0) throw new SeedError(problems);
  return seed;
}

function prepareEntity(rules: EntityRules, text: string | undefined, problems: SeedProblem[]): PreparedRow[] {
  const file = SEED_FILES[rules.entity];
  const prepared: PreparedRow[] = [];
  const indexBySlug = new Map<string, number>();
  parseRows(file, text, problems).forEach((row, index) => {
    const checked = checkRow(rules, row);
    if (!checked.ok) {
      problems.push(...checked.problems.map((problem) => ({ file, row: index, ...slugOf(row), ...problem })));
      return;
    }
    const { slug } = checked.input;
    const earlier = indexBySlug.get(slug);
    if (earlier !== undefined) {
      problems.push({ file, row: index, slug, path: ["slug"], message: `is the slug of row ${earlier + 1} too` });
    }
    indexBySlug.set(slug, index);
    prepared.push({ slug, index, input: checked.input });
  });
  return prepared;
}

function parseRows(file: string, text: string | undefined, problems: SeedProblem[]): unknown[] {
  if (text === undefined) return [];
  try {
    const rows: unknown = JSON.parse(text);
    if (Array.isArray(rows)) return rows;
    problems.push({ file, path: [], message: "must be a JSON array of rows" });
  } catch (error) {
    problems.push({ file, path: [], message: `is not JSON: ${(error as Error).message}` });
  }
  return [];
}

function slugOf(row: unknown): { slug?: string } {
  const slug = (row as { slug?: unknown } | null)?.slug;
  return typeof slug === "string" ? { slug } : {};
}

function checkReferences(seed: PreparedSeed, problems: SeedProblem[]): void {
  const tables = new Map(
    [...seed].map(([entity, rows]) => [
      entity,
      createTable(rows.map(({ slug }) => ({ id: slug, slug, archivedAt: null }))),
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
            file: SEED_FILES[entity],
            row: index,
            slug,
            path: isList ? [field, place] : [field],
            message: `names "${wanted}", which is not in ${SEED_FILES[target]}${nearest ? `; near it are ${nearest}` : ""}`,
          });
        });
      }
    }
  }
}

function checkScenarios(seed: PreparedSeed, check: ScenarioCheck, problems: SeedProblem[]): void {
  const catalogue = toCatalogue(seed);
  const checkOne = check(catalogue);
  for (const { slug, index } of seed.get("scenarios") ?? []) {
    const scenario = catalogue.scenarios.bySlug.get(slug);
    if (!scenario) continue;
    problems.push(
      ...checkOne(scenario).map((problem) => ({ file: SEED_FILES.scenarios, row: index, slug, ...problem })),
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
      archivedAt: null,
    }));
    return [rules.entity, createTable(rows as unknown as { id: string; slug: string }[])];
  });
  return { version: 0, ...Object.fromEntries(tables) } as Catalogue;
}
