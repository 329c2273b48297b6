import type { Catalogue } from "../../data/catalogue.js";
import type { ModelRow, QuantFormatRow, RuntimeRow } from "../../data/rows.js";
import type { MemoryEstimate } from "../../estimator/estimate.types.js";
import { EstimateError } from "../../estimator/estimate-error.js";
import { estimateBestPlan } from "../../estimator/fit/best-plan.js";
import type { DeviceLinks } from "../../estimator/placement/device-links.js";
import { QuantizationError } from "../../estimator/quantization/ggml-types.js";
import type { Hardware } from "../estimation/devices.js";
import { headroomOf } from "../estimation/hardware-fits.js";
import { linksOf } from "../estimation/hardware-sets.js";
import type { ResolvedRequest, ResolvedSettings } from "../estimation/request.js";
import { storageOfFormat } from "../estimation/storage.js";

/** All that decides what fits beside the model and its context. */
export interface Setup {
  runtime: RuntimeRow;
  /** Its context is only what was asked for: each model may have its own. */
  settings: ResolvedSettings["settings"];
  hardware: Hardware;
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
  /** The formats the runtime takes the model in, the best quality first. */
  candidates: readonly Candidate[];
  /** Why it refuses one of the others; null where it refuses none. */
  refusal: EstimateError | QuantizationError | null;
}

/** Most models, at one context each, whose fits are kept with one setup: a catalogue several times over. */
const MODELS_KEPT = 2_000;

/** How models of a catalogue stand to one setup; each is computed once. */
export interface SetupFits {
  setup: Setup;
  of(model: ModelRow, context: number): ModelFits;
  /** What an estimate of the candidate starts from, split over the devices as it fits. */
  resolve(candidate: Candidate): ResolvedRequest;
}

export function createSetupFits(setup: Setup, catalogue: Catalogue): SetupFits {
  const known = new Map<string, ModelFits>();
  const links = linksBetween(setup.hardware, catalogue);

  function resolve(model: ModelRow, quantFormat: QuantFormatRow, contextTokens: number): ResolvedRequest {
    const { runtime, settings, hardware } = setup;
    const { scheme, file } = storageOfFormat(quantFormat, model, catalogue);
    const { architecture } = model;
    const request = {
      ...settings,
      architecture,
      scheme,
      contextTokens,
      devices: hardware.devices,
      ...withHost(hardware),
    };
    return { request, model, gpus: hardware.gpus, runtime, file };
  }

  function compute(model: ModelRow, context: number): ModelFits {
    const candidates: Candidate[] = [];
    let refusal: ModelFits["refusal"] = null;
    for (const quantFormat of setup.formats) {
      try {
        const memory = estimateBestPlan(resolve(model, quantFormat, context).request, links);
        candidates.push(describeCandidate(model, quantFormat, memory));
      } catch (error) {
        if (!(error instanceof EstimateError || error instanceof QuantizationError)) throw error;
        refusal ??= error;
      }
    }
    return { candidates, refusal };
  }

  return {
    setup,
    of(model, context) {
      const key = `${model.id} ${context}`;
      let fits = known.get(key);
      if (fits === undefined) {
        fits = compute(model, context);
        if (known.size >= MODELS_KEPT) known.delete(known.keys().next().value ?? "");
        known.set(key, fits);
      }
      return fits;
    },
    resolve({ model, quantFormat, context }) {
      const resolved = resolve(model, quantFormat, context);
      return { ...resolved, request: estimateBestPlan(resolved.request, links).request };
    },
  };
}

function withHost({ hostMemory }: Hardware) {
  return hostMemory === undefined ? {} : { hostMemory };
}

function describeCandidate(model: ModelRow, quantFormat: QuantFormatRow, memory: MemoryEstimate): Candidate {
  return {
    model,
    quantFormat,
    context: memory.request.contextTokens,
    total: memory.total,
    headroom: headroomOf(memory),
    shortBy: -Math.min(
      memory.spareBytes ?? Number.NEGATIVE_INFINITY,
      memory.spareHostBytes ?? Number.POSITIVE_INFINITY,
    ),
  };
}

/** How equal cards are linked; different ones are taken to be linked alike. */
function linksBetween({ gpus, system }: Hardware, catalogue: Catalogue): DeviceLinks | undefined {
  const [gpu] = gpus;
  if (gpu === undefined || gpus.some((other) => other !== gpu)) return undefined;
  return linksOf({ gpu, system, count: gpus.length }, catalogue);
}
