import type { AddressInfo } from "node:net";
import { type AdminToken, ensureAdminToken } from "./admin-token.js";
import { type Config, ConfigurationError, loadConfig } from "./config.js";
import type { Catalogue } from "./data/catalogue.js";
import { type Database, openDatabase } from "./data/database.js";
import { DatabaseError } from "./data/database-error.js";
import { migrate } from "./data/migrate.js";
import { type CatalogueEvent, type CatalogueSource, createCatalogueSource } from "./data/snapshot.js";
import { createMetrics, type Metrics } from "./http/metrics.js";
import { createHttpService, type HttpService } from "./http.js";
import { createLog, type Log } from "./log.js";
import { logOperations } from "./log-operations.js";
import { openProtection } from "./protection.js";
import { createApi, readSchema } from "./server.js";
import { createSignInProvider, type SignInProvider, type SignInSettings } from "./services/access/sign-in-provider.js";
import { createBackend } from "./services/backend.js";
import { compareAhead } from "./services/evidence/compare-ahead.js";
import { prepareAhead } from "./services/runnable/prepare-ahead.js";
import { loadSeed } from "./services/seeding/load-seed.js";
import { readSeedFiles, SEED_FOLDER } from "./services/seeding/read-seed.js";
import { SeedError } from "./services/seeding/seed-error.js";
import { servicesFor } from "./services/services.js";
import { waitForDatabase } from "./wait-for-database.js";

/** The server was asked to end, and did. */
const EXIT_ENDED = 0;
/** It could not start, or could not end in order. */
const EXIT_FAILED = 1;
/** Its settings cannot be used. */
const EXIT_CONFIGURATION = 2;

/** Longer than any start, and the longest that a timer can wait. */
const FOREVER_MS = 2 ** 31 - 1;

/** What has been opened so far, to be closed in the opposite order. */
type Closers = (() => Promise<unknown>)[];

/** An address that cannot be listened on, in a sentence. */
class ListenError extends Error {}

await run();

async function run(): Promise<void> {
  let config: Config;
  try {
    config = loadConfig();
  } catch (error) {
    exit(EXIT_CONFIGURATION, error);
  }
  const log = createLog(config.logLevel);
  const closers: Closers = [];
  // Whenever a start waits for nothing but WebAssembly, Node takes the process for finished and lets all background
  // compilation end before it goes on, a quarter of a second in all. Something that is always pending prevents that.
  const pending = setInterval(() => {}, FOREVER_MS);
  try {
    await start(config, log, closers);
    clearInterval(pending);
  } catch (error) {
    await closeAll(closers).catch((closing: unknown) => log.debug("closing what was opened", closing));
    exit(error instanceof ConfigurationError ? EXIT_CONFIGURATION : EXIT_FAILED, error);
  }
  endOnSignals(log, closers);
}

async function start(config: Config, log: Log, closers: Closers): Promise<void> {
  const metrics = config.metrics === "off" ? undefined : createMetrics();
  const { database, catalogue, port } = await openCatalogue(config, log, closers, metrics);
  metrics?.watchCatalogue(catalogue);
  const adminToken = await findAdminToken(config);
  const signIn = config.signIn === null ? null : signInThrough(config.signIn, log);
  const backend = createBackend({
    database,
    catalogue,
    adminToken: adminToken?.token ?? null,
    signIn,
    hub: config.hub && { settings: config.hub },
  });
  const { corsOrigins, trustedProxies, limits, redisUrl } = config;
  const { protection, persistedQueries, close } = await openProtection(limits, redisUrl, readSchema(), log);
  closers.push(close);
  const api = createApi({ log, persistedQueries });
  await api.start();
  closers.push(() => api.stop());
  const isHttps = config.publicUrl?.startsWith("https:") ?? false;
  const { maxConnections } = limits;
  const service = createHttpService({
    api,
    catalogue,
    backend,
    corsOrigins,
    trustedProxies,
    protection,
    maxConnections,
    isHttps,
    log,
    observers: [logOperations(log), ...(metrics === undefined ? [] : [metrics.countOperation])],
    ...(metrics !== undefined && { metrics }),
    metricsFrom: typeof config.metrics === "string" ? null : config.metrics,
  });
  await listen(service, { ...config, port });
  closers.push(() => service.drain());
  printWelcome(config, service, adminToken);
  workAhead(catalogue.current(), log, closers);
}

/** Compares the measurements with estimates, then sizes all models, while nobody has asked for it yet. */
function workAhead(catalogue: Catalogue, log: Log, closers: Closers): void {
  const ending = new AbortController();
  closers.push(async () => ending.abort());
  compareAhead(servicesFor(catalogue).evidence, catalogue.measurements.rows, ending.signal)
    .then(() => prepareAhead(catalogue, ending.signal))
    .catch((error: unknown) => log.error("what is worked out ahead of requests failed", error));
}

/** The database, migrated and seeded, and its catalogue in memory. */
async function openCatalogue(
  config: Config,
  log: Log,
  closers: Closers,
  metrics: Metrics | undefined,
): Promise<OpenCatalogue> {
  const onProgress = (message: string) => print(message);
  // Read while the database opens; what is wrong with them is told when they are needed.
  const files = readSeedFiles(SEED_FOLDER);
  files.catch(() => {});
  const open = () =>
    openDatabase(config.database, {
      onProgress,
      onConnectionError: (error) => log.warn("a database connection broke and is replaced", error),
      onStatement: (sql) => {
        metrics?.countStatement();
        log.debug(sql);
      },
    });
  const { opened: database, port } = await waitPatiently(config, log, open);
  closers.push(() => database.close());
  await migrate(database, { onProgress });
  await loadSeed(database, {
    files,
    onProgress,
    checkScenario: (catalogue) => {
      const { scenarios } = servicesFor(catalogue);
      return (scenario) => scenarios.check(scenario);
    },
  });
  const catalogue = await createCatalogueSource(database, { onEvent: (event) => logCatalogueEvent(log, event) });
  closers.push(() => catalogue.close());
  return { database, catalogue, port };
}

