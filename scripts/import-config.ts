import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import type { Architecture } from "../src/estimator/architecture/architecture.js";
import { ConfigError } from "../src/estimator/architecture/config-error.js";
import { architectureFromConfig } from "../src/estimator/architecture/from-config.js";
import { parseConfigText } from "../src/estimator/architecture/parse-config-text.js";
import { countParameters, type ParameterCount } from "../src/estimator/tensors/count-parameters.js";

/**
 * Prints a row for seed/models.json from a model's config.json:
 *
 *     npm run import-config -- <config.json> --repo org/name [--name ...] [--family ...] [--vendor ...]
 *       [--licence ...] [--released 2024-12] [--published 8030261248] [--note ...]
 *
 * What is not given is derived from the repository's name, or null. The parameter count goes to standard error,
 * with its difference from the published one.
 */

export interface ModelIdentity {
  /** "org/name" on Hugging Face. */
  repo: string;
  name?: string | undefined;
  family?: string | undefined;
  vendor?: string | undefined;
  licence?: string | undefined;
  /** "2024-12". */
  releasedOn?: string | undefined;
  publishedParameters?: number | undefined;
  parametersNote?: string | undefined;
}

export interface Source {
  title: string;
  url?: string;
}

/** A row of seed/models.json. */
export interface ModelSeedRow {
  slug: string;
  name: string;
  family: string;
  vendor: string;
  licence: string | null;
  releasedOn: string | null;
  huggingFaceRepo: string;
  publishedParameters: number | null;
  parametersNote: string | null;
  architecture: Architecture;
  sources: Source[];
}

/** Above this relative difference a published count needs an explanation. */
const UNEXPLAINED_DIFFERENCE = 0.001;

/** The repository's name in lower case, runs of other characters as one hyphen, without Meta's prefix and "-BF16". */
export function slugOfRepo(repo: string): string {
  return nameOfRepo(repo)
    .toLowerCase()
    .replace(/[^a-z0-9.]+/g, "-")
    .replace(/^-+|-+$/g, "")
    .replace(/^meta-llama-/, "llama-")
    .replace(/-bf16$/, "");
}

/** "Llama 3.1 8B Instruct" for "meta-llama/Llama-3.1-8B-Instruct". */
export function titleOfRepo(repo: string): string {
  return nameOfRepo(repo)
    .replace(/^Meta-Llama-/, "Llama-")
    .replaceAll(/[-_]+/g, " ")
    .trim();
}

/** @throws ConfigError for a config that cannot be used. */
export function toModelRow(configText: string, identity: ModelIdentity): ModelSeedRow {
  const { repo } = identity;
  return {
    slug: slugOfRepo(repo),
    name: identity.name ?? titleOfRepo(repo),
    family: identity.family ?? titleOfRepo(repo).split(" ")[0] ?? titleOfRepo(repo),
    vendor: identity.vendor ?? repo.split("/")[0] ?? repo,
    licence: identity.licence ?? null,
    releasedOn: identity.releasedOn ?? null,
    huggingFaceRepo: repo,
    publishedParameters: identity.publishedParameters ?? null,
    parametersNote: identity.parametersNote ?? null,
    architecture: architectureFromConfig(parseConfigText(configText)),
    sources: [{ title: `config.json of ${repo}`, url: `https://huggingface.co/${repo}` }],
  };
}

/** The row as seed/models.json holds it: a line for each field, and one for each block of the architecture. */
export function formatModelRow(row: ModelSeedRow): string {
  const { architecture, ...rest } = row;
  const { sources, ...fields } = rest;
  const { blocks, layers, ...description } = architecture;
  const lines = [
    ...formatFields(fields, 4),
    `    "architecture": {\n${[
      ...formatFields(description, 6),
      `      "blocks": {\n${formatFields(blocks, 8).join(",\n")}\n      }`,
      `      "layers": ${JSON.stringify(layers)}`,
    ].join(",\n")}\n    }`,
    ...formatFields({ sources }, 4),
  ];
  return `  {\n${lines.join(",\n")}\n  }`;
}

function formatFields(fields: object, indent: number): string[] {
  return Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${" ".repeat(indent)}${JSON.stringify(name)}: ${JSON.stringify(value)}`);
}

/**
 * The count in words, and how far the published one is from it; where towers or prediction blocks make up the
 * difference, that is said.
 */
export function compareParameters(count: ParameterCount, published: number | null): string {
  const parts = [`${count.total.toLocaleString("en")} parameters, ${count.active.toLocaleString("en")} active`];
  const besides = listCountedApart(count);
  for (const { name, parameters } of besides) parts.push(`${parameters.toLocaleString("en")} in ${name}`);
  if (published !== null) {
    const difference = published / count.total - 1;
    const needsNote = Math.abs(difference) > UNEXPLAINED_DIFFERENCE ? `: ${explain(count, published)}` : "";
    parts.push(`published ${published.toLocaleString("en")} (${(100 * difference).toFixed(3)}%${needsNote})`);
  }
  return parts.join(", ");
}

interface CountedApart {
  name: string;
  parameters: number;
}

/** What publishers may count with the rest. */
function listCountedApart(count: ParameterCount): CountedApart[] {
  return [
    { name: "prediction blocks", parameters: count.nextTokenPrediction },
    { name: "encoders", parameters: count.encoders },
  ].filter(({ parameters }) => parameters > 0);
}

function explain(count: ParameterCount, published: number): string {
  const besides = listCountedApart(count);
  const candidates = [...besides.map((part) => [part]), besides];
  const included = candidates.find((parts) => {
    const total = parts.reduce((sum, { parameters }) => sum + parameters, count.total);
    return Math.abs(published / total - 1) <= UNEXPLAINED_DIFFERENCE;
  });
  if (included === undefined) return "explain it in parametersNote";
  return `it includes ${included.map(({ name }) => name).join(" and ")}; say so in parametersNote`;
}

function nameOfRepo(repo: string): string {
  return repo.split("/").at(-1) ?? repo;
}

function main(): void {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      repo: { type: "string" },
      name: { type: "string" },
      family: { type: "string" },
      vendor: { type: "string" },
      licence: { type: "string" },
      released: { type: "string" },
      published: { type: "string" },
      note: { type: "string" },
    },
  });
  const [path] = positionals;
  const { repo } = values;
  if (path === undefined || repo === undefined || !/^[^/\s]+\/[^/\s]+$/.test(repo)) {
    console.error("Usage: npm run import-config -- <config.json> --repo org/name [--name ...] [--published N] ...");
    process.exitCode = 2;
    return;
  }
  const published = values.published === undefined ? undefined : Number(values.published);
  if (published !== undefined && !(Number.isSafeInteger(published) && published > 0)) {
    console.error(`--published takes a whole number of parameters, not "${values.published}".`);
    process.exitCode = 2;
    return;
  }
  try {
    const row = toModelRow(readFileSync(path, "utf8"), {
      repo,
      name: values.name,
      family: values.family,
      vendor: values.vendor,
      licence: values.licence,
      releasedOn: values.released,
      publishedParameters: published,
      parametersNote: values.note,
    });
    console.log(formatModelRow(row));
    console.error(compareParameters(countParameters(row.architecture), row.publishedParameters));
  } catch (error) {
    if (!(error instanceof ConfigError || isFileError(error))) throw error;
    const where = error instanceof ConfigError && error.path.length > 0 ? `${error.path.join(".")}: ` : "";
    console.error(`${where}${error.message}`);
    process.exitCode = 1;
  }
}

function isFileError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && "code" in error && "syscall" in error;
}

if (process.argv[1] && import.meta.filename === process.argv[1]) main();
