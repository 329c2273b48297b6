import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { PROJECT_FOLDER } from "../../project-folder.js";
import type { EntityName } from "../catalogue/rules/entities.js";
import { SECTION_FILES } from "../catalogue-files/section-files.js";
import { SeedError } from "./seed-error.js";

/** The project's seed. */
export const SEED_FOLDER = join(PROJECT_FOLDER, "seed");

/** Code that stored rows depend on besides the seed itself: what checks them and what computes their columns. */
const CODE_FOLDERS = ["src/services/catalogue/rules", "src/estimator/architecture", "src/estimator/tensors"];
/** Where this code is: among the sources, or in the one file that they are compiled into. */
const THIS_FILE = fileURLToPath(import.meta.url);

/** The seed as it lies in its folder. */
export interface SeedFiles {
  /** Texts by entity; an entity whose file is missing has no rows. */
  texts: ReadonlyMap<EntityName, string>;
  /** Changes with any file, and with the code that rows are computed by. */
  hash: string;
}

/** Reads the seed's files. Throws SeedError when there are none. */
export async function readSeedFiles(folder: string): Promise<SeedFiles> {
  const present = new Set(await listFolder(folder));
  const texts = new Map<EntityName, string>();
  const hash = createHash("sha256");
  for (const [entity, file] of Object.entries(SECTION_FILES) as [EntityName, string][]) {
    if (!present.has(file)) continue;
    const content = await readFile(join(folder, file));
    texts.set(entity, content.toString());
    hash.update(`${file}\0`).update(content).update("\0");
  }
  if (texts.size === 0) {
    throw new SeedError([{ file: folder, path: [], message: "holds no seed files (gpus.json, models.json ...)" }]);
  }
  for (const file of await listCode()) hash.update(await readFile(file)).update("\0");
  return { texts, hash: hash.digest("hex") };
}

async function listFolder(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch {
    throw new SeedError([{ file: folder, path: [], message: "is not a folder that can be read" }]);
  }
}

/** The files of that code; compiled, it cannot be told from the rest. */
async function listCode(): Promise<string[]> {
  if (!THIS_FILE.endsWith(".ts")) return [THIS_FILE];
  const folders = CODE_FOLDERS.map(async (folder) => {
    const files = await readdir(join(PROJECT_FOLDER, folder), { recursive: true });
    const code = files.filter((file) => file.endsWith(".ts") && !/\.(test|d)\.ts$/.test(file));
    return code.sort().map((file) => join(PROJECT_FOLDER, folder, file));
  });
  return (await Promise.all(folders)).flat();
}
