import type { Source } from "../src/data/rows.js";
import type { Architecture } from "../src/estimator/architecture/architecture.js";
import type { ImportOverrides } from "../src/services/imports/plan-import.js";
import { ownerOf, slugOfName, slugOfRepo, titleOfRepo } from "../src/services/imports/repository-name.js";
import type { SourceFacts } from "../src/services/imports/source-facts.js";

/** A row of seed/models.json. */
export interface ModelSeedRow {
  slug: string;
  name: string;
  family: string;
  vendor: string;
  licence: string | null;
  releasedOn: string | null;
  huggingFaceRepo: string | null;
  publishedParameters: number | null;
  parametersNote: string | null;
  architecture: Architecture;
  sources: readonly Source[];
}

/** The row that a source makes; what is not given is derived from the repository's name, or null. */
export function toModelRow(facts: SourceFacts & { architecture: Architecture }, given: ImportOverrides): ModelSeedRow {
  const repo = given.huggingFaceRepo ?? facts.baseRepo ?? facts.repo;
  const name = given.name ?? facts.name ?? (repo === null ? (given.slug ?? "unnamed") : titleOfRepo(repo));
  return {
    slug: given.slug ?? (repo === null ? slugOfName(name) : slugOfRepo(repo)),
    name,
    family: given.family ?? name.split(" ")[0] ?? name,
    vendor: given.vendor ?? (repo === null ? "unknown" : ownerOf(repo)),
    licence: given.licence ?? facts.licence,
    releasedOn: given.releasedOn ?? facts.releasedOn,
    huggingFaceRepo: repo,
    publishedParameters: given.publishedParameters ?? facts.publishedParameters,
    parametersNote: given.parametersNote ?? null,
    architecture: facts.architecture,
    sources: facts.sources,
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