/** Opens the database, waiting for its server; whoever ends the process meanwhile ends it at once. */
async function waitPatiently<Opened>(config: Config, log: Log, open: () => Promise<Opened>) {
  const ending = new AbortController();
  const end = () => ending.abort();
  const signals = ["SIGTERM", "SIGINT"] as const;
  for (const signal of signals) process.once(signal, end);
  try {
    const { host, port, databaseWaitMs: waitMs } = config;
    return await waitForDatabase({ open, waitMs, host, port, onWait: log.warn, signal: ending.signal });
  } catch (error) {
    if (ending.signal.aborted) exit(EXIT_ENDED);
    throw error instanceof DatabaseError ? error : explainListenError(error as Error, config.host, config.port);
  } finally {
    for (const signal of signals) process.off(signal, end);
  }
}

interface OpenCatalogue {
  /** To listen on: the one that the wait for the database had. */
  port: number;
  database: Database;
  catalogue: CatalogueSource;
}

/**
 * The token of the first administrator: the one that was set; without a server of its own the database's folder has
 * one; else null.
 */
async function findAdminToken({ adminToken, database, dataDir }: Config): Promise<AdminToken | null> {
  if (adminToken !== null) return { token: adminToken, isNew: false, file: null };
  return database.kind === "embedded" ? ensureAdminToken(dataDir) : null;
}

function signInThrough(settings: SignInSettings, log: Log): SignInProvider {
  const onFailure = (error: unknown) => log.warn(`the keys of ${settings.issuer} cannot be fetched`, error);
  return createSignInProvider(settings, { onFailure });
}

function logCatalogueEvent(log: Log, event: CatalogueEvent): void {
  switch (event.kind) {
    case "loaded":
      log.info(`catalogue version ${event.version}: ${event.rows} rows in ${event.milliseconds.toFixed(0)} ms`);
      break;
    case "stale":
      log.warn("the database does not answer; reads go on from the catalogue in memory", event.error);
      break;
    case "recovered":
      log.info(`the database answers again; catalogue version ${event.version}`);
      break;
  }
}

function listen({ server }: HttpService, { host, port }: Config): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => reject(explainListenError(error, host, port)));
    server.listen(port, host, () => resolve());
  });
}

function explainListenError(error: NodeJS.ErrnoException, host: string, port: number): Error {
  switch (error.code) {
    case "EADDRINUSE":
      return new ListenError(
        `Port ${port} on ${host} is in use by another program. Stop that one, or choose another with PORT.`,
      );
    case "EACCES":
      return new ListenError(`This user may not listen on port ${port}. Choose one above 1023 with PORT.`);
    case "EADDRNOTAVAIL":
    case "ENOTFOUND":
      return new ListenError(`This machine has no address ${host}. Choose another with HOST; 0.0.0.0 is all of them.`);
    default:
      return error;
  }
}

function printWelcome(config: Config, { server }: HttpService, adminToken: AdminToken | null): void {
  const base = config.publicUrl ?? addressOf(config.host, (server.address() as AddressInfo).port);
  const lines = [
    "",
    `API         ${base}/graphql`,
    `Playground  ${base}/graphql (in a browser)`,
    `Health      ${base}/healthz, ready: ${base}/readyz`,
  ];
  if (adminToken === null) lines.push("Nobody can edit: set ADMIN_TOKEN to have an administrator.");
  else if (adminToken.isNew) lines.push(`Admin token ${adminToken.token} (kept in ${adminToken.file})`);
  else if (adminToken.file !== null) lines.push(`Admin token in ${adminToken.file}`);
  print(lines.join("\n"));
}

/** An address to open: hosts that stand for all addresses are reached as localhost. */
function addressOf(host: string, port: number): string {
  const name = ["0.0.0.0", "::", "127.0.0.1", "::1"].includes(host) ? "localhost" : host;
  return `http://${name.includes(":") ? `[${name}]` : name}:${port}`;
}

function endOnSignals(log: Log, closers: Closers): void {
  let ending = false;
  const end = (signal: NodeJS.Signals) => {
    // Whoever asks twice does not want to wait.
    if (ending) exit(EXIT_FAILED);
    ending = true;
    log.info(`${signal}: letting requests under way end`);
    closeAll(closers).then(
      () => exit(EXIT_ENDED),
      (error: unknown) => exit(EXIT_FAILED, error),
    );
  };
  process.on("SIGTERM", end);
  process.on("SIGINT", end);
}

async function closeAll(closers: Closers): Promise<void> {
  for (const close of closers.splice(0).reverse()) await close();
}

/** Errors that say everything in their message need no stack. */
function describe(error: unknown): string {
  const isForPeople =
    error instanceof ConfigurationError ||
    error instanceof DatabaseError ||
    error instanceof SeedError ||
    error instanceof ListenError;
  if (isForPeople) return error.message;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

function exit(code: number, error?: unknown): never {
  if (error !== undefined) process.stderr.write(`${describe(error)}\n`);
  process.exit(code);
}
