import type { Table } from "../../data/catalogue.js";
import type { MeasurementRow, ModelFileRow, ScenarioRow, SystemRow } from "../../data/rows.js";

/**
 * The row that another row refers to.
 * @throws Error when it is missing, which the database's foreign keys rule out
 */
export function requireRow<Row extends { id: string; slug: string }>(table: Table<Row>, id: string): Row {
  const row = table.byId.get(id);
  if (row === undefined) throw new Error(`the catalogue refers to a missing row ${id}`);
  return row;
}

/** The row that another row may refer to. */
export function findRow<Row extends { id: string; slug: string }>(table: Table<Row>, id: string | null): Row | null {
  return id === null ? null : (table.byId.get(id) ?? null);
}

/** The rows of several slugs, those without one left out. */
export function findRowsBySlug<Row extends { id: string; slug: string }>(
  table: Table<Row>,
  slugs: readonly string[],
): Row[] {
  return slugs.flatMap((slug) => table.bySlug.get(slug) ?? []);
}

/** Rows by the id that each refers to, indexed once per table. */
function indexBy<Row extends { id: string; slug: string }>(keyOf: (row: Row) => string | null) {
  const indexes = new WeakMap<Table<Row>, ReadonlyMap<string, readonly Row[]>>();
  return (table: Table<Row>, key: string): readonly Row[] => {
    let index = indexes.get(table);
    if (index === undefined) {
      index = groupBy(table.rows, keyOf);
      indexes.set(table, index);
    }
    return index.get(key) ?? [];
  };
}

/** Rows by a key, in order; those without one are left out. */
export function groupBy<Row>(rows: readonly Row[], keyOf: (row: Row) => string | null): Map<string, Row[]> {
  const groups = new Map<string, Row[]>();
  for (const row of rows) {
    const key = keyOf(row);
    if (key === null) continue;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [row]);
    else group.push(row);
  }
  return groups;
}

export const filesOfModel = indexBy<ModelFileRow>((file) => file.modelId);
export const filesOfQuantFormat = indexBy<ModelFileRow>((file) => file.quantFormatId);
export const scenariosOfModel = indexBy<ScenarioRow>((scenario) => scenario.modelId);
export const scenariosOfQuantFormat = indexBy<ScenarioRow>((scenario) => scenario.quantFormatId);
export const systemsOfGpu = indexBy<SystemRow>((system) => system.gpuId);
export const measurementsOfModel = indexBy<MeasurementRow>((measurement) => measurement.modelId);
export const measurementsOfQuantFormat = indexBy<MeasurementRow>((measurement) => measurement.quantFormatId);
export const measurementsOfGpu = indexBy<MeasurementRow>((measurement) => measurement.gpuId);
export const measurementsOfRuntime = indexBy<MeasurementRow>((measurement) => measurement.runtimeId);

/** The rows that the engine of a slug can use. */
export function usableIn<Row extends { id: string; slug: string; runtimes: readonly string[] }>(
  table: Table<Row>,
  runtimeSlug: string,
): Row[] {
  return table.rows.filter((row) => row.runtimes.includes(runtimeSlug));
}
