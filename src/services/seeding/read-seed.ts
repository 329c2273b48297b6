import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { EntityName } from "../catalogue/rules/entities.js";
import { SeedError } from "./seed-error.js";

/** The project's seed; the same relative place from the sources and from the compiled build. */
export const SEED_FOLDER = fileURLToPath(new URL("../../../seed", import.meta.url));

/** The file of each entity, a JSON array of rows. */
export const SEED_FILES: Readonly<Record<EntityName, string>> = {
  models: "models.json",
  modelFiles: "model-files.json",
  quantFormats: "quant-formats.json",
  kvCacheTypes: "kv-cache-types.json",
  gpus: "gpus.json",
  systems: "systems.json",
  runtimes: "runtimes.json",
  scenarios: "scenarios.json",
  measurements: "measurements.json",
};

/** Code that stored rows depend on besides the seed itself: what checks them and what computes their columns. */
const CODE_FOLDERS = ["../catalogue/rules", "../../estimator/architecture", "../../estimator/tensors"].map((path) =>
  fileURLToPath(new URL(path, import.meta.url)),
);

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
  for (const [entity, file] of Object.entries(SEED_FILES) as [EntityName, string][]) {
    if (!present.has(file)) continue;
    const content = await readFile(join(folder, file));
    texts.set(entity, content.toString());
    hash.update(`${file}\0`).update(content).update("\0");
  }
  if (texts.size === 0) {
    throw new SeedError([{ file: folder, path: [], message: "holds no seed files (gpus.json, models.json ...)" }]);
  }
  for (const codeFolder of CODE_FOLDERS) await hashCode(codeFolder, hash);
  return { texts, hash: hash.digest("hex") };
}

async function listFolder(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch {
    throw new SeedError([{ file: folder, path: [], message: "is not a folder that can be read" }]);
  }
}

async function hashCode(folder: string, hash: ReturnType<typeof createHash>): Promise<void> {
  const files = await readdir(folder, { recursive: true });
  const code = files.filter((file) => /\.[jt]s$/.test(file) && !/\.(test|d)\.[jt]s$/.test(file)).sort();
  const contents = await Promise.all(code.map((file) => readFile(join(folder, file))));
  for (const content of contents) hash.update(content).update("\0");
}
