import type { Catalogue } from "../../data/catalogue.js";
import type { ModelRow, QuantFormatRow } from "../../data/rows.js";
import { BadUserInputError } from "../../errors.js";
import { findAll } from "../catalogue/conditions.js";
import { compileFilter } from "../catalogue/list.js";
import { type ModelFilter, modelList } from "../catalogue/lists/models.js";
import { type QuantFormatFilter, quantFormatList } from "../catalogue/lists/quant-formats.js";
import type { RunnableFilter } from "./types.js";

/** A filter turned into tests of what it lets through; what needs an estimate is left to the search. */
export interface RunnableConditions {
  passesModel(model: ModelRow): boolean;
  passesFormat(format: QuantFormatRow): boolean;
  /** Fields of the filter that pass no model even by themselves. */
  hopeless: readonly string[];
}

const FILTER = ["filter"];

/** Conditions that the list of models has as well. */
const MODEL_FIELDS = [
  "search",
  "family",
  "vendor",
  "licence",
  "attention",
  "parameters",
  "activeParameters",
  "contextLength",
  "experts",
  "releasedOn",
] as const satisfies readonly (keyof ModelFilter)[];

/** @throws BadUserInputError for slugs that are not known, and for ranges and bounds that nothing can be within */
export function compileConditions(filter: RunnableFilter, catalogue: Catalogue): RunnableConditions {
  requireRanges(filter);
  const { model, quantFormat, quantFamily, minQualityRank, bitsPerWeight } = filter;
  requireAtLeast(filter.minContext, 1, "minContext");
  requireAtLeast(filter.minHeadroomGib, 0, "minHeadroomGib");
  const modelTests = new Map<string, (row: ModelRow) => boolean>();
  const addTests = (field: keyof RunnableFilter & keyof ModelFilter) => {
    if (filter[field] == null) return;
    const alone: ModelFilter = { includeArchived: false, [field]: filter[field] };
    const tests = compileFilter(modelList, alone, catalogue);
    modelTests.set(field, (row) => tests.every((test) => test(row)));
  };
  MODEL_FIELDS.forEach(addTests);
  if (model != null) {
    const wanted = new Set(findAll(catalogue.models, model, [...FILTER, "model"], "model"));
    modelTests.set("model", (row) => row.archivedAt === null && wanted.has(row));
  }
  const formatTests: ((row: QuantFormatRow) => boolean)[] = [];
  if (quantFormat != null) {
    const path = [...FILTER, "quantFormat"];
    const wanted = new Set(findAll(catalogue.quantFormats, quantFormat, path, "quantization format"));
    formatTests.push((row) => wanted.has(row));
  }
  const ofFormat: QuantFormatFilter = { family: quantFamily, bitsPerWeight, includeArchived: false };
  formatTests.push(...compileFilter(quantFormatList, ofFormat, catalogue));
  if (minQualityRank != null) formatTests.push((row) => row.qualityRank >= minQualityRank);
  const modelTestList = [...modelTests.values()];
  return {
    passesModel: (row) => row.archivedAt === null && modelTestList.every((test) => test(row)),
    passesFormat: (row) => formatTests.every((test) => test(row)),
    get hopeless() {
      return [...modelTests].flatMap(([field, test]) => (catalogue.models.rows.some(test) ? [] : field));
    },
  };
}

/** @throws BadUserInputError for a range whose lower bound is above the upper one */
function requireRanges(filter: RunnableFilter): void {
  for (const [field, range] of Object.entries(filter)) {
    if (typeof range !== "object" || range === null || Array.isArray(range)) continue;
    const { gte, lte } = range as { gte?: number | string | null; lte?: number | string | null };
    if (gte != null && lte != null && gte > lte) {
      throw new BadUserInputError(`Nothing is at least ${gte} and at most ${lte}.`, [...FILTER, field]);
    }
  }
}

function requireAtLeast(value: number | null | undefined, least: number, field: string): void {
  if (value == null || value >= least) return;
  throw new BadUserInputError(`\`${field}\` must be at least ${least}, not ${value}.`, [...FILTER, field]);
}
