import type { Catalogue } from "../../data/catalogue.js";
import type { GpuRow } from "../../data/rows.js";
import { BadUserInputError } from "../../errors.js";
import { countText } from "../../estimator/size-text.js";
import { findNode } from "../catalogue/nodes.js";
import { estimateOne } from "../estimation/outcomes.js";
import { runtimeOf } from "../estimation/runtimes.js";
import type {
  ArgumentPath,
  EstimateFailureModel,
  EstimateInput,
  EstimateModel,
  EstimationService,
  ExtrasInput,
  HardwareInput,
  ModelRef,
  RuntimeInput,
} from "../estimation/types.js";
import { inTurns } from "../turns.js";

/** Most cells of one comparison: a page of charts, and no more work than two full lists of estimates. */
export const MAX_CELLS = 200;

/** The schema's CompareInput with its defaults filled in. */
export interface CompareInput {
  models: readonly ModelRef[];
  quants: readonly string[];
  contexts: readonly number[];
  hardware?: readonly HardwareInput[] | null | undefined;
  runtimes?: readonly RuntimeInput[] | null | undefined;
  sequences: number;
  cacheTypeK?: string | null | undefined;
  cacheTypeV?: string | null | undefined;
  extras?: ExtrasInput | null | undefined;
}

export interface ComparisonAxisModel {
  dimension: "MODEL" | "QUANT_FORMAT" | "CONTEXT" | "HARDWARE" | "RUNTIME";
  label: string;
  values: readonly { index: number; label: string }[];
}

export interface ComparisonCellModel {
  model: number;
  quant: number;
  context: number;
  hardware: number | null;
  runtime: number | null;
  modelLabel: string;
  quantLabel: string;
  contextTokens: number;
  hardwareLabel: string;
  runtimeLabel: string;
  outcome: EstimateModel | EstimateFailureModel;
}

export interface ComparisonModel {
  axes: readonly ComparisonAxisModel[];
  cells: readonly ComparisonCellModel[];
}

/** Lists of the input by the field of the EstimateInput that each gives a value of. */
const LISTS = {
  model: "models",
  quant: "quants",
  context: "contexts",
  hardware: "hardware",
  runtime: "runtimes",
} as const satisfies Record<string, keyof CompareInput>;

type Dimension = keyof typeof LISTS;

const WHERE: ArgumentPath = ["input"];

/**
 * Estimates every combination of what is compared; each that makes no sense becomes a failure in its place.
 * @throws BadUserInputError for a list without values, and for more than `MAX_CELLS` combinations; the signal's reason
 * when nobody waits for them any more
 */
export async function compare(
  input: CompareInput,
  catalogue: Catalogue,
  estimation: EstimationService,
  signal?: AbortSignal,
): Promise<ComparisonModel> {
  requireSize(input);
  const labels = {
    model: distinct(input.models.map((ref) => labelOfModel(ref, catalogue))),
    quant: distinct(input.quants.map((slug) => catalogue.quantFormats.bySlug.get(slug)?.name ?? slug)),
    context: distinct(input.contexts.map((tokens) => `${countText(tokens)} tokens`)),
    hardware: distinct(input.hardware?.map((set) => labelOfHardware(set, catalogue)) ?? ["no limit"]),
    runtime: distinct((input.runtimes ?? [{}]).map((settings) => runtimeOf(settings, catalogue).name)),
  };
  const places: Record<Dimension, number>[] = [];
  for (const model of labels.model.keys())
    for (const quant of labels.quant.keys())
      for (const context of labels.context.keys())
        for (const hardware of labels.hardware.keys())
          for (const runtime of labels.runtime.keys()) places.push({ model, quant, context, hardware, runtime });
  const cells: ComparisonCellModel[] = [];
  await inTurns(
    places,
    (at) => {
      cells.push({
        ...at,
        hardware: input.hardware == null ? null : at.hardware,
        runtime: input.runtimes == null ? null : at.runtime,
        modelLabel: labels.model[at.model] ?? "",
        quantLabel: labels.quant[at.quant] ?? "",
        contextTokens: input.contexts[at.context] ?? 0,
        hardwareLabel: labels.hardware[at.hardware] ?? "",
        runtimeLabel: labels.runtime[at.runtime] ?? "",
        outcome: estimateCell(input, at, estimation),
      });
    },
    signal,
  );
  const axis = (dimension: ComparisonAxisModel["dimension"], label: string, values: readonly string[]) => ({
    dimension,
    label,
    values: values.map((value, index) => ({ index, label: value })),
  });
  return {
    axes: [
      axis("MODEL", "Model", labels.model),
      axis("QUANT_FORMAT", "Format", labels.quant),
      axis("CONTEXT", "Context", labels.context),
      axis("HARDWARE", "Hardware", labels.hardware),
      axis("RUNTIME", "Runtime", labels.runtime),
    ],
    cells,
  };
}

