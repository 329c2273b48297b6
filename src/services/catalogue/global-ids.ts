import type { Catalogue } from "../../data/catalogue.js";

/** Types of the schema that implement Node, and the table their rows are in. */
export const nodeTables = {
  Model: "models",
  ModelFile: "modelFiles",
  QuantFormat: "quantFormats",
  KvCacheType: "kvCacheTypes",
  Gpu: "gpus",
  System: "systems",
  Runtime: "runtimes",
  Scenario: "scenarios",
  Measurement: "measurements",
} as const satisfies Record<string, Exclude<keyof Catalogue, "version">>;

export type NodeType = keyof typeof nodeTables;

/** A global id taken apart. */
export interface NodeReference {
  type: NodeType;
  /** Id of the row. */
  id: string;
}

/** The opaque id that clients hold for a row. */
export function encodeGlobalId(type: NodeType, id: string): string {
  return Buffer.from(`${type}:${id}`).toString("base64url");
}

/** Takes a global id apart; null when the text is none. */
export function decodeGlobalId(globalId: string): NodeReference | null {
  const text = Buffer.from(globalId, "base64url").toString("utf8");
  const [type = "", id = "", ...rest] = text.split(":");
  if (!Object.hasOwn(nodeTables, type) || id === "" || rest.length > 0) return null;
  return { type: type as NodeType, id };
}
