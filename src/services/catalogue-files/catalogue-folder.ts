import { mkdir, readdir, readFile, rename, stat, writeFile } from "node:fs/promises";
import { dirname, extname, join } from "node:path";
import type { EntityName } from "../catalogue/rules/entities.js";
import { toFolder } from "./export-catalogue.js";
import { countProblems, type FileProblem, listProblems } from "./file-problem.js";
import { parseDocument, parseFiles } from "./parse-sections.js";
import { SECTION_FILES, type Sections } from "./section-files.js";

/** A file or folder of the catalogue that cannot be used: everything that is wrong with it. */
export class CatalogueFileError extends Error {
  constructor(problems: readonly FileProblem[]) {
    super([`The file has ${countProblems(problems.length)}:`, ...listProblems(problems)].join("\n"));
    this.name = "CatalogueFileError";
  }
}

/** Files larger than this are no catalogue: ten times ours. */
const MAX_FILE_BYTES = 64 * 2 ** 20;

/** Whether a path means one document; anything else is a folder of files as in `seed/`. */
function isDocument(path: string): boolean {
  return extname(path).toLowerCase() === ".json";
}

/**
 * Reads a document or a folder.
 * @throws CatalogueFileError with everything that is wrong with its form; rows are not looked at
 */
export async function readCatalogueFiles(path: string): Promise<Sections> {
  const problems: FileProblem[] = [];
  const sections = isDocument(path)
    ? parseDocument((await readText(path, problems)) ?? "null", path, problems)
    : parseFiles(await readFolder(path, problems), problems);
  if (problems.length > 0) throw new CatalogueFileError(problems);
  return sections;
}

async function readFolder(folder: string, problems: FileProblem[]): Promise<Map<EntityName, string>> {
  const texts = new Map<EntityName, string>();
  const names = await readdir(folder).catch(() => null);
  if (names === null) {
    problems.push({ file: folder, path: [], message: "is not a folder that can be read" });
    return texts;
  }
  for (const [entity, file] of Object.entries(SECTION_FILES) as [EntityName, string][]) {
    const text = names.includes(file) ? await readText(join(folder, file), problems) : null;
    if (text !== null) texts.set(entity, text);
  }
  if (texts.size === 0 && problems.length === 0) {
    problems.push({ file: folder, path: [], message: "holds no files of the catalogue (gpus.json, models.json ...)" });
  }
  return texts;
}

async function readText(file: string, problems: FileProblem[]): Promise<string | null> {
  try {
    const { size } = await stat(file);
    if (size <= MAX_FILE_BYTES) return await readFile(file, "utf8");
    problems.push({ file, path: [], message: `has more than ${MAX_FILE_BYTES / 2 ** 20} MiB` });
  } catch (error) {
    problems.push({ file, path: [], message: `cannot be read: ${(error as Error).message}` });
  }
  return null;
}

/**
 * Writes a document that was exported: as it is, or as the files of a folder. A file is replaced as a whole, and only
 * when it changes.
 * @returns the files that changed
 */
export async function writeCatalogueFiles(path: string, document: string): Promise<string[]> {
  if (isDocument(path)) return (await replaceFile(path, document)) ? [path] : [];
  const sections = parseDocument(document, path, []);
  const written: string[] = [];
  for (const [name, text] of toFolder(sections)) {
    const file = join(path, name);
    if (await replaceFile(file, text)) written.push(file);
  }
  return written;
}

async function replaceFile(file: string, text: string): Promise<boolean> {
  if ((await readFile(file, "utf8").catch(() => null)) === text) return false;
  await mkdir(dirname(file), { recursive: true });
  const part = `${file}.${process.pid}.part`;
  await writeFile(part, text);
  await rename(part, file);
  return true;
}
