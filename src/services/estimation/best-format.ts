import type { Catalogue } from "../../data/catalogue.js";
import type { QuantFormatRow, RuntimeRow } from "../../data/rows.js";
import type { RuntimeRequest } from "../../estimator/estimate.types.js";
import { EstimateError } from "../../estimator/estimate-error.js";
import { QuantizationError } from "../../estimator/quantization/ggml-types.js";
import { isLoadable } from "../../estimator/runtimes/loadable-formats.js";
import { headroomOf } from "./hardware-fits.js";
import { missingKernel } from "./kernels.js";
import type { ResolvedRequest } from "./request.js";
import { storageOfFormat } from "./storage.js";
import type { BestQuantFormatModel, EstimateModel } from "./types.js";

/**
 * The formats in use that a runtime loads, the best quality first: those whose row names it and whose storage it takes
 * as it is. The rule of thumb is no engine and takes all of them.
 */
export function loadableFormats(
  catalogue: Catalogue,
  runtime: RuntimeRow,
  engine: RuntimeRequest["kind"],
): QuantFormatRow[] {
  const isNamed = (format: QuantFormatRow) => engine === "rule-of-thumb" || format.runtimes.includes(runtime.slug);
  return catalogue.quantFormats.rows
    .filter((format) => format.archivedAt === null && isNamed(format) && isLoadable(format.scheme, engine))
    .sort((a, b) => b.qualityRank - a.qualityRank || (a.slug < b.slug ? -1 : 1));
}

/**
 * The format of the best quality in which a model fits on the estimate's hardware, everything else as asked. Formats
 * that the runtime refuses for this model are passed over.
 */
export function findBestFormat(
  estimate: EstimateModel,
  catalogue: Catalogue,
  estimateResolved: (resolved: ResolvedRequest) => EstimateModel,
): BestQuantFormatModel | null {
  const { request, model, gpus, system } = estimate;
  const runtime = catalogue.runtimes.bySlug.get(estimate.runtime);
  if (estimate.fits === null || runtime === undefined) return null;
  for (const quantFormat of loadableFormats(catalogue, runtime, request.runtime.kind)) {
    const { scheme, file } = storageOfFormat(quantFormat, model, catalogue);
    if (gpus.some((gpu) => missingKernel(gpu, { ...request, scheme }, runtime) !== null)) continue;
    const found = unlessRefused(() =>
      estimateResolved({ request: { ...request, scheme }, model, gpus, system, runtime, file }),
    );
    if (found?.fits) return { quantFormat, headroom: headroomOf(found.speedRun.memory), estimate: found };
  }
  return null;
}

/** Why a runtime takes a model in no way, or not in a format. */
export type Refusal = EstimateError | QuantizationError;

export function isRefusal(error: unknown): error is Refusal {
  return error instanceof EstimateError || error instanceof QuantizationError;
}

/** What is computed; null where the runtime or the format refuses the model. */
export function unlessRefused<Result>(compute: () => Result): Result | null {
  try {
    return compute();
  } catch (error) {
    if (isRefusal(error)) return null;
    throw error;
  }
}
