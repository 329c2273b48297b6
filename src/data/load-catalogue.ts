import { type Catalogue, createTable, type Table } from "./catalogue.js";
import { CATALOGUE_VERSION_ID } from "./catalogue-version.js";
import type { Database } from "./database.js";
import type { Prisma } from "./prisma/client.js";
import type {
  GpuRow,
  KvCacheTypeRow,
  MeasurementRow,
  ModelFileRow,
  ModelRow,
  QuantFormatRow,
  RuntimeRow,
  ScenarioRow,
  SystemRow,
} from "./rows.js";

/** The table of each part of the catalogue. */
export const TABLES = {
  models: "Model",
  modelFiles: "ModelFile",
  quantFormats: "QuantFormat",
  kvCacheTypes: "KvCacheType",
  gpus: "Gpu",
  systems: "System",
  runtimes: "Runtime",
  scenarios: "Scenario",
  measurements: "Measurement",
} as const satisfies Record<Exclude<keyof Catalogue, "version">, string>;

type PartName = keyof typeof TABLES;

/**
 * The whole catalogue, one result row for the version and each table. A statement sees one state of the database, and
 * rows as JSON are the same from every driver: whole numbers as numbers (all are below 2^53), times as text.
 */
const CATALOGUE_STATEMENT = [
  `SELECT 'version' AS name, to_json("version") AS content FROM "CatalogVersion" WHERE "id" = ${CATALOGUE_VERSION_ID}`,
  ...Object.entries(TABLES).map(
    ([part, table]) => `SELECT '${part}', coalesce(json_agg(t ORDER BY t."id"), '[]') FROM "${table}" t`,
  ),
].join(" UNION ALL ");

/** The columns that are times; every table has them. */
const TIME_COLUMNS: ReadonlySet<string> = new Set(["createdAt", "updatedAt", "archivedAt"]);

/** What every row of the catalogue has, as JSON. */
interface StoredRow {
  id: string;
  slug: string;
  version: number;
  updatedAt: string;
}

interface CatalogueRow {
  id: string;
  slug: string;
  version: number;
  updatedAt: Date;
}

/** Reads the catalogue's version alone. */
export async function readCatalogueVersion(database: Database): Promise<number> {
  const [row] = await database.query<{ version: number }>(`SELECT "version" FROM "CatalogVersion" WHERE "id" = $1`, [
    CATALOGUE_VERSION_ID,
  ]);
  if (!row) throw new Error(`${database.description} holds no catalogue.`);
  return Number(row.version);
}

/**
 * Reads the whole catalogue at one version.
 * Rows that `previous` has at the same version are taken from it, so that whatever is kept by row stays valid.
 */
export async function loadCatalogue(database: Database, previous?: Catalogue): Promise<Catalogue> {
  const catalogue = assemble(await database.query<CataloguePart>(CATALOGUE_STATEMENT), previous);
  if (catalogue === null) throw new Error(`${database.description} holds no catalogue.`);
  return catalogue;
}

/** The same within a transaction that keeps everybody else from editing; see `lockCatalogue`. */
export async function loadLockedCatalogue(tx: Prisma.TransactionClient, previous?: Catalogue): Promise<Catalogue> {
  const catalogue = assemble(await tx.$queryRawUnsafe<CataloguePart[]>(CATALOGUE_STATEMENT), previous);
  if (catalogue === null) throw new Error("The database holds no catalogue.");
  return catalogue;
}

interface CataloguePart {
  name: string;
  content: unknown;
}

/** The catalogue out of its parts; null when there is no version among them. */
function assemble(parts: readonly CataloguePart[], previous: Catalogue | undefined): Catalogue | null {
  const contents = new Map(parts.map(({ name, content }) => [name, content]));
  const version = contents.get("version");
  if (typeof version !== "number") return null;
  const tableOf = <Row extends CatalogueRow>(part: PartName): Table<Row> =>
    toTable<Row>(contents.get(part) as StoredRow[], previous?.[part] as Table<Row> | undefined);

  return Object.freeze({
    version,
    models: tableOf<ModelRow>("models"),
    modelFiles: tableOf<ModelFileRow>("modelFiles"),
    quantFormats: tableOf<QuantFormatRow>("quantFormats"),
    kvCacheTypes: tableOf<KvCacheTypeRow>("kvCacheTypes"),
    gpus: tableOf<GpuRow>("gpus"),
    systems: tableOf<SystemRow>("systems"),
    runtimes: tableOf<RuntimeRow>("runtimes"),
    scenarios: tableOf<ScenarioRow>("scenarios"),
    measurements: tableOf<MeasurementRow>("measurements"),
  });
}

function toTable<Row extends CatalogueRow>(stored: readonly StoredRow[], previous: Table<Row> | undefined): Table<Row> {
  const rows = stored.map((row) => {
    const known = previous?.byId.get(row.id);
    return known && isSameVersion(known, row) ? known : (toFrozenRow(row) as Row);
  });
  return Object.freeze(createTable(Object.freeze(rows)));
}

function isSameVersion(known: CatalogueRow, stored: StoredRow): boolean {
  return known.version === stored.version && known.updatedAt.getTime() === Date.parse(stored.updatedAt);
}

/** Times as dates, and nothing changeable to any depth. */
export function toFrozenRow(row: object): object {
  return Object.freeze(
    Object.fromEntries(
      Object.entries(row).map(([column, value]) => [
        column,
        freeze(TIME_COLUMNS.has(column) && value !== null ? new Date(value) : value),
      ]),
    ),
  );
}

function freeze(value: unknown): unknown {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    for (const part of Object.values(value)) freeze(part);
    Object.freeze(value);
  }
  return value;
}
