import { listTokens } from "../services/access/list-tokens.js";
import { listRows } from "../services/catalogue/list.js";
import { gpuList } from "../services/catalogue/lists/gpus.js";
import { listHardware } from "../services/catalogue/lists/hardware.js";
import { kvCacheTypeList } from "../services/catalogue/lists/kv-cache-types.js";
import { measurementList } from "../services/catalogue/lists/measurements.js";
import { modelList } from "../services/catalogue/lists/models.js";
import { quantFormatList } from "../services/catalogue/lists/quant-formats.js";
import { runtimeList } from "../services/catalogue/lists/runtimes.js";
import { scenarioList } from "../services/catalogue/lists/scenarios.js";
import { systemList } from "../services/catalogue/lists/systems.js";
import { findAnyNode, findNodes } from "../services/catalogue/nodes.js";
import { compare } from "../services/comparison/compare.js";
import { estimateEach } from "../services/estimation/outcomes.js";
import { findAccuracy } from "../services/evidence/find-accuracy.js";
import { readChangeFilter } from "./catalog-change.js";
import { exportSections } from "./catalog-files.js";
import type { QueryResolvers } from "./types.generated.js";

export const Query: QueryResolvers = {
  estimate: (_, { input }, { services }) => services.estimation.estimate(input, ["input"]),
  hardware: (_, { input, ...args }, { catalogue, services }) =>
    listHardware(services, services.estimation.estimate(input, ["input"]), args, catalogue),
  estimates: (_, { inputs }, { services, work }) => estimateEach(services.estimation, inputs, ["inputs"], work.signal),

  model: (_, { slug }, { catalogue }) => catalogue.models.bySlug.get(slug) ?? null,
  models: (_, args, { catalogue }) => listRows(modelList, catalogue.models.rows, args, catalogue),
  quantFormat: (_, { slug }, { catalogue }) => catalogue.quantFormats.bySlug.get(slug) ?? null,
  quantFormats: (_, args, { catalogue }) => listRows(quantFormatList, catalogue.quantFormats.rows, args, catalogue),
  kvCacheType: (_, { slug }, { catalogue }) => catalogue.kvCacheTypes.bySlug.get(slug) ?? null,
  kvCacheTypes: (_, args, { catalogue }) => listRows(kvCacheTypeList, catalogue.kvCacheTypes.rows, args, catalogue),
  gpu: (_, { slug }, { catalogue }) => catalogue.gpus.bySlug.get(slug) ?? null,
  gpus: (_, args, { catalogue }) => listRows(gpuList, catalogue.gpus.rows, args, catalogue),
  system: (_, { slug }, { catalogue }) => catalogue.systems.bySlug.get(slug) ?? null,
  systems: (_, args, { catalogue }) => listRows(systemList, catalogue.systems.rows, args, catalogue),
  runtime: (_, { slug }, { catalogue }) => catalogue.runtimes.bySlug.get(slug) ?? null,
  runtimes: (_, args, { catalogue }) => listRows(runtimeList, catalogue.runtimes.rows, args, catalogue),
  scenario: (_, { slug }, { catalogue }) => catalogue.scenarios.bySlug.get(slug) ?? null,
  scenarios: (_, args, { catalogue }) => listRows(scenarioList, catalogue.scenarios.rows, args, catalogue),
  measurement: (_, { slug }, { catalogue }) => catalogue.measurements.bySlug.get(slug) ?? null,
  measurements: (_, args, { catalogue }) => listRows(measurementList, catalogue.measurements.rows, args, catalogue),

  accuracy: (_, { filter }, { catalogue, services, work }) =>
    findAccuracy(services.evidence, filter ?? {}, catalogue, work.signal),

  runnable: (_, args, { services, work }) => services.runnable.find(args, work.signal),
  compare: (_, { input }, { catalogue, services, work }) => compare(input, catalogue, services.estimation, work.signal),

  node: (_, { id }, { catalogue, backend }) => findAnyNode(catalogue, backend.audit, id),
  nodes: (_, { ids }, { catalogue, backend }) => findNodes(catalogue, backend.audit, ids),
  catalogChanges: (_, { filter, ...page }, { backend }) => backend.audit.list(readChangeFilter(filter ?? {}), page),
  apiTokens: async (_, args, { backend }) => listTokens(await backend.access.listTokens(), args),
  catalogExport: (_, { entities }, { catalogue }) => exportSections(catalogue, entities ?? null),
  viewer: (_, __, context) => context.viewer(),
  catalogVersion: (_, __, { catalogue }) => catalogue.version,
};
