import { encodeGlobalId } from "../services/catalogue/global-ids.js";
import { listRows } from "../services/catalogue/list.js";
import { kvCacheTypeList } from "../services/catalogue/lists/kv-cache-types.js";
import { measurementList } from "../services/catalogue/lists/measurements.js";
import { quantFormatList } from "../services/catalogue/lists/quant-formats.js";
import { measurementsOfRuntime, usableIn } from "../services/catalogue/relations.js";
import type { RuntimeResolvers } from "./types.generated.js";

export const Runtime: RuntimeResolvers = {
  id: (runtime) => encodeGlobalId("Runtime", runtime.id),
  quantFormats: (runtime, args, { catalogue }) =>
    listRows(quantFormatList, usableIn(catalogue.quantFormats, runtime.slug), args, catalogue),
  kvCacheTypes: (runtime, args, { catalogue }) =>
    listRows(kvCacheTypeList, usableIn(catalogue.kvCacheTypes, runtime.slug), args, catalogue),
  measurements: (runtime, args, { catalogue }) =>
    listRows(measurementList, measurementsOfRuntime(catalogue.measurements, runtime.id), args, catalogue),
  history: (runtime, page, { backend }) => backend.audit.listOfRow(runtime.id, page),
};
