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

/** All rows of one entity at one catalogue version, archived ones included, in the order of their ids. */
export interface Table<Row extends { id: string; slug: string }> {
  readonly rows: readonly Row[];
  readonly byId: ReadonlyMap<string, Row>;
  readonly bySlug: ReadonlyMap<string, Row>;
}

/** The whole catalogue at one version, immutable. A query works on one of these from start to end. */
export interface Catalogue {
  readonly version: number;
  readonly models: Table<ModelRow>;
  readonly modelFiles: Table<ModelFileRow>;
  readonly quantFormats: Table<QuantFormatRow>;
  readonly kvCacheTypes: Table<KvCacheTypeRow>;
  readonly gpus: Table<GpuRow>;
  readonly systems: Table<SystemRow>;
  readonly runtimes: Table<RuntimeRow>;
  readonly scenarios: Table<ScenarioRow>;
  readonly measurements: Table<MeasurementRow>;
}

/** Builds a table from rows. */
export function createTable<Row extends { id: string; slug: string }>(rows: readonly Row[]): Table<Row> {
  return {
    rows,
    byId: new Map(rows.map((row) => [row.id, row])),
    bySlug: new Map(rows.map((row) => [row.slug, row])),
  };
}

/** Tables of the catalogue. */
export type TableName = Exclude<keyof Catalogue, "version">;

/** What an edit does to one table. */
export interface TableAmendment {
  /** Rows that are new or replace the ones of their ids. */
  rows: readonly { id: string; slug: string }[];
  removedIds: readonly string[];
}

/** The catalogue after an edit; tables and rows that the edit does not touch are the same objects. */
export function amendCatalogue(
  catalogue: Catalogue,
  version: number,
  amendments: ReadonlyMap<TableName, TableAmendment>,
): Catalogue {
  const tables = [...amendments].map(([name, amendment]) => [name, amendTable(catalogue[name], amendment)]);
  return Object.freeze({ ...catalogue, ...Object.fromEntries(tables), version });
}

function amendTable(
  table: Table<{ id: string; slug: string }>,
  { rows, removedIds }: TableAmendment,
): Table<{ id: string; slug: string }> {
  const byId = new Map(table.byId);
  for (const id of removedIds) byId.delete(id);
  for (const row of rows) byId.set(row.id, row);
  const ordered = [...byId.values()].sort((left, right) => (left.id < right.id ? -1 : 1));
  return Object.freeze(createTable(Object.freeze(ordered)));
}
