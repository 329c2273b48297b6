import { encodeGlobalId } from "../services/catalogue/global-ids.js";
import { listRows } from "../services/catalogue/list.js";
import { measurementList } from "../services/catalogue/lists/measurements.js";
import { modelFileList } from "../services/catalogue/lists/model-files.js";
import { scenarioList } from "../services/catalogue/lists/scenarios.js";
import {
  filesOfQuantFormat,
  findRowsBySlug,
  measurementsOfQuantFormat,
  scenariosOfQuantFormat,
} from "../services/catalogue/relations.js";
import type { QuantFormatResolvers } from "./types.generated.js";

export const QuantFormat: QuantFormatResolvers = {
  id: (format) => encodeGlobalId("QuantFormat", format.id),
  runtimes: (format, _, { catalogue }) => findRowsBySlug(catalogue.runtimes, format.runtimes),
  files: (format, args, { catalogue }) =>
    listRows(modelFileList, filesOfQuantFormat(catalogue.modelFiles, format.id), args, catalogue),
  scenarios: (format, args, { catalogue }) =>
    listRows(scenarioList, scenariosOfQuantFormat(catalogue.scenarios, format.id), args, catalogue),
  measurements: (format, args, { catalogue }) =>
    listRows(measurementList, measurementsOfQuantFormat(catalogue.measurements, format.id), args, catalogue),
  history: (format, page, { backend }) => backend.audit.listOfRow(format.id, page),
};
