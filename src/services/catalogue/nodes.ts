import type { Catalogue } from "../../data/catalogue.js";
import { BadUserInputError } from "../../errors.js";
import type { AuditService } from "../audit/audit.js";
import type { ChangeModel } from "../audit/changes.js";
import { decodeChangeId, decodeGlobalId, type NodeReference, type NodeType, nodeTables } from "./global-ids.js";

/** Any row of the catalogue. */
type RowModel = ReturnType<Catalogue[(typeof nodeTables)[NodeType]]["byId"]["get"]> & object;

/** Whatever has a global id. */
export type NodeModel = RowModel | ChangeModel;

/** The row of a global id; null when there is none. */
export function findNode(catalogue: Catalogue, globalId: string): RowModel | null {
  const reference = decodeGlobalId(globalId);
  return reference === null ? null : findReferenced(catalogue, reference);
}

/** The row or the change of a global id; null when there is none. */
export function findAnyNode(
  catalogue: Catalogue,
  audit: AuditService,
  globalId: string,
): RowModel | null | Promise<ChangeModel | null> {
  const changeId = decodeChangeId(globalId);
  return changeId === null ? findNode(catalogue, globalId) : audit.find(changeId);
}

function findReferenced(catalogue: Catalogue, { type, id }: NodeReference): RowModel | null {
  return catalogue[nodeTables[type]].byId.get(id) ?? null;
}

/** The schema's type of a row: that of the table it is in. */
export function typeOfNode(catalogue: Catalogue, node: NodeModel): NodeType | "CatalogChange" {
  if ("requestId" in node) return "CatalogChange";
  for (const type of Object.keys(nodeTables) as NodeType[]) {
    if (catalogue[nodeTables[type]].byId.get(node.id) === node) return type;
  }
  throw new Error(`row ${node.slug} is in no table of catalogue version ${catalogue.version}`);
}

/** Most ids of one request. */
const MAX_NODE_IDS = 100;

/**
 * The rows of global ids, in the same order, null where there is none.
 * @throws BadUserInputError for too many of them
 */
export async function findNodes(
  catalogue: Catalogue,
  audit: AuditService,
  globalIds: readonly string[],
): Promise<(NodeModel | null)[]> {
  if (globalIds.length > MAX_NODE_IDS) {
    throw new BadUserInputError(`At most ${MAX_NODE_IDS} ids at once, not ${globalIds.length}.`, ["ids"]);
  }
  return Promise.all(globalIds.map((id) => findAnyNode(catalogue, audit, id)));
}
