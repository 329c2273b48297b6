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
