import { encodeGlobalId } from "../services/catalogue/global-ids.js";
import { systemMemoryGib } from "../services/catalogue/lists/systems.js";
import { requireRow } from "../services/catalogue/relations.js";
import { isSystemPriceStale } from "../services/catalogue/stale-prices.js";
import { bytesOfGib } from "./byte-size.js";
import type { SystemResolvers } from "./types.generated.js";

export const System: SystemResolvers = {
  id: (system) => encodeGlobalId("System", system.id),
  gpu: (system, _, { catalogue }) => requireRow(catalogue.gpus, system.gpuId),
  memory: (system, _, { catalogue }) => bytesOfGib(systemMemoryGib(system, catalogue)),
  hostMemory: (system) => (system.hostMemoryGib === null ? null : bytesOfGib(system.hostMemoryGib)),
  priceIsStale: (system, _, { now }) => isSystemPriceStale(system, now),
  history: (system, page, { backend }) => backend.audit.listOfRow(system.id, page),
};
