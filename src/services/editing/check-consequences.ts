import { setImmediate } from "node:timers/promises";
import type { Catalogue } from "../../data/catalogue.js";
import type { ScenarioRow } from "../../data/rows.js";
import { isEngine } from "../estimation/runtimes.js";
import { servicesFor } from "../services.js";
import { EDIT_FORMS } from "./forms.js";
import { type EditableRow, type PlannedChange, rowsOf } from "./plan.js";
import type { UserError } from "./user-error.js";

/** Rows named in a message. */
const MAX_NAMED = 5;

/**
 * What planned changes would do to the rest of the catalogue: rows that refer to one that goes or gets another slug,
 * scenarios that could no longer be rendered.
 * @param before the catalogue as it is
 * @param after the catalogue as it would be
 */
export async function checkConsequences(
  changes: readonly PlannedChange[],
  before: Catalogue,
  after: Catalogue,
): Promise<UserError[]> {
  const problems = changes.flatMap((change) => [...checkReferrers(change, before), ...checkSlugUses(change, before)]);
  if (problems.length > 0) return problems;
  return checkScenarios(changes, before, after);
}

/** A row that others refer to cannot be removed. */
function checkReferrers(change: PlannedChange, catalogue: Catalogue): UserError[] {
  if (change.operation !== "DELETE" || change.before === null) return [];
  const { id } = change.before;
  const referrers = Object.values(EDIT_FORMS).flatMap((form) =>
    form.rules.references
      .filter(({ entity, column }) => entity === change.form.rules.entity && column !== undefined)
      .flatMap(({ column = "" }) => rowsOf(form, catalogue).rows.filter((row) => row[column] === id)),
  );
  return inUse(change, referrers, "be removed; archive it instead");
}

/** Rows, settings, templates and engines that name a row by a slug that is about to go. */
function checkSlugUses(change: PlannedChange, catalogue: Catalogue): UserError[] {
  const slug = change.before?.slug;
  if (slug === undefined || change.after?.slug === slug) return [];
  const { entity, label } = change.form.rules;
  if (entity === "runtimes" && isEngine(slug)) {
    const message = `"${slug}" is the slug by which the estimator knows this ${label}; it has to stay.`;
    return [{ code: "IN_USE", field: fieldOf(change), message }];
  }
  const lists = Object.values(EDIT_FORMS).flatMap((form) =>
    form.rules.references
      .filter((reference) => reference.entity === entity && reference.column === undefined)
      .flatMap(({ field }) =>
        rowsOf(form, catalogue).rows.filter((row) => (row[field] as readonly string[]).includes(slug)),
      ),
  );
  const scenarios = catalogue.scenarios.rows.filter((scenario) => mentions(scenario, slug));
  const lost = change.after === null ? "be removed; archive it instead" : "get another slug";
  return inUse(change, [...lists, ...(scenarios as unknown as EditableRow[])], lost);
}

function inUse(change: PlannedChange, users: readonly EditableRow[], what: string): UserError[] {
  if (users.length === 0) return [];
  const slugs = [...new Set(users.map(({ slug }) => slug))];
  const more = slugs.length > MAX_NAMED ? ` and ${slugs.length - MAX_NAMED} more` : "";
  const message = `${slugs.slice(0, MAX_NAMED).join(", ")}${more} ${slugs.length === 1 ? "refers" : "refer"} to "${change.before?.slug}", so that it cannot ${what}.`;
  return [{ code: "IN_USE", field: fieldOf(change), message }];
}

function fieldOf({ after, path }: PlannedChange): readonly string[] {
  return after === null ? path : [...path, "slug"];
}

/** Scenarios that are changed, and those that depend on something that is. */
async function checkScenarios(
  changes: readonly PlannedChange[],
  before: Catalogue,
  after: Catalogue,
): Promise<UserError[]> {
  const isSaved = ({ operation }: PlannedChange) => operation !== "ARCHIVE" && operation !== "DELETE";
  const saved = changes.filter((change) => change.form.type === "Scenario" && isSaved(change));
  const own = new Map(saved.map((change) => [change.after?.id, change]));
  const others = changes.filter(({ form, operation }) => operation === "UPDATE" && form.type !== "Scenario");
  const problems: UserError[] = [];
  for (const scenario of after.scenarios.rows) {
    const change = own.get(scenario.id);
    const cause = others.find((other) => dependsOn(scenario, other));
    if (change === undefined && cause === undefined) continue;
    // The thread answers others between two scenarios, each of which may search all hardware.
    await setImmediate();
    const found = servicesFor(after).scenarios.check(scenario);
    if (change !== undefined) {
      problems.push(
        ...found.map(({ path, message }) => ({
          code: "INVALID" as const,
          field: [...change.path, ...path],
          message: `${path.join(".")}: ${message}`,
        })),
      );
    } else if (cause !== undefined && found[0] !== undefined && isSound(scenario, before)) {
      const message = `The scenario "${scenario.slug}" could no longer be answered: ${found[0].message}`;
      problems.push({ code: "IN_USE", field: cause.path, message });
    }
  }
  return problems;
}

function isSound(scenario: ScenarioRow, catalogue: Catalogue): boolean {
  return servicesFor(catalogue).scenarios.check(scenario).length === 0;
}

/** Whether what a scenario says may follow from a row. Lists of fitting hardware are left out: they only get other rows. */
function dependsOn(scenario: ScenarioRow, { before }: PlannedChange): boolean {
  if (before === null) return false;
  return scenario.modelId === before.id || scenario.quantFormatId === before.id || mentions(scenario, before.slug);
}

/** Whether the settings or a template name a slug. */
function mentions({ settings, answer, explanation, verdict, faq }: ScenarioRow, slug: string): boolean {
  const texts = [answer, explanation, verdict, ...faq.flatMap((entry) => [entry.question, entry.answer])];
  return (
    JSON.stringify(settings).includes(`"${slug}"`) ||
    texts.some((text) => text.includes(`"${slug}"`) || text.includes(`'${slug}'`))
  );
}
