import type { ModelRow, QuantFormatRow } from "../../data/rows.js";
import type { Range } from "../catalogue/conditions.js";
import type { Connection, PageArguments } from "../connections/connection.js";
import type { Prices, SpeedRun } from "../estimation/speed.js";
import type {
  EstimateModel,
  ExtrasInput,
  HardwareInput,
  ParallelPlanModel,
  RuntimeInput,
} from "../estimation/types.js";

/** The schema's RunnableSettings with its defaults filled in. */
export interface RunnableSettings {
  context: number;
  shortContext: "LEAVE_OUT" | "CAP";
  sequences: number;
  cacheTypeK?: string | null | undefined;
  cacheTypeV?: string | null | undefined;
  runtime?: RuntimeInput | null | undefined;
  extras?: ExtrasInput | null | undefined;
}

/** The schema's RunnableFilter with its defaults filled in. */
export interface RunnableFilter {
  search?: string | null | undefined;
  model?: readonly string[] | null | undefined;
  family?: readonly string[] | null | undefined;
  vendor?: readonly string[] | null | undefined;
  licence?: readonly string[] | null | undefined;
  attention?: readonly ModelRow["attention"][] | null | undefined;
  parameters?: Range<number> | null | undefined;
  activeParameters?: Range<number> | null | undefined;
  contextLength?: Range<number> | null | undefined;
  experts?: Range<number> | null | undefined;
  releasedOn?: Range<string> | null | undefined;
  quantFormat?: readonly string[] | null | undefined;
  quantFamily?: readonly QuantFormatRow["family"][] | null | undefined;
  bitsPerWeight?: Range<number> | null | undefined;
  minQualityRank?: number | null | undefined;
  minContext?: number | null | undefined;
  minHeadroomGib?: number | null | undefined;
  bestFormatOnly: boolean;
}

export type RunnableSort =
  | "BALANCED"
  | "LARGEST_MODEL"
  | "BEST_QUALITY"
  | "MOST_CONTEXT"
  | "MOST_HEADROOM"
  | "SMALLEST"
  | "FASTEST"
  | "NEWEST";

export interface RunnableArguments extends PageArguments {
  hardware: HardwareInput;
  settings?: RunnableSettings | null | undefined;
  filter?: RunnableFilter | null | undefined;
  sort?: RunnableSort | null | undefined;
}

/** A model in a format that fits. Sizes are bytes, contexts tokens per sequence. */
export interface RunnableModel {
  model: ModelRow;
  quantFormat: QuantFormatRow;
  context: number;
  total: number;
  headroom: number;
  maxContext: number;
  maxSequences: number;
  plan: ParallelPlanModel;
  estimate: EstimateModel;
  /** What its speed is computed from. */
  speedRun: SpeedRun;
  /** Prices of the hardware. */
  prices: Prices;
}

/** A model in a format that is too large. Sizes are bytes. */
export interface RunnableMissModel {
  model: ModelRow;
  quantFormat: QuantFormatRow;
  context: number;
  total: number;
  shortBy: number;
  message: string;
}

export interface RunnableConnectionModel extends Connection<RunnableModel> {
  readonly reason: string | null;
  /** @throws BadUserInputError for a number of items out of bounds */
  nearest(first: number): RunnableMissModel[];
}
