import { isDeepStrictEqual } from "node:util";
import type { Catalogue } from "../../data/catalogue.js";
import type { ModelRow, QuantFormatRow, Source } from "../../data/rows.js";
import type { Architecture } from "../../estimator/architecture/architecture.js";
import { countParameters, type ParameterCount } from "../../estimator/tensors/count-parameters.js";
import { previewCatalogue } from "../editing/apply-changes.js";
import { EDIT_FORMS } from "../editing/forms.js";
import { type Plan, planUpsert, refuse } from "../editing/plan.js";
import type { ApiInput } from "../editing/read-input.js";
import { compareParameters, type ParameterComparison } from "./compare-parameters.js";
import { ImportError } from "./import-error.js";
import { type FileMatch, matchFile, matchScheme } from "./match-formats.js";
import { ownerOf, slugOfName, slugOfRepo, titleOfRepo } from "./repository-name.js";
import type { PublishedFile, SourceFacts } from "./source-facts.js";

/** What people know better than the source: absent leaves it to the source and the row as it is, null clears. */
export interface ImportOverrides {
  slug?: string | null | undefined;
  expectedVersion?: number | null | undefined;
  name?: string | null | undefined;
  family?: string | null | undefined;
  vendor?: string | null | undefined;
  licence?: string | null | undefined;
  releasedOn?: string | null | undefined;
  huggingFaceRepo?: string | null | undefined;
  publishedParameters?: number | null | undefined;
  parametersNote?: string | null | undefined;
  sources?: readonly object[] | null | undefined;
}

/** What an import found, with what the catalogue knows about it. */
export interface ImportFindings {
  facts: SourceFacts;
  /** Of the source, or of the row where the source does not say. */
  architecture: Architecture;
  count: ParameterCount;
  /** Null when the source does not say how many parameters it has. */
  comparison: ParameterComparison | null;
  /** Format of the catalogue that a quantized checkpoint is stored in. */
  checkpointFormat: QuantFormatRow | null;
  files: readonly FileFinding[];
  notes: readonly string[];
}

/** A file of the source, and the row that it became or would become. */
export interface FileFinding extends FileMatch {
  file: PublishedFile;
  /** Slug of the row; null when none was made. */
  slug: string | null;
}

/** A plan of the rows that a source makes, with what was found on the way. */
export interface ImportPlan {
  plan: Plan;
  /** Null when the model that the source is about cannot be told. */
  findings: ImportFindings | null;
}

/** Argument that the model's row is in. */
const MODEL_PATH = ["input"];
/** Argument that the files come from. */
const FILES_PATH = ["input", "source"];

/**
 * Plans the rows of an import over a version of the catalogue: the model, new or changed, and its files. A model of the
 * same repository or slug is changed and never doubled; what people wrote into it stays where the source has nothing
 * else, and its licence, names and notes stay in any case.
 */
export function planImport(facts: SourceFacts, overrides: ImportOverrides, catalogue: Catalogue): ImportPlan {
  const form = EDIT_FORMS.Model;
  let existing: ModelRow | null;
  let input: ApiInput;
  try {
    existing = findExisting(facts, overrides, catalogue);
    if (existing === null && facts.unreadable !== null) {
      return { plan: refuse(form, null, [facts.unreadable]), findings: null };
    }
    input = modelInput(facts, overrides, existing, catalogue);
  } catch (error) {
    if (!(error instanceof ImportError)) throw error;
    return { plan: refuse(form, null, [error.toUserError()]), findings: null };
  }
  const modelPlan = planUpsert(form, [input], () => MODEL_PATH)(catalogue);
  const architecture = facts.architecture ?? existing?.architecture;
  if (architecture === undefined) throw new Error("a new model without an architecture was not refused");
  const known = { facts, architecture, existing, catalogue };
  if (modelPlan.problems.length > 0) return { plan: modelPlan, findings: findingsOf(known, [], input) };

  const withModel = previewCatalogue(catalogue, modelPlan.changes);
  const model = withModel.models.byId.get(modelPlan.rowIds[0] ?? "");
  if (model === undefined) throw new Error("the model of an import was planned and is not there");
  const files = matchFiles(facts, model, withModel);
  const rows = files.filter((found) => found.slug !== null);
  const filesPlan = planUpsert(
    EDIT_FORMS.ModelFile,
    rows.map((found) => fileInput(found, model, withModel)),
    () => FILES_PATH,
  )(withModel);
  return {
    plan: {
      ...modelPlan,
      changes: [...modelPlan.changes, ...filesPlan.changes],
      problems: filesPlan.problems,
    },
    findings: findingsOf(known, files, input),
  };
}

