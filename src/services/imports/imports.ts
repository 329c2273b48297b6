import type { EditingService, EditOptions, EditOutcome } from "../editing/editing.js";
import { EDIT_FORMS } from "../editing/forms.js";
import { refuse } from "../editing/plan.js";
import type { ArgumentPath } from "../editing/user-error.js";
import { type GgufHeaderInput, readGgufUpload } from "./gguf/read-upload.js";
import { type Hub, type RepositoryInput, readRepository } from "./hub/read-repository.js";
import { ImportError } from "./import-error.js";
import { type ImportFindings, type ImportOverrides, planImport } from "./plan-import.js";
import { readConfig } from "./read-config.js";
import { isRepositoryName } from "./repository-name.js";
import type { SourceFacts } from "./source-facts.js";

/** Where an import's facts come from; exactly one key is set. */
export interface ImportSource {
  /** A config.json: an object, or its text. */
  config?: unknown;
  huggingFace?: RepositoryInput | null | undefined;
  ggufHeader?: GgufHeaderInput | null | undefined;
}

/** An import as the API has it. */
export interface ImportInput extends ImportOverrides {
  source: ImportSource;
}

export interface ImportOutcome {
  outcome: EditOutcome;
  /** Null when the source could not be read. */
  findings: ImportFindings | null;
}

/** Takes models over from what their publishers have. */
export interface ImportService {
  /**
   * Reads a source and saves the model, new or changed, with its files: all in one transaction, or nothing. What is
   * wrong with the source is a problem of the outcome.
   * @throws ApiError UNAVAILABLE when the database does not answer
   */
  importModel(input: ImportInput, options: EditOptions): Promise<ImportOutcome>;
}

/**
 * Builds the service over the one that edits.
 * @param hub the hub that repositories are read from; null where none may be contacted
 */
export function createImportService(editing: EditingService, hub: Hub | null): ImportService {
  return {
    async importModel({ source, ...overrides }, options) {
      let findings: ImportFindings | null = null;
      try {
        const facts = await readSource(source, overrides, hub);
        const outcome = await editing.edit((catalogue) => {
          const planned = planImport(facts, overrides, catalogue);
          findings = planned.findings;
          return planned.plan;
        }, options);
        return { outcome, findings };
      } catch (error) {
        if (!(error instanceof ImportError)) throw error;
        const problem = error.toUserError();
        return { outcome: await editing.edit(() => refuse(EDIT_FORMS.Model, null, [problem]), options), findings };
      }
    },
  };
}

/** Argument that the source is in. */
const SOURCE_PATH = ["input", "source"];

/**
 * What a source says.
 * @throws ImportError
 */
export async function readSource(
  { config, huggingFace, ggufHeader }: ImportSource,
  { huggingFaceRepo }: ImportOverrides,
  hub: Hub | null,
): Promise<SourceFacts> {
  if (ggufHeader != null) return readGgufUpload(ggufHeader, [...SOURCE_PATH, "ggufHeader"]);
  if (huggingFace == null) return readConfigSource(config, huggingFaceRepo ?? null, [...SOURCE_PATH, "config"]);
  const path = [...SOURCE_PATH, "huggingFace"];
  if (hub !== null) return readRepository(huggingFace, hub, path);
  const message = "This server reads no repositories (HUGGINGFACE_URL is off). Paste the model's config.json instead.";
  throw new ImportError("UNREACHABLE", path, message);
}

/** @param repo repository that the config is said to be from */
function readConfigSource(config: unknown, repo: string | null, path: ArgumentPath): SourceFacts {
  const { architecture, checkpoint, notes } = readConfig(config, path);
  const description = repo === null ? "config.json" : `config.json of ${repo}`;
  const address = repo !== null && isRepositoryName(repo) ? { url: `https://huggingface.co/${repo}` } : {};
  return {
    description,
    repo: null,
    baseRepo: null,
    commit: null,
    architecture,
    unreadable: null,
    isWhole: true,
    name: null,
    licence: null,
    releasedOn: null,
    publishedParameters: null,
    checkpoint,
    files: [],
    notes,
    sources: [{ title: description, ...address }],
  };
}
