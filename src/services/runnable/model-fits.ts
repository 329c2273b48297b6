import type { Catalogue } from "../../data/catalogue.js";
import type { ModelRow, QuantFormatRow, RuntimeRow } from "../../data/rows.js";
import type { Architecture } from "../../estimator/architecture/architecture.js";
import { estimate } from "../../estimator/estimate.js";
import { estimateBestPlan } from "../../estimator/fit/best-plan.js";
import { createFormatFits, type FormatFit, type FormatFits } from "../../estimator/fit/format-fits.js";
import { largestFitting } from "../../estimator/fit/largest-value.js";
import { createServingFits } from "../../estimator/fit/serving-fits.js";
import { CELL_PADDING } from "../../estimator/kv-cache/cell-counts.js";
import { onceFor } from "../../estimator/once-for.js";
import type { DeviceLinks } from "../../estimator/placement/device-links.js";
import { isRefusal, type Refusal, unlessRefused } from "../estimation/best-format.js";
import type { Hardware } from "../estimation/devices.js";
import { headroomOf } from "../estimation/hardware-fits.js";
import { linksOf } from "../estimation/hardware-sets.js";
import { requireKernels } from "../estimation/kernels.js";
import type { ExtrasOf, ResolvedRequest, ResolvedSettings } from "../estimation/request.js";
import type { SpeedRun } from "../estimation/speed.js";
import { storageOfFormat } from "../estimation/storage.js";
import { type Kept, keepRecent } from "../kept.js";
import { sharedArchitecture } from "./shared-architecture.js";

/** All that decides what fits beside the model and its context. */
export interface Setup {
  runtime: RuntimeRow;
  /** Its context is only what was asked for: each model may have its own. */
  settings: ResolvedSettings["settings"];
  hardware: Hardware;
  /** What stands beside each model; nothing if absent. */
  extrasOf?: ExtrasOf | undefined;
  /** Formats that the runtime loads, the best quality first. */
  formats: readonly QuantFormatRow[];
}

/** A model in a format, and how it stands to the hardware. Sizes are bytes. */
export interface Candidate {
  model: ModelRow;
  quantFormat: QuantFormatRow;
  /** Tokens per sequence. */
  context: number;
  total: number;
  /** Free on the fullest device, what the driver holds included. */
  headroom: number;
  /** Missing on the device that is most overfull, or in host memory; zero or less where the model fits. */
  shortBy: number;
}

/** A model in every format. */
export interface ModelFits {
  /** What fits, the best quality first. */
  candidates: readonly Candidate[];
  /** Formats that are too large. */
  tooLarge: readonly QuantFormatRow[];
  /** The others, and why the runtime refuses each. */
  refusals: ReadonlyMap<QuantFormatRow, Refusal>;
}

/** Most models, at one context each, whose fits are kept with one setup: a catalogue several times over. */
const MODELS_KEPT = 2_000;

/** Contexts at which what models described alike share is kept. */
const CONTEXTS_KEPT = 4;

/** How models of a catalogue stand to one setup; each is computed once. */
export interface SetupFits {
  setup: Setup;
  of(model: ModelRow, context: number): ModelFits;
  /** Of formats that a model is too large in, the one that misses by least; null where the runtime refuses all. */
  nearest(model: ModelRow, formats: readonly QuantFormatRow[], context: number): Candidate | null;
  /** Most tokens per sequence of a candidate that fits; `tooLong` is a context at which it does not. */
  longestContext(candidate: Candidate, tooLong: number): number;
  /** What an estimate of the candidate starts from, split over the devices as it fits. */
  resolve(candidate: Candidate): ResolvedRequest;
  /** What the speed of a candidate that fits is computed from. */
  runOf(candidate: Candidate): SpeedRun;
}