function requireSize(input: CompareInput): void {
  let cells = 1;
  for (const list of Object.values(LISTS)) {
    const values = input[list];
    if (values == null) continue;
    if (values.length === 0) {
      throw new BadUserInputError(`\`${list}\` must have at least one value to compare.`, [...WHERE, list]);
    }
    cells *= values.length;
  }
  if (cells > MAX_CELLS) {
    throw new BadUserInputError(
      `A comparison has at most ${MAX_CELLS} cells; these lists make ${countText(cells)}.`,
      WHERE,
    );
  }
}

function estimateCell(input: CompareInput, at: Record<Dimension, number>, estimation: EstimationService) {
  const { models, quants, contexts, hardware, runtimes, ...shared } = input;
  const [model, quant, context] = [models[at.model], quants[at.quant], contexts[at.context]];
  if (model === undefined || quant === undefined || context === undefined) throw new Error("no such cell");
  const cell: EstimateInput = {
    ...shared,
    model,
    quant,
    context,
    hardware: hardware?.[at.hardware],
    runtime: runtimes?.[at.runtime],
  };
  const outcome = estimateOne(estimation, cell, []);
  return "code" in outcome ? { ...outcome, field: pathIn(outcome.field, at) } : outcome;
}

/** The place in a CompareInput of what is blamed in one cell's EstimateInput. */
function pathIn([field, ...rest]: ArgumentPath, at: Record<Dimension, number>): ArgumentPath {
  if (field === undefined) return WHERE;
  if (!Object.hasOwn(LISTS, field)) return [...WHERE, field, ...rest];
  const dimension = field as Dimension;
  return [...WHERE, LISTS[dimension], String(at[dimension]), ...rest];
}

function labelOfModel({ slug, id, huggingFaceConfig }: ModelRef, catalogue: Catalogue): string {
  if (slug != null) return catalogue.models.bySlug.get(slug)?.name ?? slug;
  if (id != null) return (findNode(catalogue, id) as { name?: string } | null)?.name ?? id;
  return labelOfConfig(huggingFaceConfig);
}

/** A pasted config by what it calls itself. */
function labelOfConfig(config: unknown): string {
  const fields = typeof config === "string" ? parseOrNull(config) : config;
  const { _name_or_path, model_type } = (fields ?? {}) as Record<string, unknown>;
  const name = [_name_or_path, model_type].find((value) => typeof value === "string" && value !== "");
  return name === undefined ? "config.json" : String(name).slice(0, MAX_LABEL_LENGTH);
}

/** Longest label made of text that is the client's own. */
const MAX_LABEL_LENGTH = 80;

function parseOrNull(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function labelOfHardware({ gpus, system }: HardwareInput, catalogue: Catalogue): string {
  if (system != null) return catalogue.systems.bySlug.get(system)?.name ?? system;
  return (gpus ?? [])
    .map(({ gpu, count }) => {
      const row: Pick<GpuRow, "name"> = catalogue.gpus.bySlug.get(gpu) ?? { name: gpu };
      return `${count} x ${row.name}`;
    })
    .join(" + ");
}

/** Labels of which no two are alike: those that come again are numbered. */
function distinct(labels: readonly string[]): string[] {
  const seen = new Map<string, number>();
  return labels.map((label) => {
    const times = (seen.get(label) ?? 0) + 1;
    seen.set(label, times);
    return times === 1 ? label : `${label} (${times})`;
  });
}
