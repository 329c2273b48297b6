import type { Database } from "../../../src/data/database.js";

/** The runtimes that every edit of `edit-catalogue.ts` writes. */
export const EDITED_SLUGS = ["row-a", "row-b", "row-c"] as const;

/** What edits left in a database, at one moment. */
export interface Traces {
  version: number;
  /** In the order in which they were made. */
  changes: {
    catalogVersion: number;
    slug: string;
    rowId: string;
    rowVersion: number;
    requestId: string;
    name: string;
  }[];
  rows: { id: string; version: number; name: string }[];
}

/** Reads them in one statement, so that edits of others that are under way do not come in between. */
export async function readTraces(database: Database): Promise<Traces> {
  const [traces] = await database.query<{ content: Traces }>(
    `SELECT json_build_object(
       'version', (SELECT "version" FROM "CatalogVersion"),
       'changes', (SELECT COALESCE(json_agg(json_build_object(
           'catalogVersion', "catalogVersion", 'slug', "slug", 'rowId', "rowId", 'rowVersion', "rowVersion",
           'requestId', "requestId", 'name', "after"->>'name') ORDER BY "id"), '[]') FROM "CatalogChange"),
       'rows', (SELECT COALESCE(json_agg(json_build_object('id', "id", 'version', "version", 'name', "name")), '[]')
                FROM "Runtime" WHERE "slug" LIKE 'row-%')
     ) AS content`,
  );
  if (traces === undefined) throw new Error("a SELECT without FROM gave no row");
  return traces.content;
}
