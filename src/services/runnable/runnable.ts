import type { Catalogue } from "../../data/catalogue.js";
import type { ModelRow, QuantFormatRow } from "../../data/rows.js";
import { BadUserInputError } from "../../errors.js";
import { requireSensible } from "../../estimator/consumers/require-applicable.js";
import { EstimateError, type EstimateErrorCode } from "../../estimator/estimate-error.js";
import { BYTES_PER_GIB } from "../catalogue/list-fields.js";
import { checkPage, MAX_PAGE_SIZE, paginateSorted, sortItems } from "../connections/connection.js";
import { loadableFormats, type Refusal } from "../estimation/best-format.js";
import { type Hardware, resolveHardware } from "../estimation/devices.js";
import { inputPathOf } from "../estimation/input-path.js";
import { type ResolvedSettings, resolveExtras, resolveSettings } from "../estimation/request.js";
import { pricesOf, type SpeedService } from "../estimation/speed.js";
import type { EstimateModel, EstimationService, ParallelPlanModel } from "../estimation/types.js";
import { type SharedWork, shareWork } from "../joined-work.js";
import { keepRecent } from "../kept.js";
import { inTurns } from "../turns.js";
import { compileConditions, type RunnableConditions } from "./conditions.js";
import { describeMiss, explainEmpty, obstacleOf } from "./explain-empty.js";
import { createSetupFits, type SetupFits } from "./model-fits.js";
import { orderOf, type RunnableRow } from "./orders.js";
import type {
  RunnableArguments,
  RunnableConnectionModel,
  RunnableFilter,
  RunnableModel,
  RunnableSettings,
  RunnableSort,
} from "./types.js";

/** The defaults of the schema. */
export const DEFAULT_SETTINGS: RunnableSettings = { context: 8192, shortContext: "LEAVE_OUT", sequences: 1 };
const NO_FILTER: RunnableFilter = { bestFormatOnly: false };

/** Hardware with its settings whose fits are kept, a few megabytes each. */
const SETUPS_KEPT = 12;
/** Lists kept in their order, for the pages that follow. */
const LISTS_KEPT = 24;

/** Refusals that have nothing to do with the model: what was asked for makes no sense. */
const FAULTS_OF_SETTINGS: ReadonlySet<EstimateErrorCode> = new Set([
  "INVALID_SETTING",
  "CACHE_TYPE_NEEDS_FLASH_ATTENTION",
]);

/** Finds what given hardware can run, over one version of the catalogue. */
export interface RunnableService {
  /**
   * @param signal ends the search, unless somebody else waits for the same one
   * @throws BadUserInputError for arguments that make no sense, with their path; the signal's reason
   */
  find(args: RunnableArguments, signal?: AbortSignal): Promise<RunnableConnectionModel>;
}

/** What a search came by. */
export interface Findings {
  /** What fits and passes all conditions, in no order. */
  rows: readonly RunnableRow[];
  /** Models that pass the conditions on them. */
  models: number;
  /** Conditions that pass no model even by themselves. */
  hopeless: readonly string[];
  /** Of those, the ones trained for too little context, which are left out. */
  tooShort: number;
  /** Formats that pass the conditions on them and that the runtime loads. */
  formats: number;
  /** Models in formats that fit, but with less headroom or context than asked for. */
  tooTight: number;
  /** Of the models of which no format fits, the format that misses by least; the nearest first. Laid out when read. */
  readonly misses: readonly RunnableRow[];
  /** Why the runtime refuses a model, where it takes none. */
  refusal: Refusal | null;
  /** Models that cannot have what is to stand beside them, and why one of them cannot. */
  inapplicable: { models: number; message: string } | null;
}

/** A search with what it was made for. */
interface Search {
  fits: SetupFits;
  findings: Findings;
  /** What fits and passes all conditions, in order. */
  rows: readonly RunnableRow[];
}

