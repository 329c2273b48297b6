import type { Catalogue } from "../../src/data/catalogue.js";
import type { MeasurementRow } from "../../src/data/rows.js";
import { estimate } from "../../src/estimator/estimate.js";
import { EstimateError } from "../../src/estimator/estimate-error.js";
import { QuantizationError } from "../../src/estimator/quantization/ggml-types.js";
import { DEFAULT_HOST_GB_PER_SECOND, estimateSpeed } from "../../src/estimator/speed/estimate-speed.js";
import type { SpeedConstants } from "../../src/estimator/speed/speed.types.js";
import { findRow, requireRow } from "../../src/services/catalogue/relations.js";
import { describeDevice } from "../../src/services/estimation/devices.js";
import { describeSpeedCard } from "../../src/services/estimation/speed-cards.js";
import { readSpeed } from "../../src/services/evidence/read-speed.js";
import type { SpeedComponent } from "../../src/services/evidence/types.js";

/** One measured rate, and what constants make of it. */
export interface Sample {
  measurement: MeasurementRow;
  runtime: string;
  model: string;
  card: string;
  component: SpeedComponent;
  measured: number;
  /** Tokens per second; null where no figure can be given. */
  estimate: (constants: SpeedConstants) => number | null;
}

/** Every rate of the catalogue that can be compared. */
export function listSamples(catalogue: Catalogue): Sample[] {
  return catalogue.measurements.rows.filter(({ kind }) => kind === "SPEED").flatMap((row) => samplesOf(row, catalogue));
}

function samplesOf(measurement: MeasurementRow, catalogue: Catalogue): Sample[] {
  const runtime = requireRow(catalogue.runtimes, measurement.runtimeId);
  const model = findRow(catalogue.models, measurement.modelId);
  const gpu = findRow(catalogue.gpus, measurement.gpuId);
  const quantFormat = findRow(catalogue.quantFormats, measurement.quantFormatId);
  if (model === null || gpu === null) return [];
  const run = { measurement, model, runtime, quantFormat, device: describeDevice(gpu, runtime) };
  const reading = readSpeed(run, gpu, catalogue);
  if ("reason" in reading) return [];
  try {
    const { request } = reading;
    const memory = estimate(request);
    const cards = memory.devices.map(() => describeSpeedCard(gpu));
    return reading.figures.map(({ component, measured, estimated }) => ({
      measurement,
      runtime: runtime.slug,
      model: model.slug,
      card: gpu.slug,
      component,
      measured,
      estimate: (constants) =>
        estimated((depthTokens, promptTokens) =>
          estimateSpeed(request, memory, cards, constants, {
            depthTokens,
            promptTokens,
            hostGbPerSecond: DEFAULT_HOST_GB_PER_SECOND,
          }),
        ),
    }));
  } catch (error) {
    if (error instanceof EstimateError || error instanceof QuantizationError) {
      console.error(`${measurement.slug}: ${error.message}`);
      return [];
    }
    throw error;
  }
}
