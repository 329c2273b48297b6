import type { Catalogue } from "../data/catalogue.js";
import { type entityNames, nodeTables } from "../services/catalogue/global-ids.js";
import { exportedCatalogue } from "../services/catalogue-files/exported-catalogue.js";
import { DOCUMENT_VERSION_FIELD } from "../services/catalogue-files/format-rows.js";
import type { ImportOutcome } from "../services/catalogue-files/import-catalogue.js";
import { typeOfEntity } from "./catalog-change.js";

/** Differences that one payload has. */
const MAX_DIFFS = 1_000;

/** The catalogue, or some of its entities, as a JSON value. */
export async function exportSections(
  catalogue: Catalogue,
  entities: readonly (typeof entityNames)[keyof typeof entityNames][] | null,
): Promise<Record<string, unknown>> {
  const { text } = await exportedCatalogue(catalogue);
  const document = JSON.parse(text) as Record<string, unknown>;
  if (entities === null) return document;
  const wanted = new Set<string>(entities.map((entity) => nodeTables[typeOfEntity(entity)]));
  return Object.fromEntries(
    Object.entries(document).filter(([name]) => name === DOCUMENT_VERSION_FIELD || wanted.has(name)),
  );
}

/** What `importCatalog` answers. */
export function toImportPayload({ catalogue, counts, diffs, problems }: ImportOutcome) {
  return { counts, diffs: diffs.slice(0, MAX_DIFFS), userErrors: problems, catalogVersion: catalogue.version };
}