/** Builds the service over one version of the catalogue. */
export function createRunnableService(
  catalogue: Catalogue,
  estimation: EstimationService,
  speed: SpeedService,
): RunnableService {
  const setups = keepRecent<SetupFits>(SETUPS_KEPT);
  const searches = keepRecent<SharedWork<Search>>(LISTS_KEPT);

  function fitsOf(
    args: RunnableArguments,
    { context: _, shortContext: __, ...settings }: RunnableSettings,
    resolved: ResolvedSettings,
    hardware: Hardware,
  ): SetupFits {
    const extrasOf = settings.extras && resolveExtras(settings.extras, ["settings", "extras"], catalogue);
    if (extrasOf) blaming(settings, () => requireSensible(extrasOf(resolved.settings)));
    const { runtime } = resolved;
    return setups.get(JSON.stringify([args.hardware, settings]), () => {
      const formats = loadableFormats(catalogue, runtime, resolved.settings.runtime.kind);
      const setup = { runtime, settings: resolved.settings, hardware, formats, ...(extrasOf && { extrasOf }) };
      return createSetupFits(setup, catalogue);
    });
  }

  async function search(
    args: RunnableArguments,
    settings: RunnableSettings,
    filter: RunnableFilter,
    sort: RunnableSort,
    signal: AbortSignal,
  ): Promise<Search> {
    const resolved = resolveSettings(settings, ["settings"], catalogue);
    const hardware = resolveHardware(args.hardware, ["hardware"], catalogue, resolved.runtime);
    const conditions = compileConditions(filter, catalogue);
    const fits = fitsOf(args, settings, resolved, hardware);
    const found = await collect(fits, catalogue.models.rows, settings, filter, conditions, signal);
    if (found.refusal instanceof EstimateError && FAULTS_OF_SETTINGS.has(found.refusal.code)) {
      throw blame(found.refusal, settings);
    }
    if (sort === "MOST_CONTEXT") await inTurns(found.rows, (row) => measureContext(row, fits), signal);
    if (sort === "FASTEST") await inTurns(found.rows, (row) => measureSpeed(row, fits), signal);
    return { fits, findings: found, rows: sortItems(found.rows, orderOf(sort)) };
  }

  /** The key of a row outlives the search: others of the same hardware and settings find it there. */
  function measureSpeed(row: RunnableRow, fits: SetupFits): void {
    if (row.throughput === undefined) row.throughput = speed.throughput(fits.runOf(row));
  }

  function describeRow(row: RunnableRow, fits: SetupFits): RunnableModel {
    const { gpus, system } = fits.setup.hardware;
    let whole: EstimateModel | undefined;
    const estimateRow = () => {
      whole ??= estimation.estimateResolved(fits.resolve(row));
      return whole;
    };
    return {
      model: row.model,
      quantFormat: row.quantFormat,
      context: row.context,
      total: row.total,
      headroom: row.headroom,
      // The rest takes an estimate and is not always asked for.
      get maxContext() {
        return estimateRow().maxContext ?? 0;
      },
      get maxSequences() {
        return estimateRow().maxSequences ?? 0;
      },
      get plan() {
        return requirePlan(estimateRow());
      },
      get estimate() {
        return estimateRow();
      },
      get speedRun() {
        return fits.runOf(row);
      },
      get prices() {
        return pricesOf(gpus, system);
      },
    };
  }

  return {
    async find(args, signal) {
      const settings = args.settings ?? DEFAULT_SETTINGS;
      const filter = args.filter ?? NO_FILTER;
      const sort = args.sort ?? "BALANCED";
      const order = orderOf(sort);
      checkPage(order, args);
      const key = JSON.stringify([args.hardware, settings, filter, sort]);
      const shared = searches.get(key, () =>
        shareWork(
          (ending) => search(args, settings, filter, sort, ending),
          () => searches.drop(key),
        ),
      );
      const { fits, findings, rows } = await shared.join(signal);
      const page = paginateSorted(rows, order, args);
      const edges = page.edges.map(({ cursor, node }) => ({ cursor, node: describeRow(node, fits) }));
      return {
        ...page,
        edges,
        nodes: edges.map(({ node }) => node),
        get reason() {
          return explainEmpty(findings, fits.setup, settings, filter);
        },
        nearest: (first) =>
          findings.misses.slice(0, requireFirst(first)).map((miss) => describeMiss(miss, fits.setup.hardware)),
      };
    },
  };
}

