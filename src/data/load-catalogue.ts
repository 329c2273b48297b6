import { type Catalogue, createTable, type Table } from "./catalogue.js";
import { CATALOGUE_VERSION_ID } from "./catalogue-version.js";
import type { Database } from "./database.js";
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

/** What every row of the catalogue has, in the database's own types. */
interface StoredRow {
  id: string;
  slug: string;
  version: number;
  updatedAt: Date;
}

/** Reads the catalogue's version alone. */
export async function readCatalogueVersion(database: Database): Promise<number> {
  const row = await database.prisma.catalogVersion.findUniqueOrThrow({
    where: { id: CATALOGUE_VERSION_ID },
    select: { version: true },
  });
  return Number(row.version);
}

/**
 * Reads the whole catalogue at one version, in one transaction that sees one state of the database.
 * Rows that `previous` has at the same version are taken from it, so that whatever is kept by row stays valid.
 */
export async function loadCatalogue(database: Database, previous?: Catalogue): Promise<Catalogue> {
  const { prisma } = database;
  const orderBy = { id: "asc" } as const;
  const queries = [
    prisma.catalogVersion.findUniqueOrThrow({ where: { id: CATALOGUE_VERSION_ID } }),
    prisma.model.findMany({ orderBy }),
    prisma.modelFile.findMany({ orderBy }),
    prisma.quantFormat.findMany({ orderBy }),
    prisma.kvCacheType.findMany({ orderBy }),
    prisma.gpu.findMany({ orderBy }),
    prisma.system.findMany({ orderBy }),
    prisma.runtime.findMany({ orderBy }),
    prisma.scenario.findMany({ orderBy }),
    prisma.measurement.findMany({ orderBy }),
  ] as const;
  // The embedded database has one session, so that a transaction there is alone anyway.
  const [version, models, modelFiles, quantFormats, kvCacheTypes, gpus, systems, runtimes, scenarios, measurements] =
    await (database.kind === "postgres"
      ? prisma.$transaction([...queries], { isolationLevel: "RepeatableRead" })
      : prisma.$transaction([...queries]));

  return Object.freeze({
    version: Number(version.version),
    models: toTable<ModelRow>(models, previous?.models),
    modelFiles: toTable<ModelFileRow>(modelFiles, previous?.modelFiles),
    quantFormats: toTable<QuantFormatRow>(quantFormats, previous?.quantFormats),
    kvCacheTypes: toTable<KvCacheTypeRow>(kvCacheTypes, previous?.kvCacheTypes),
    gpus: toTable<GpuRow>(gpus, previous?.gpus),
    systems: toTable<SystemRow>(systems, previous?.systems),
    runtimes: toTable<RuntimeRow>(runtimes, previous?.runtimes),
    scenarios: toTable<ScenarioRow>(scenarios, previous?.scenarios),
    measurements: toTable<MeasurementRow>(measurements, previous?.measurements),
  });
}

function toTable<Row extends StoredRow>(stored: readonly StoredRow[], previous: Table<Row> | undefined): Table<Row> {
  const rows = stored.map((row) => {
    const known = previous?.byId.get(row.id);
    return known && isSameVersion(known, row) ? known : (toPlainRow(row) as Row);
  });
  return Object.freeze(createTable(Object.freeze(rows)));
}

function isSameVersion(left: StoredRow, right: StoredRow): boolean {
  return left.version === right.version && left.updatedAt.getTime() === right.updatedAt.getTime();
}

/** Big integers as numbers (all are below 2^53), and nothing changeable to any depth. */
function toPlainRow(row: StoredRow): object {
  return Object.freeze(
    Object.fromEntries(
      Object.entries(row).map(([column, value]) => [column, typeof value === "bigint" ? Number(value) : freeze(value)]),
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
