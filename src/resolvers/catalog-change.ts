import type { ChangeFilter } from "../services/audit/audit.js";
import { encodeChangeId, encodeGlobalId, entityNames, type NodeType } from "../services/catalogue/global-ids.js";
import { findNode } from "../services/catalogue/nodes.js";
import { describeRow, listFieldChanges } from "../services/editing/differences.js";
import { EDIT_FORMS } from "../services/editing/forms.js";
import type {
  CatalogChangeConnectionResolvers,
  CatalogChangeFilter,
  CatalogChangeResolvers,
  RowDiffResolvers,
} from "./types.generated.js";

export const CatalogChange: CatalogChangeResolvers = {
  id: (change) => encodeChangeId(change.id),
  entity: (change) => entityNames[change.entity],
  rowId: (change) => encodeGlobalId(change.entity, change.rowId),
  row: (change, _, { catalogue }) => findNode(catalogue, encodeGlobalId(change.entity, change.rowId)),
  fields: (change, _, { catalogue }) =>
    listFieldChanges(EDIT_FORMS[change.entity], change.before, change.after, catalogue),
  before: ({ entity, before }, _, { catalogue }) =>
    before === null ? null : describeRow(EDIT_FORMS[entity], before, catalogue),
  after: ({ entity, after }, _, { catalogue }) =>
    after === null ? null : describeRow(EDIT_FORMS[entity], after, catalogue),
  actor: ({ actorName, actorRole }) => ({ name: actorName, role: actorRole }),
  revertedId: ({ revertedChangeId }) => (revertedChangeId === null ? null : encodeChangeId(revertedChangeId)),
};

export const CatalogChangeConnection: CatalogChangeConnectionResolvers = {
  totalCount: (connection) => connection.countAll(),
};

export const RowDiff: RowDiffResolvers = {
  entity: ({ form }) => entityNames[form.type],
  rowId: ({ form, rowId }) => encodeGlobalId(form.type, rowId),
};

/** The schema's filter in the service's words. */
export function readChangeFilter({ entity, ...filter }: CatalogChangeFilter): ChangeFilter {
  return { ...filter, type: entity?.map(typeOfEntity) };
}

/** The schema's type of an entity. */
export function typeOfEntity(name: (typeof entityNames)[NodeType]): NodeType {
  const type = (Object.keys(entityNames) as NodeType[]).find((candidate) => entityNames[candidate] === name);
  if (type === undefined) throw new Error(`no type ${name}`);
  return type;
}
