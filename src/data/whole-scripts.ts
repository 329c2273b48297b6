import {
  DriverAdapterError,
  type SqlDriverAdapter,
  type SqlMigrationAwareDriverAdapterFactory,
} from "@prisma/driver-adapter-utils";

/** The fields of an error that PostgreSQL reports, as both drivers name them. */
interface ServerError {
  code?: string;
  severity?: string;
  message: string;
  detail?: string;
  column?: string;
  hint?: string;
}

/**
 * Has an adapter run a migration's script as `prisma migrate deploy` does: as one simple query, which
 * PostgreSQL runs in one transaction. The adapters' own ways differ from it (one splits at every semicolon,
 * the other does not wait for the end).
 */
export function runScriptsWhole(
  adapter: SqlDriverAdapter,
  run: (script: string) => Promise<unknown>,
): SqlDriverAdapter {
  const executeScript = async (script: string) => {
    try {
      await run(script);
    } catch (error) {
      const { code, severity, message, detail, column, hint } = error as ServerError;
      throw new DriverAdapterError({
        kind: "postgres",
        code: code ?? "N/A",
        severity: severity ?? "ERROR",
        message,
        detail,
        column,
        hint,
      });
    }
  };
  return Object.assign(Object.create(adapter) as SqlDriverAdapter, { executeScript });
}

/** A factory for the schema engine that hands out one adapter, and another for a scratch database. */
export function createAdapterFactory(
  adapterName: string,
  connect: () => Promise<SqlDriverAdapter>,
  connectToShadowDb: () => Promise<SqlDriverAdapter>,
): SqlMigrationAwareDriverAdapterFactory {
  return { provider: "postgres", adapterName, connect, connectToShadowDb };
}
