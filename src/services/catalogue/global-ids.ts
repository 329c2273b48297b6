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

/** The schema's word for each type where it is a value. */
export const entityNames = {
  Model: "MODEL",
  ModelFile: "MODEL_FILE",
  QuantFormat: "QUANT_FORMAT",
  KvCacheType: "KV_CACHE_TYPE",
  Gpu: "GPU",
  System: "SYSTEM",
  Runtime: "RUNTIME",
  Scenario: "SCENARIO",
  Measurement: "MEASUREMENT",
} as const satisfies Record<NodeType, string>;

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

/** The opaque id that clients hold for a change. */
export function encodeChangeId(id: number): string {
  return Buffer.from(`CatalogChange:${id}`).toString("base64url");
}

/** The id of a change in decimal; null when the text is no id of one. */
export function decodeChangeId(globalId: string): string | null {
  return /^CatalogChange:(\d+)$/.exec(Buffer.from(globalId, "base64url").toString("utf8"))?.[1] ?? null;
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Whether a text can be a row's own id; the database refuses to compare any other with one. */
export function isRowId(text: string): boolean {
  return UUID.test(text);
}

/** Takes a global id apart; null when the text is none. */
export function decodeGlobalId(globalId: string): NodeReference | null {
  const text = Buffer.from(globalId, "base64url").toString("utf8");
  const [type = "", id = "", ...rest] = text.split(":");
  if (!Object.hasOwn(nodeTables, type) || id === "" || rest.length > 0) return null;
  return { type: type as NodeType, id };
}
