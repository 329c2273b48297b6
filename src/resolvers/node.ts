import { typeOfNode } from "../services/catalogue/nodes.js";
import type { NodeResolvers } from "./types.generated.js";

export const Node: NodeResolvers = {
  __resolveType: (node, { catalogue }) => typeOfNode(catalogue, node),
};