/** Builds the search of one setup. Its devices must have known capacities. */
export function createSetupFits(setup: Setup, catalogue: Catalogue): SetupFits {
  const known = keepRecent<ModelFits>(MODELS_KEPT);
  const sharedBy = onceFor((_: Architecture): Kept<FormatFits | null> => keepRecent(CONTEXTS_KEPT));
  /** What was laid out in searches of the longest context, by context: a few for each format. */
  const laddersBy = onceFor((_: Architecture) => new Map<number, FormatFits | null>());
  const links = linksBetween(setup.hardware, catalogue);

  function resolve(model: ModelRow, quantFormat: QuantFormatRow, contextTokens: number): ResolvedRequest {
    const { runtime, hardware } = setup;
    const { scheme, file } = storageOfFormat(quantFormat, model, catalogue);
    const request = { ...requestFor(model, contextTokens), scheme };
    return { request, model, gpus: hardware.gpus, system: hardware.system, runtime, file };
  }

  function requestFor(model: ModelRow, contextTokens: number) {
    const architecture = sharedArchitecture(model, catalogue);
    const { settings, hardware, extrasOf } = setup;
    const { devices, hostMemory } = hardware;
    const extras = extrasOf?.({ ...settings, contextTokens });
    const beside = { ...(hostMemory && { hostMemory }), ...(extras && { extras }) };
    return { ...settings, architecture, contextTokens, devices, ...beside };
  }

  /** The fits of a description at a context, which models described alike share; null where formats share nothing. */
  function formatFitsOf(model: ModelRow, context: number): FormatFits | null {
    const request = requestFor(model, context);
    const byContext = sharedBy(request.architecture);
    return byContext.get(String(context), () => createFormatFits(request) ?? createServingFits(request, links));
  }

  function ladderOf(model: ModelRow): Map<number, FormatFits | null> {
    return laddersBy(sharedArchitecture(model, catalogue));
  }

  /** The fits of a description at a context of a search. */
  function ladderFits(model: ModelRow, context: number): FormatFits | null {
    const ladder = ladderOf(model);
    let fits = ladder.get(context);
    if (fits === undefined) {
      fits = createFormatFits(requestFor(model, context));
      ladder.set(context, fits);
    }
    return fits;
  }

  /** Null where the weights alone are too large. */
  function tryFormat(fits: FormatFits | null, model: ModelRow, format: QuantFormatRow, context: number) {
    if (fits === null) return estimateFormat(model, format, context);
    const fit = fits.fitOf(storageOfFormat(format, model, catalogue).scheme);
    return fit === null ? null : describeCandidate(model, format, context, fit);
  }

  function measure(fits: FormatFits | null, model: ModelRow, format: QuantFormatRow, context: number): Candidate {
    if (fits === null) return estimateFormat(model, format, context);
    const { scheme } = storageOfFormat(format, model, catalogue);
    return describeCandidate(model, format, context, fits.measure(scheme));
  }

  function estimateFormat(model: ModelRow, format: QuantFormatRow, context: number): Candidate {
    const memory = estimateBestPlan(resolve(model, format, context).request, links);
    return describeCandidate(model, format, context, {
      totalBytes: memory.total,
      headroomBytes: headroomOf(memory),
      spareBytes: Math.min(
        memory.spareBytes ?? Number.NEGATIVE_INFINITY,
        memory.spareHostBytes ?? Number.POSITIVE_INFINITY,
      ),
    });
  }

  function kernelRun(model: ModelRow, format: QuantFormatRow) {
    const { scheme } = storageOfFormat(format, model, catalogue);
    return { ...setup.settings, architecture: sharedArchitecture(model, catalogue), scheme };
  }

  function compute(model: ModelRow, context: number): ModelFits {
    const fits = formatFitsOf(model, context);
    const candidates: Candidate[] = [];
    const tooLarge: QuantFormatRow[] = [];
    const refusals = new Map<QuantFormatRow, Refusal>();
    for (const format of setup.formats) {
      try {
        requireKernels(setup.hardware.gpus, kernelRun(model, format), setup.runtime);
        const candidate = tryFormat(fits, model, format, context);
        if (candidate === null || candidate.shortBy > 0) tooLarge.push(format);
        else candidates.push(candidate);
      } catch (error) {
        if (!isRefusal(error)) throw error;
        refusals.set(format, error);
      }
    }
    return { candidates, tooLarge, refusals };
  }

  return {
    setup,
    of: (model, context) => known.get(`${model.id} ${context}`, () => compute(model, context)),
    nearest(model, formats, context) {
      const fits = formatFitsOf(model, context);
      let least: Candidate | null = null;
      for (const format of formats) {
        const candidate = unlessRefused(() => measure(fits, model, format, context));
        if (candidate !== null && (least === null || candidate.shortBy < least.shortBy)) least = candidate;
      }
      return least;
    },
    longestContext({ model, quantFormat, context }, tooLong) {
      const { scheme } = storageOfFormat(quantFormat, model, catalogue);
      const fitsAt = (cells: number) => ladderFits(model, cells * CELL_PADDING);
      const least = Math.max(1, Math.floor(context / CELL_PADDING));
      const first = fitsAt(least);
      if (first === null) return estimate(resolve(model, quantFormat, context).request).maxContextTokens ?? 0;
      // Contexts that were looked at for other formats of the model close in on the one looked for.
      const bounds = { low: least, high: Math.ceil(tooLong / CELL_PADDING) };
      const spareAt = (cells: number) => fitsAt(cells)?.measure(scheme).spareBytes ?? Number.NEGATIVE_INFINITY;
      for (const tokens of ladderOf(model).keys()) {
        const cells = tokens / CELL_PADDING;
        if (cells <= bounds.low || cells >= bounds.high) continue;
        if (spareAt(cells) >= 0) bounds.low = cells;
        else bounds.high = cells;
      }
      return CELL_PADDING * largestFitting(spareAt, bounds.high, bounds.low);
    },
    runOf({ model, quantFormat, context }) {
      const { request } = resolve(model, quantFormat, context);
      const { gpus } = setup.hardware;
      const placed = formatFitsOf(model, context)?.placed(request.scheme) ?? null;
      const memory = placed === null ? estimateBestPlan(request, links) : { ...placed, request };
      return { memory, gpus, runtime: setup.runtime.slug };
    },
    resolve({ model, quantFormat, context }) {
      const resolved = resolve(model, quantFormat, context);
      return { ...resolved, request: estimateBestPlan(resolved.request, links).request };
    },
  };
}

function describeCandidate(
  model: ModelRow,
  quantFormat: QuantFormatRow,
  context: number,
  { totalBytes, headroomBytes, spareBytes }: FormatFit,
): Candidate {
  return { model, quantFormat, context, total: totalBytes, headroom: headroomBytes, shortBy: -spareBytes };
}

/** How equal cards are linked; different ones are taken to be linked alike. */
function linksBetween({ gpus, system }: Hardware, catalogue: Catalogue): DeviceLinks | undefined {
  const [gpu] = gpus;
  if (gpu === undefined || gpus.some((other) => other !== gpu)) return undefined;
  return linksOf({ gpu, system, count: gpus.length }, catalogue);
}
