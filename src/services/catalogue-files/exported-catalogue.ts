import { createHash } from "node:crypto";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import type { Catalogue } from "../../data/catalogue.js";
import { exportDocument } from "./export-catalogue.js";

/** The document of one version of the catalogue, ready to be sent. */
export interface ExportedCatalogue {
  text: string;
  content: Buffer;
  gzipped: Buffer;
  /** The same for the same content, whatever the version and the server. */
  etag: string;
}

const compress = promisify(gzip);

const exported = new WeakMap<Catalogue, Promise<ExportedCatalogue>>();

/** The document of a version of the catalogue, made when first asked for and kept as long as that version. */
export function exportedCatalogue(catalogue: Catalogue): Promise<ExportedCatalogue> {
  let result = exported.get(catalogue);
  if (result === undefined) {
    result = exportNow(catalogue);
    exported.set(catalogue, result);
  }
  return result;
}

async function exportNow(catalogue: Catalogue): Promise<ExportedCatalogue> {
  const text = await exportDocument(catalogue);
  const content = Buffer.from(text);
  const hash = createHash("sha256").update(content).digest("base64url").slice(0, 22);
  // Weak: the same for the document as it is and compressed.
  return { text, content, gzipped: await compress(content), etag: `W/"${hash}"` };
}
