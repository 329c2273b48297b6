import { encodeGlobalId } from "../services/catalogue/global-ids.js";
import { findRow, requireRow } from "../services/catalogue/relations.js";
import type { ModelFileResolvers } from "./types.generated.js";

export const ModelFile: ModelFileResolvers = {
  id: (file) => encodeGlobalId("ModelFile", file.id),
  model: (file, _, { catalogue }) => requireRow(catalogue.models, file.modelId),
  quantFormat: (file, _, { catalogue }) => findRow(catalogue.quantFormats, file.quantFormatId),
  size: (file) => file.sizeBytes,
  history: (file, page, { backend }) => backend.audit.listOfRow(file.id, page),
};