/**
 * The row that a source is about: the one of the slug that was given, else the one of the repository, else the one of
 * the slug that the repository suggests.
 * @throws ImportError TAKEN when the row of the slug is about another repository, INVALID when nothing names the model
 */
function findExisting(
  facts: SourceFacts,
  { slug, ...overrides }: ImportOverrides,
  catalogue: Catalogue,
): ModelRow | null {
  const repos = [overrides.huggingFaceRepo, facts.repo, facts.baseRepo].filter((repo) => typeof repo === "string");
  const ofRepo = repos.flatMap(
    (repo) => catalogue.models.rows.find((row) => isSameRepo(row.huggingFaceRepo, repo)) ?? [],
  );
  if (slug != null) {
    const named = catalogue.models.bySlug.get(slug);
    const holder = ofRepo[0];
    if (named !== undefined || holder === undefined) return named ?? null;
    const message = `${holder.huggingFaceRepo} is in the catalogue as "${holder.slug}". Leave slug out to update that model.`;
    throw new ImportError("TAKEN", ["input", "slug"], message);
  }
  if (ofRepo[0] !== undefined) return ofRepo[0];
  const derived = deriveSlug(facts, overrides);
  const named = catalogue.models.bySlug.get(derived);
  if (named === undefined || named.huggingFaceRepo === null || repos.length === 0) return named ?? null;
  const message =
    `The slug would be "${derived}", which is that of ${named.huggingFaceRepo}. ` +
    `Give slug: another one for a new model, or "${derived}" to update that one.`;
  throw new ImportError("TAKEN", ["input", "slug"], message);
}

function isSameRepo(left: string | null, right: string | null): boolean {
  return left !== null && right !== null && left.toLowerCase() === right.toLowerCase();
}

/** @throws ImportError INVALID when nothing names the model */
function deriveSlug(facts: SourceFacts, { huggingFaceRepo, name }: ImportOverrides): string {
  const repo = huggingFaceRepo ?? facts.baseRepo ?? facts.repo;
  const slug = repo === null ? slugOfName(name ?? facts.name ?? "") : slugOfRepo(repo);
  if (slug !== "") return slug;
  const message = "slug is missing, and nothing names the model: give slug, name or huggingFaceRepo.";
  throw new ImportError("INVALID", ["input", "slug"], message);
}

/** The model's row as an input of the API. */
function modelInput(
  facts: SourceFacts,
  overrides: ImportOverrides,
  existing: ModelRow | null,
  catalogue: Catalogue,
): ApiInput {
  const { expectedVersion, slug, sources, ...given } = withoutAbsent(overrides);
  const fields = {
    ...(existing === null ? newFields(facts, overrides, catalogue) : changedFields(facts, existing)),
    ...given,
  };
  return {
    slug: existing?.slug ?? slug ?? deriveSlug(facts, overrides),
    ...(expectedVersion === undefined ? {} : { expectedVersion }),
    ...fields,
    ...sourcesOf(facts, sources, existing, fields),
  };
}

function withoutAbsent(overrides: ImportOverrides): Record<string, unknown> {
  const { slug, expectedVersion, ...fields } = overrides;
  const entries = Object.entries({ ...fields, slug: slug ?? undefined, expectedVersion: expectedVersion ?? undefined });
  return Object.fromEntries(entries.filter(([, value]) => value !== undefined));
}

/** All that a new model's row can have from its source and its names. */
function newFields(facts: SourceFacts, overrides: ImportOverrides, catalogue: Catalogue): Record<string, unknown> {
  const repo = overrides.huggingFaceRepo ?? facts.baseRepo ?? facts.repo;
  const title = overrides.name ?? facts.name ?? (repo === null ? (overrides.slug ?? "") : titleOfRepo(repo));
  const published = facts.baseRepo === null ? facts.publishedParameters : null;
  return {
    name: title,
    family: familyOf(title, catalogue),
    ...(repo === null ? {} : { vendor: vendorOf(ownerOf(repo), catalogue) }),
    licence: facts.licence,
    releasedOn: facts.releasedOn,
    huggingFaceRepo: repo,
    publishedParameters: published,
    parametersNote: noteOn(facts, published),
    architecture: facts.architecture,
  };
}

