import { encodeGlobalId } from "../services/catalogue/global-ids.js";
import { listRows } from "../services/catalogue/list.js";
import { measurementList } from "../services/catalogue/lists/measurements.js";
import { modelFileList } from "../services/catalogue/lists/model-files.js";
import { scenarioList } from "../services/catalogue/lists/scenarios.js";
import { filesOfModel, measurementsOfModel, scenariosOfModel } from "../services/catalogue/relations.js";
import type { ModelResolvers } from "./types.generated.js";

export const Model: ModelResolvers = {
  id: (model) => encodeGlobalId("Model", model.id),
  layers: (model) => model.architecture.layers.length,
  hiddenSize: (model) => model.architecture.hiddenSize,
  vocabularySize: (model) => model.architecture.vocabularySize,
  huggingFaceModelType: (model) => model.architecture.modelType,
  ggufArchitecture: (model) => model.architecture.ggufArchitecture,
  estimate: (model, settings, { services }) =>
    services.estimation.estimate({ ...settings, model: { slug: model.slug } }, []),
  files: (model, args, { catalogue }) =>
    listRows(modelFileList, filesOfModel(catalogue.modelFiles, model.id), args, catalogue),
  scenarios: (model, args, { catalogue }) =>
    listRows(scenarioList, scenariosOfModel(catalogue.scenarios, model.id), args, catalogue),
  measurements: (model, args, { catalogue }) =>
    listRows(measurementList, measurementsOfModel(catalogue.measurements, model.id), args, catalogue),
  history: (model, page, { backend }) => backend.audit.listOfRow(model.id, page),
};