/** Goes through the models that pass and tells what fits from what does not; rows are in no order yet. */
async function collect(
  fits: SetupFits,
  models: readonly ModelRow[],
  settings: RunnableSettings,
  filter: RunnableFilter,
  conditions: RunnableConditions,
  signal: AbortSignal,
): Promise<Findings> {
  const { passesModel, passesFormat } = conditions;
  const formats = new Set(fits.setup.formats.filter(passesFormat));
  const passing = models.filter(passesModel);
  const contexts = passing.flatMap((model) => contextOf(model, settings) ?? []);
  const rows: RunnableRow[] = [];
  const tooLarge: { model: ModelRow; context: number; formats: QuantFormatRow[] }[] = [];
  let tooTight = 0;
  let refusal: Refusal | null = null;
  let isRefused = true;
  let inapplicable: Findings["inapplicable"] = null;
  const look = ({ model, context }: { model: ModelRow; context: number }) => {
    const ofModel = fits.of(model, context);
    const refused = [...ofModel.refusals].find(([format]) => formats.has(format))?.[1];
    refusal ??= refused ?? null;
    if (isInapplicable(refused)) {
      inapplicable = {
        models: (inapplicable?.models ?? 0) + 1,
        message: inapplicable?.message ?? refused.message,
      };
    }
    const candidates = ofModel.candidates.filter(({ quantFormat }) => formats.has(quantFormat));
    const large = ofModel.tooLarge.filter((format) => formats.has(format));
    isRefused &&= candidates.length + large.length === 0;
    for (const candidate of candidates) {
      if (!isRoomy(candidate, filter, fits)) {
        tooTight += 1;
        continue;
      }
      rows.push(candidate);
      if (filter.bestFormatOnly) break;
    }
    if (candidates.length === 0) tooLarge.push({ model, context, formats: large });
  };
  await inTurns(obstacleOf(fits.setup) === null && formats.size > 0 ? contexts : [], look, signal);
  let misses: readonly RunnableRow[] | undefined;
  return {
    rows,
    models: passing.length,
    hopeless: passing.length === 0 ? conditions.hopeless : [],
    tooShort: passing.length - contexts.length,
    formats: formats.size,
    tooTight,
    get misses() {
      misses ??= tooLarge
        .flatMap(({ model, context, formats: large }) => fits.nearest(model, large, context) ?? [])
        .sort((a, b) => a.shortBy - b.shortBy || (a.model.slug < b.model.slug ? -1 : 1));
      return misses;
    },
    refusal: isRefused ? refusal : null,
    inapplicable,
  };
}

/** Whether a model is left out whatever its format, since it cannot have what is to stand beside it. */
function isInapplicable(refusal: Refusal | undefined): refusal is EstimateError {
  return refusal instanceof EstimateError && refusal.code === "EXTRA_NOT_APPLICABLE";
}

/** A model with the context it is looked at with; null where it is left out. */
function contextOf(model: ModelRow, { context, shortContext }: RunnableSettings) {
  if (model.contextLength >= context) return { model, context };
  return shortContext === "CAP" ? { model, context: model.contextLength } : null;
}

/** Whether a candidate that fits leaves as much as is asked for. */
function isRoomy(row: RunnableRow, { minHeadroomGib, minContext }: RunnableFilter, fits: SetupFits): boolean {
  if (minHeadroomGib != null && row.headroom < minHeadroomGib * BYTES_PER_GIB) return false;
  return minContext == null || minContext <= row.context || fitsAt(row, minContext, fits);
}

/** What fits at some context fits at every shorter one, so that one look tells whether the longest is longer. */
function fitsAt({ model, quantFormat }: RunnableRow, context: number, fits: SetupFits): boolean {
  return fits.of(model, context).candidates.some((candidate) => candidate.quantFormat === quantFormat);
}

function measureContext(row: RunnableRow, fits: SetupFits): void {
  row.usableContext ??= fitsAt(row, row.model.contextLength, fits)
    ? row.model.contextLength
    : fits.longestContext(row, row.model.contextLength);
}

/** Does what may find fault with the settings, and names the place in the arguments. */
function blaming(settings: Pick<RunnableSettings, "runtime">, work: () => void): void {
  try {
    work();
  } catch (error) {
    throw error instanceof EstimateError ? blame(error, settings) : error;
  }
}

function blame(error: EstimateError, settings: Pick<RunnableSettings, "runtime">): BadUserInputError {
  const path = inputPathOf(error.path, settings.runtime ?? {});
  return new BadUserInputError(error.message, path[0] === "hardware" ? path : ["settings", ...path]);
}

function requirePlan({ plan }: EstimateModel): ParallelPlanModel {
  if (plan === null) throw new Error("an estimate on devices has no plan");
  return plan;
}

function requireFirst(first: number): number {
  if (first >= 0 && first <= MAX_PAGE_SIZE) return first;
  throw new BadUserInputError(`\`first\` must be from 0 to ${MAX_PAGE_SIZE}, not ${first}.`, ["first"]);
}