/** What the source says of a model that is there: its weights; of what people write, only what is not there yet. */
function changedFields(facts: SourceFacts, existing: ModelRow): Record<string, unknown> {
  const isOwn = facts.repo === null || facts.baseRepo === null || isSameRepo(existing.huggingFaceRepo, facts.repo);
  const published = isOwn ? facts.publishedParameters : null;
  return {
    ...(isOwn && facts.isWhole && facts.architecture !== null ? { architecture: facts.architecture } : {}),
    ...(published === null ? {} : { publishedParameters: published }),
    ...(existing.parametersNote === null && published !== null ? { parametersNote: noteOn(facts, published) } : {}),
    ...(existing.licence === null && facts.licence !== null ? { licence: facts.licence } : {}),
    ...(existing.releasedOn === null && facts.releasedOn !== null ? { releasedOn: facts.releasedOn } : {}),
    ...(existing.huggingFaceRepo === null && facts.repo !== null && isOwn ? { huggingFaceRepo: facts.repo } : {}),
  };
}

/** Why a published count differs, where that can be told. */
function noteOn({ architecture }: SourceFacts, published: number | null): string | null {
  if (published === null || architecture === null) return null;
  const { includes } = compareParameters(countParameters(architecture), published);
  return includes === null ? null : `The published count includes the ${includes}.`;
}

/** The family of the catalogue that a name begins with, else the name's first word. */
function familyOf(title: string, catalogue: Catalogue): string {
  const families = new Set(catalogue.models.rows.map(({ family }) => family));
  const beginsWith = (family: string) => `${title.toLowerCase()} `.startsWith(`${family.toLowerCase()} `);
  const [longest] = [...families].filter(beginsWith).sort((left, right) => right.length - left.length);
  return longest ?? title.split(" ")[0] ?? title;
}

/** The name under which the catalogue has the models of an owner, else the owner's own. */
function vendorOf(owner: string, catalogue: Catalogue): string {
  const ofOwner = catalogue.models.rows.find(({ huggingFaceRepo }) =>
    huggingFaceRepo?.toLowerCase().startsWith(`${owner.toLowerCase()}/`),
  );
  return ofOwner?.vendor ?? owner;
}

/** The sources that were given; else those of the row and the one read, when it changes anything. */
function sourcesOf(
  facts: SourceFacts,
  given: unknown,
  existing: ModelRow | null,
  fields: Readonly<Record<string, unknown>>,
): { sources?: unknown } {
  if (given !== undefined) return { sources: given };
  if (existing === null) return { sources: facts.sources };
  const changes = Object.entries(fields).some(
    ([field, value]) => !isDeepStrictEqual(asJson(value), asJson(existing[field as keyof ModelRow])),
  );
  return changes ? { sources: addSources(existing.sources, facts.sources) } : {};
}

function addSources(known: readonly Source[], added: readonly Source[]): Source[] {
  const isKnown = (source: Source) => known.some(({ title }) => title === source.title);
  return [...known, ...added.filter((source) => !isKnown(source))];
}

function asJson(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value ?? null));
}

/** The files of a source with the formats and rows of the catalogue. */
function matchFiles(facts: SourceFacts, model: ModelRow, catalogue: Catalogue): FileFinding[] {
  const taken = new Set<string>();
  return facts.files.map((file) => {
    const match = matchFile(file, model, catalogue);
    if (!match.becomesRow) return { ...match, file, slug: null };
    const slug = slugOfFile(file, model, catalogue, taken);
    taken.add(slug);
    return { ...match, file, slug };
  });
}

