import { encodeGlobalId } from "../services/catalogue/global-ids.js";
import { findRowsBySlug } from "../services/catalogue/relations.js";
import type { KvCacheTypeResolvers } from "./types.generated.js";

export const KvCacheType: KvCacheTypeResolvers = {
  id: (type) => encodeGlobalId("KvCacheType", type.id),
  runtimes: (type, _, { catalogue }) => findRowsBySlug(catalogue.runtimes, type.runtimes),
  history: (type, page, { backend }) => backend.audit.listOfRow(type.id, page),
};
