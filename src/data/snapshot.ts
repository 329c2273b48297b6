import type { Catalogue } from "./catalogue.js";
import { CATALOGUE_CHANNEL } from "./catalogue-version.js";
import type { Database } from "./database.js";
import { loadCatalogue, readCatalogueVersion } from "./load-catalogue.js";

/** The catalogue as this server knows it. */
export interface CatalogueSource {
  /** The newest version loaded. A query calls it once and works on what it got. */
  current(): Catalogue;
  /**
   * Loads what is newer; afterwards `current()` shows every change committed before the call.
   * Rejects, leaving the snapshot as it is, when the database does not answer.
   */
  refresh(): Promise<void>;
  /** Takes over a catalogue that an edit of this process has just committed; an older one than the current is ignored. */
  publish(catalogue: Catalogue): void;
  /**
   * Resolves when `current()` has a version or a newer one, asking the database at once; false when it has not after
   * `timeoutMs`.
   */
  reach(version: number, timeoutMs: number): Promise<boolean>;
  /** Has a function called with every newer version as soon as `current()` has it; what it returns ends that. */
  onVersion(listener: (version: number) => void): () => void;
  /** The database did not answer when last asked: `current()` may be behind. */
  readonly stale: boolean;
  /** Milliseconds since `current()` was last known to be the newest version. */
  ageMs(): number;
  close(): Promise<void>;
}

export type CatalogueEvent =
  | { kind: "loaded"; version: number; rows: number; milliseconds: number }
  | { kind: "stale"; error: unknown }
  | { kind: "recovered"; version: number };

export interface CatalogueSourceOptions {
  onEvent?: (event: CatalogueEvent) => void;
  /**
   * How often a server's version is asked for besides listening, in case an announcement got lost; default 15 s.
   * The embedded database is in this process and needs no asking.
   */
  pollMs?: number;
}

const DEFAULT_POLL_MS = 15_000;
/** After a failed attempt it is asked for sooner. */
const RETRY_MS = 1_000;

/** Loads the catalogue and keeps it current until closed. The database must be migrated. */
export async function createCatalogueSource(
  database: Database,
  options: CatalogueSourceOptions = {},
): Promise<CatalogueSource> {
  const { onEvent = () => {}, pollMs = DEFAULT_POLL_MS } = options;
  let catalogue: Catalogue | undefined;
  let confirmedAt = performance.now();
  let stale = false;
  let closed = false;
  let timer: NodeJS.Timeout | undefined;
  let loading: Promise<void> | undefined;
  let queued: Promise<void> | undefined;
  /** Catalogues published so far: one that was being read meanwhile may be older. */
  let published = 0;
  const waiting = new Set<() => void>();
  const listeners = new Set<(version: number) => void>();

  const show = (next: Catalogue) => {
    catalogue = next;
    for (const check of waiting) check();
    for (const listener of [...listeners]) listener(next.version);
  };

  const load = async () => {
    const startedAt = performance.now();
    const publishedBefore = published;
    try {
      const isNewest = catalogue !== undefined && (await readCatalogueVersion(database)) === catalogue.version;
      if (!isNewest) {
        const loaded = await loadCatalogue(database, catalogue);
        const isOvertaken =
          published > publishedBefore && catalogue !== undefined && loaded.version <= catalogue.version;
        if (!isOvertaken) show(loaded);
        onEvent({
          kind: "loaded",
          version: loaded.version,
          rows: countRows(loaded),
          milliseconds: performance.now() - startedAt,
        });
      }
      confirmedAt = startedAt;
      if (stale && catalogue) onEvent({ kind: "recovered", version: catalogue.version });
      stale = false;
    } catch (error) {
      if (!stale && !closed) onEvent({ kind: "stale", error });
      stale = true;
      throw error;
    } finally {
      loading = undefined;
    }
  };

  /** A load under way may have begun before the caller's change was committed: one more follows it, shared by all who wait. */
  const refresh = (): Promise<void> => {
    if (!loading) {
      loading = load();
      return loading;
    }
    queued ??= loading
      .catch(() => {})
      .then(() => {
        queued = undefined;
        return refresh();
      });
    return queued;
  };

  const check = () => {
    if (closed) return;
    refresh().then(
      () => schedule(pollMs),
      () => schedule(Math.min(RETRY_MS, pollMs)),
    );
  };
  const schedule = (delayMs: number) => {
    clearTimeout(timer);
    if (closed || (database.kind === "embedded" && !stale)) return;
    timer = setTimeout(check, delayMs);
    timer.unref();
  };

  // Listening begins before loading, so that nothing falls between the two.
  const listener = await database.listen(CATALOGUE_CHANNEL, {
    onNotify: check,
    onReconnect: check,
    onDisconnect: check,
  });
  try {
    await refresh();
  } catch (error) {
    closed = true;
    await listener.close();
    throw error;
  }
  schedule(pollMs);

  return {
    current() {
      if (!catalogue) throw new Error("The catalogue is not loaded.");
      return catalogue;
    },
    refresh,
    publish(next) {
      if (catalogue !== undefined && next.version <= catalogue.version) return;
      published++;
      confirmedAt = performance.now();
      show(next);
    },
    async reach(version, timeoutMs) {
      const isReached = () => catalogue !== undefined && catalogue.version >= version;
      if (isReached()) return true;
      // One that fails is told by the time-out; the next announcement or poll may still come in time.
      refresh().catch(() => {});
      return new Promise<boolean>((resolve) => {
        const end = () => {
          clearTimeout(timeout);
          waiting.delete(check);
          resolve(isReached());
        };
        const check = () => {
          if (isReached()) end();
        };
        const timeout = setTimeout(end, timeoutMs);
        waiting.add(check);
      });
    },
    onVersion(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    get stale() {
      return stale;
    },
    // Nobody but this process changes an embedded database.
    ageMs: () => (database.kind === "embedded" && !stale ? 0 : performance.now() - confirmedAt),
    async close() {
      closed = true;
      clearTimeout(timer);
      await listener.close();
      await (queued ?? loading)?.catch(() => {});
    },
  };
}

function countRows(catalogue: Catalogue): number {
  return Object.values(catalogue).reduce<number>(
    (sum, part) => sum + (typeof part === "number" ? 0 : part.rows.length),
    0,
  );
}