/** The slug of the row of a file, or one that is free for a new row. */
function slugOfFile(file: PublishedFile, model: ModelRow, catalogue: Catalogue, taken: ReadonlySet<string>): string {
  const { rows, bySlug } = catalogue.modelFiles;
  const row = rows.find(
    ({ repo, fileName, quantName }) =>
      isSameRepo(repo, file.repo) && (fileName === null ? quantName === file.quantName : fileName === file.fileName),
  );
  if (row !== undefined && row.modelId === model.id) return row.slug;
  const quant = slugOfQuant(file.quantName) || "file";
  const stem = `${model.slug}-${slugOfName(file.publisher ?? "")}`;
  const name = slugOfName(file.fileName?.replace(/\.gguf$/i, "") ?? "") || quant;
  const isFree = (slug: string) => !taken.has(slug) && !bySlug.has(slug);
  const candidates = [`${stem}-${quant}`, `${stem}-${name}`].map(fitSlug);
  const free = candidates.find(isFree);
  if (free !== undefined) return free;
  let number = 2;
  const numbered = () => `${candidates[0]?.slice(0, MAX_SLUG_LENGTH - String(number).length - 1)}-${number}`;
  while (!isFree(numbered())) number += 1;
  return numbered();
}

/** "q4_k_m" of "Q4_K_M": formats keep their underscores. */
function slugOfQuant(quantName: string): string {
  return quantName
    .toLowerCase()
    .replace(/[^a-z0-9._]+/g, "-")
    .replace(/([._-])[._-]+/g, "$1")
    .replace(/^[._-]+|[._-]+$/g, "");
}

/** Longest slug that a row may have. */
const MAX_SLUG_LENGTH = 120;

function fitSlug(slug: string): string {
  return slug.slice(0, MAX_SLUG_LENGTH).replace(/[._-]+$/, "");
}

function fileInput({ file, slug, quantFormat }: FileFinding, model: ModelRow, catalogue: Catalogue): ApiInput {
  const existing = catalogue.modelFiles.bySlug.get(slug ?? "");
  const title = `Files of ${file.repo}`;
  const source: Source = { title, url: `https://huggingface.co/${file.repo}` };
  const isSame = existing?.sizeBytes === file.sizeBytes && existing.fileName === file.fileName;
  if (existing !== undefined && isSame) return { slug };
  const keepsFormat = existing !== undefined && existing.quantFormatId !== null;
  return {
    slug,
    model: { slug: model.slug },
    ...(keepsFormat ? {} : { quantFormat: quantFormat === null ? null : { slug: quantFormat.slug } }),
    publisher: existing?.publisher ?? file.publisher,
    repo: file.repo,
    fileName: file.fileName,
    quantName: existing?.quantName ?? file.quantName,
    sizeBytes: file.sizeBytes,
    sources: existing === undefined ? [source] : addSources(existing.sources, [source]),
  };
}

/** What an import is planned from. */
interface Known {
  facts: SourceFacts;
  /** Of the source, or of the row where the source does not say. */
  architecture: Architecture;
  existing: ModelRow | null;
  catalogue: Catalogue;
}

function findingsOf(
  { facts, architecture, existing, catalogue }: Known,
  files: readonly FileFinding[],
  input: ApiInput,
): ImportFindings {
  const count = countParameters(architecture);
  const { publishedParameters: published, checkpoint } = facts;
  const comparison = published === null ? null : compareParameters(count, published);
  const scheme = checkpoint?.scheme ?? null;
  const note = "parametersNote" in input ? input.parametersNote : existing?.parametersNote;
  const notes = [...facts.notes];
  if (existing?.archivedAt != null) {
    notes.push(`"${existing.slug}" is archived: lists leave it out until restoreModel brings it back.`);
  }
  if (existing !== null && facts.licence !== null && existing.licence !== null && !("licence" in input)) {
    if (normalise(existing.licence) !== normalise(facts.licence)) {
      notes.push(`The source says the licence is ${facts.licence}; the catalogue's stays: ${existing.licence}.`);
    }
  }
  if (comparison !== null && !comparison.agrees && facts.baseRepo === null && note == null) {
    const percent = `${(100 * Math.abs(comparison.difference)).toFixed(2)}%`;
    const way = comparison.difference > 0 ? "more" : "fewer";
    notes.push(`The published count has ${percent} ${way} parameters than the counted one; say why in parametersNote.`);
  }
  return {
    facts,
    architecture,
    count,
    comparison,
    checkpointFormat: scheme === null ? null : matchScheme(scheme, catalogue),
    files,
    notes,
  };
}

function normalise(licence: string): string {
  return licence.toLowerCase().replace(/[^a-z0-9]+/g, "");
}
