import type { Catalogue } from "../../src/data/catalogue.js";
import { prepareSeed, toCatalogue } from "../../src/services/seeding/prepare-seed.js";
import { readSeedFiles, SEED_FOLDER } from "../../src/services/seeding/read-seed.js";

/** The whole catalogue of the seed, without a database. Each has services, and their results, of its own. */
export async function loadSeedCatalogue(): Promise<Catalogue> {
  const { texts } = await readSeedFiles(SEED_FOLDER);
  return toCatalogue(prepareSeed(texts));
}
