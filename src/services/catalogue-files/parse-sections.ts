import { ENTITIES, type EntityName } from "../catalogue/rules/entities.js";
import type { FileProblem } from "./file-problem.js";
import { DOCUMENT_VERSION, DOCUMENT_VERSION_FIELD } from "./format-rows.js";
import { SECTION_FILES, type Sections } from "./section-files.js";

/** Reads the texts of a folder's files. What is wrong goes to `problems`; the section of a file that is wrong is absent. */
export function parseFiles(texts: ReadonlyMap<EntityName, string>, problems: FileProblem[]): Sections {
  const sections = new Map<EntityName, readonly unknown[]>();
  for (const { entity } of ENTITIES) {
    const text = texts.get(entity);
    const file = SECTION_FILES[entity];
    const value = text === undefined ? undefined : parseJson(text, file, problems);
    if (value === undefined) continue;
    if (Array.isArray(value)) sections.set(entity, value);
    else problems.push({ file, path: [], message: "must be a JSON array of rows" });
  }
  return sections;
}

/** Reads the text of a document with a section for each entity. */
export function parseDocument(text: string, file: string, problems: FileProblem[]): Sections {
  const value = parseJson(text, file, problems);
  return value === undefined ? new Map() : readDocument(value, file, problems);
}

/**
 * The sections of a document.
 * @param file what messages call the document as a whole
 */
export function readDocument(document: unknown, file: string, problems: FileProblem[]): Sections {
  const sections = new Map<EntityName, readonly unknown[]>();
  if (typeof document !== "object" || document === null || Array.isArray(document)) {
    problems.push({ file, path: [], message: `must be an object with a section for each entity: ${SECTION_NAMES}` });
    return sections;
  }
  for (const [name, value] of Object.entries(document)) {
    if (name === DOCUMENT_VERSION_FIELD) {
      if (value !== DOCUMENT_VERSION) {
        problems.push({ file, path: [name], message: `must be ${DOCUMENT_VERSION}, the form that is known here` });
      }
      continue;
    }
    const rules = ENTITIES.find(({ entity }) => entity === name);
    if (rules === undefined) {
      problems.push({ file, path: [shorten(name)], message: `is not a section; the sections are ${SECTION_NAMES}` });
    } else if (!Array.isArray(value)) {
      problems.push({ file, path: [name], message: "must be a list of rows" });
    } else {
      sections.set(rules.entity, value);
    }
  }
  return sections;
}

const SECTION_NAMES = ENTITIES.map(({ entity }) => entity).join(", ");

/** Most of a wrong name that a message repeats. */
const MAX_NAME_LENGTH = 80;

function shorten(name: string): string {
  return name.length > MAX_NAME_LENGTH ? `${name.slice(0, MAX_NAME_LENGTH)}...` : name;
}

function parseJson(text: string, file: string, problems: FileProblem[]): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    problems.push({ file, path: [], message: `is not JSON: ${(error as Error).message}` });
    return undefined;
  }
}
