import type { Catalogue } from "../../data/catalogue.js";
import { BadUserInputError } from "../../errors.js";
import { decodeGlobalId, type NodeReference, type NodeType, nodeTables } from "./global-ids.js";

/** Any row of the catalogue. */
export type NodeModel = ReturnType<Catalogue[(typeof nodeTables)[NodeType]]["byId"]["get"]> & object;

/** The row of a global id; null when there is none. */
export function findNode(catalogue: Catalogue, globalId: string): NodeModel | null {
  const reference = decodeGlobalId(globalId);
  return reference === null ? null : findReferenced(catalogue, reference);
}

function findReferenced(catalogue: Catalogue, { type, id }: NodeReference): NodeModel | null {
  return catalogue[nodeTables[type]].byId.get(id) ?? null;
}

/** The schema's type of a row: that of the table it is in. */
export function typeOfNode(catalogue: Catalogue, node: NodeModel): NodeType {
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
export function findNodes(catalogue: Catalogue, globalIds: readonly string[]): (NodeModel | null)[] {
  if (globalIds.length > MAX_NODE_IDS) {
    throw new BadUserInputError(`At most ${MAX_NODE_IDS} ids at once, not ${globalIds.length}.`, ["ids"]);
  }
  return globalIds.map((id) => findNode(catalogue, id));
}
