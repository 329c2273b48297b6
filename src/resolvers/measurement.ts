import { encodeGlobalId } from "../services/catalogue/global-ids.js";
import { findRow, requireRow } from "../services/catalogue/relations.js";
import { mainError } from "../services/evidence/report.js";
import type { MeasurementResolvers } from "./types.generated.js";

export const Measurement: MeasurementResolvers = {
  id: (measurement) => encodeGlobalId("Measurement", measurement.id),
  runtime: (measurement, _, { catalogue }) => requireRow(catalogue.runtimes, measurement.runtimeId),
  model: (measurement, _, { catalogue }) => findRow(catalogue.models, measurement.modelId),
  quantFormat: (measurement, _, { catalogue }) => findRow(catalogue.quantFormats, measurement.quantFormatId),
  gpu: (measurement, _, { catalogue }) => findRow(catalogue.gpus, measurement.gpuId),
  context: (measurement) => measurement.contextTokens,
  estimate: (measurement, _, { services }) => services.estimation.estimateMeasurement(measurement),
  comparisons: (measurement, _, { services }) => services.evidence.of(measurement).comparisons,
  error: (measurement, _, { services }) => mainError(services.evidence.of(measurement)),
  notComparedBecause: (measurement, _, { services }) => services.evidence.of(measurement).reason,
  history: (measurement, page, { backend }) => backend.audit.listOfRow(measurement.id, page),
};
