import { CATALOGUE_VERSION_ID } from "../../data/catalogue-version.js";
import type { Database } from "../../data/database.js";
import { prepareSeed, type ScenarioCheck } from "./prepare-seed.js";
import { readSeedFiles, SEED_FOLDER, type SeedFiles } from "./read-seed.js";
import { type StoredSeed, storeSeed } from "./store-seed.js";

export interface LoadSeedOptions {
  folder?: string;
  /** The folder's files, where they are being read already. */
  files?: Promise<SeedFiles>;
  onProgress?: (message: string) => void;
  /** Checks the scenarios' settings and templates against the catalogue that the seed makes. */
  checkScenario?: ScenarioCheck;
}

const NOTHING_TO_DO: StoredSeed = { inserted: 0, updated: 0, unchanged: 0, kept: [], notInSeed: 0 };

/**
 * Brings a migrated database's catalogue up to the seed. When the seed was loaded before and neither its files
 * nor the code that computes rows changed, nothing is checked or written. Throws SeedError, having stored nothing.
 */
export async function loadSeed(database: Database, options: LoadSeedOptions = {}): Promise<StoredSeed> {
  const { folder = SEED_FOLDER, onProgress = () => {}, checkScenario } = options;
  const { texts, hash } = await (options.files ?? readSeedFiles(folder));
  const [current] = await database.query<{ seedHash: string | null }>(
    `SELECT "seedHash" FROM "CatalogVersion" WHERE "id" = $1`,
    [CATALOGUE_VERSION_ID],
  );
  if (current?.seedHash === hash) return NOTHING_TO_DO;

  onProgress("Checking the catalogue's seed.");
  const seed = prepareSeed(texts, checkScenario);
  const rows = [...seed.values()].reduce((sum, entity) => sum + entity.length, 0);
  onProgress(`Loading ${rows.toLocaleString("en-US")} rows into the catalogue.`);
  const stored = await storeSeed(database, seed, hash);
  if (!stored) return NOTHING_TO_DO;
  onProgress(describeStored(stored));
  return stored;
}

function describeStored({ inserted, updated, unchanged, kept, notInSeed }: StoredSeed): string {
  const parts = [`${inserted} added`, `${updated} updated`, `${unchanged} unchanged`];
  if (kept.length > 0) {
    parts.push(`${kept.length} kept as edited: ${kept.map(({ entity, slug }) => `${entity}/${slug}`).join(", ")}`);
  }
  if (notInSeed > 0) parts.push(`${notInSeed} no longer in the seed and kept`);
  return `Rows of the seed: ${parts.join(", ")}.`;
}
