import { randomUUID } from "node:crypto";
import { CATALOGUE_VERSION_ID } from "../../data/catalogue-version.js";
import { type Database, type DatabaseTarget, openDatabase } from "../../data/database.js";
import { DatabaseError } from "../../data/database-error.js";
import { migrate } from "../../data/migrate.js";
import { createCatalogueSource } from "../../data/snapshot.js";
import { entityNames } from "../catalogue/global-ids.js";
import { createEditingService } from "../editing/editing.js";
import type { ImportReport } from "./describe-report.js";
import { exportDocument } from "./export-catalogue.js";
import { DOCUMENT_VERSION, DOCUMENT_VERSION_FIELD } from "./format-rows.js";
import { importDocument } from "./import-catalogue.js";
import type { Sections } from "./section-files.js";

/** How a file is brought into the catalogue. */
export interface FileImport {
  prune: boolean;
  dryRun: boolean;
  expectedCatalogVersion: number | null;
  comment: string | null;
}

/** A catalogue to be exported and imported into: in a database that is opened for it, or behind a server's API. */
export interface CatalogueAccess {
  exportDocument(): Promise<string>;
  importSections(sections: Sections, options: FileImport): Promise<ImportReport>;
  /** SHA-256 of the seed that was loaded last; null when that is not known. */
  seedHash(): Promise<string | null>;
  close(): Promise<void>;
}

/** A server that does not do what it was asked for. The message is for people. */
export class ServerError extends Error {}

/**
 * Opens the catalogue in a database, which is migrated first.
 * @throws DatabaseError when it cannot be opened; for one that a server has open it says how to ask that server
 */
export async function openCatalogue(
  target: DatabaseTarget,
  onProgress: (message: string) => void,
): Promise<CatalogueAccess> {
  const database = await openOrExplain(target, onProgress);
  try {
    await migrate(database, { onProgress });
    const source = await createCatalogueSource(database);
    const editing = createEditingService(database, source);
    return {
      exportDocument: () => exportDocument(source.current()),
      async importSections(sections, options) {
        const { catalogue, counts, diffs, problems } = await importDocument(
          toValue(sections),
          { editing, catalogue: source.current() },
          { ...options, actor: COMMAND_LINE, requestId: randomUUID() },
        );
        return {
          counts,
          diffs: diffs.map(({ form, slug, operation, fields }) => ({
            entity: entityNames[form.type],
            slug,
            operation,
            fields,
          })),
          userErrors: problems,
          catalogVersion: catalogue.version,
        };
      },
      async seedHash() {
        const [row] = await database.query<{ seedHash: string | null }>(
          `SELECT "seedHash" FROM "CatalogVersion" WHERE "id" = $1`,
          [CATALOGUE_VERSION_ID],
        );
        return row?.seedHash ?? null;
      },
      async close() {
        await source.close();
        await database.close();
      },
    };
  } catch (error) {
    await database.close();
    throw error;
  }
}

/** Who the history says it was: whoever can open the database may do anything. */
const COMMAND_LINE = { name: "command line", role: "ADMIN", tokenId: null, isAnonymous: false } as const;

async function openOrExplain(target: DatabaseTarget, onProgress: (message: string) => void): Promise<Database> {
  try {
    return await openDatabase(target, { onProgress });
  } catch (error) {
    if (!(error instanceof DatabaseError) || error.problem !== "FOLDER_IN_USE") throw error;
    const hint = "If that is a server, ask it instead: --url http://localhost:4000 (and for imports --token).";
    throw new DatabaseError(error.problem, `${error.message}\n${hint}`, { cause: error });
  }
}

/** A document as a JSON value. */
function toValue(sections: Sections): Record<string, unknown> {
  return { [DOCUMENT_VERSION_FIELD]: DOCUMENT_VERSION, ...Object.fromEntries(sections) };
}

const IMPORT = `mutation ($catalog: JSON!, $prune: Boolean!, $dryRun: Boolean!, $expected: SafeInt, $comment: String) {
  importCatalog(catalog: $catalog, prune: $prune, dryRun: $dryRun, expectedCatalogVersion: $expected, comment: $comment) {
    counts { added changed archived restored unchanged notInFile }
    diffs { entity slug operation fields { field before after } }
    userErrors { code field message }
    catalogVersion
  }
}`;

/**
 * The catalogue behind a server's API.
 * @param url where it listens, with or without the API's path
 * @param token of an administrator; null for exports, which are public
 */
export function reachCatalogue(url: string, token: string | null): CatalogueAccess {
  const base = url.replace(/\/+$/, "").replace(/\/graphql$/, "");
  return {
    async exportDocument() {
      const response = await ask(`${base}/catalog.json`);
      if (!response.ok) throw new ServerError(`${base} answers with ${response.status} instead of a catalogue.`);
      return response.text();
    },
    async importSections(sections, { expectedCatalogVersion, ...options }) {
      const variables = { ...options, expected: expectedCatalogVersion, catalog: toValue(sections) };
      const response = await ask(`${base}/graphql`, {
        method: "POST",
        headers: {
          "content-type": "application/json",
          ...(token === null ? {} : { authorization: `Bearer ${token}` }),
        },
        body: JSON.stringify({ query: IMPORT, variables }),
      });
      const { data, errors } = (await response.json().catch(() => ({}))) as Answer;
      if (data?.importCatalog) return data.importCatalog;
      throw new ServerError(errors?.[0]?.message ?? `${base} answers with ${response.status} instead of a report.`);
    },
    seedHash: async () => null,
    close: async () => {},
  };
}

interface Answer {
  data?: { importCatalog?: ImportReport } | null;
  errors?: readonly { message: string }[];
}

async function ask(url: string, init?: RequestInit): Promise<Response> {
  try {
    return await fetch(url, init);
  } catch (error) {
    const cause = (error as { cause?: Error }).cause;
    throw new ServerError(`${url} cannot be reached: ${cause?.message || (error as Error).message}.`);
  }
}
