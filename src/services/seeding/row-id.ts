import { createHash } from "node:crypto";
import type { EntityName } from "../catalogue/rules/entities.js";

/** The namespace of the catalogue's ids, chosen at random once. */
const NAMESPACE = Buffer.from("5f2a4c1e9b764d0c8a3e6d21b7f09c54", "hex");
const UUID_BYTES = 16;

/**
 * The id of a seeded row: a name-based UUID (RFC 9562, version 5: SHA-1 over namespace and name) of entity and
 * slug, so that every installation gives the same row the same id.
 */
export function seedRowId(entity: EntityName, slug: string): string {
  const bytes = createHash("sha1").update(NAMESPACE).update(`${entity}/${slug}`).digest().subarray(0, UUID_BYTES);
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x50, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  return bytes.toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
