import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import {
  bindMigrationAwareSqlAdapterFactory,
  type SqlMigrationAwareDriverAdapterFactory,
} from "@prisma/driver-adapter-utils";
import type { MigrationList, SchemaEngine, SchemaFilter } from "@prisma/schema-engine-wasm";

/** Every table and enum of the database belongs to the schema. */
export const NO_FILTER: SchemaFilter = { externalTables: [], externalEnums: [] };

/** A line of the engine's log. */
export interface SchemaEngineLog {
  level: string;
  message: string;
}

type WasmExports = Record<string, unknown> & { __wbindgen_start(): void };
type EngineModule = typeof import("@prisma/schema-engine-wasm") & { __wbg_set_wasm(exports: WasmExports): void };

/** Node has WebAssembly; its types come with the browser's, which this project does not use. */
const { WebAssembly } = globalThis as unknown as {
  WebAssembly: {
    instantiate(binary: Uint8Array, imports: Record<string, unknown>): Promise<{ instance: { exports: WasmExports } }>;
  };
};

/** The key under which WebAssembly asks for the functions of the JavaScript half. */
const IMPORT_KEY = "./schema_engine_bg.js";

let loaded: Promise<EngineModule> | undefined;

/**
 * Loads Prisma's schema engine (the program behind `prisma migrate`) as WebAssembly.
 * The package's own entry imports the .wasm as a module, which only bundlers do, so it is instantiated here.
 */
function loadEngineModule(): Promise<EngineModule> {
  loaded ??= (async () => {
    const path = createRequire(import.meta.url).resolve("@prisma/schema-engine-wasm/schema_engine_bg");
    const [engine, binary] = await Promise.all([
      import("@prisma/schema-engine-wasm/schema_engine_bg") as Promise<EngineModule>,
      readFile(path.replace(/\.js$/, ".wasm")),
    ]);
    const { instance } = await WebAssembly.instantiate(binary, { [IMPORT_KEY]: engine });
    engine.__wbg_set_wasm(instance.exports);
    instance.exports.__wbindgen_start();
    return engine;
  })();
  return loaded;
}

/** Starts an engine over a database; call `free()` on it when done. */
export async function startSchemaEngine(
  adapterFactory: SqlMigrationAwareDriverAdapterFactory,
  onLog: (line: SchemaEngineLog) => void = () => {},
): Promise<SchemaEngine> {
  const engine = await loadEngineModule();
  return engine.SchemaEngine.new(
    { datamodels: undefined },
    (line: string) => onLog(parseLog(line)),
    bindMigrationAwareSqlAdapterFactory(adapterFactory),
  );
}

function parseLog(line: string): SchemaEngineLog {
  try {
    const { level, fields } = JSON.parse(line) as { level: string; fields: { message?: string } };
    return { level, message: fields.message ?? "" };
  } catch {
    return { level: "INFO", message: line };
  }
}

/** A migration as it lies in its folder. */
export interface Migration {
  /** The folder's name, "20260101120000_initial". */
  name: string;
  sql: string;
}

/** Migrations in the form that the engine takes. */
export function toMigrationList(baseDir: string, migrations: readonly Migration[]): MigrationList {
  return {
    baseDir,
    lockfile: { path: "migration_lock.toml", content: 'provider = "postgresql"\n' },
    shadowDbInitScript: "",
    migrationDirectories: migrations.map(({ name, sql }) => ({
      path: name,
      migrationFile: { path: "migration.sql", content: { tag: "ok", value: sql } },
    })),
  };
}
