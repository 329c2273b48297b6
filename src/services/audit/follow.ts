import { setTimeout } from "node:timers/promises";
import type { Database } from "../../data/database.js";
import { describeFailure } from "../../data/database-failure.js";
import type { CatalogueSource } from "../../data/snapshot.js";
import { BadUserInputError } from "../../errors.js";
import type { NodeType } from "../catalogue/global-ids.js";
import type { ChangeOperation } from "../editing/plan.js";
import { whileReachable } from "../while-reachable.js";

/** One change of a row, without what it was. */
export interface FollowedChange {
  id: number;
  entity: NodeType;
  rowId: string;
  slug: string;
  rowVersion: number;
  operation: ChangeOperation;
}

/** What one edit did, or a part of it when it changed very many rows. */
export interface CatalogueUpdate {
  /** Version of the catalogue that the edit made. */
  catalogVersion: number;
  at: Date;
  changes: readonly FollowedChange[];
  /** Id of the last change, whether of interest or not: where to go on. */
  lastId: number;
}

export interface FollowOptions {
  /** Which changes are of interest; updates without any are left out. */
  matches: (change: FollowedChange) => boolean;
  /** Begin behind this version; absent: from now on. */
  sinceVersion?: number | null | undefined;
  /** Begin behind this change; goes before `sinceVersion`. */
  afterChange?: number | null;
  signal: AbortSignal;
}

/** Follows the catalogue. */
export interface FollowService {
  /**
   * Edits as they are saved, on whichever server, in their order and without gaps. Each comes once this server's own
   * catalogue has it. The next is read when it is asked for, so that a slow reader holds nothing in memory.
   * @throws BadUserInputError for a version that cannot be
   * @throws ApiError UNAVAILABLE when the database does not answer at the beginning; later it is waited for
   */
  follow(options: FollowOptions): Promise<AsyncGenerator<CatalogueUpdate, void>>;
}

/** Changes read at once. */
const MAX_CHANGES = 1_000;
/** Reads remembered: all who follow ask for the same one after an edit. */
const MAX_REMEMBERED = 8;
/** Milliseconds until the database is asked again after it did not answer. */
const RETRY_MS = 1_000;

const UNREACHABLE = "The database does not answer, so that the catalogue cannot be followed. Try again later.";

/** Builds the service over a database and the snapshot of this process. */
export function createFollowService(
  { prisma }: Database,
  source: Pick<CatalogueSource, "current" | "onVersion">,
): FollowService {
  const remembered = new Map<string, Promise<Batch>>();

  const read = (afterId: bigint, version: number): Promise<Batch> => {
    const key = `${afterId} ${version}`;
    const known = remembered.get(key);
    if (known !== undefined) return known;
    const batch = readBatch(afterId, version);
    remembered.set(key, batch);
    batch.catch(() => remembered.delete(key));
    const [oldest] = remembered.keys();
    if (remembered.size > MAX_REMEMBERED && oldest !== undefined) remembered.delete(oldest);
    return batch;
  };

  const readBatch = async (afterId: bigint, version: number): Promise<Batch> => {
    const rows = await prisma.catalogChange.findMany({
      where: { id: { gt: afterId }, catalogVersion: { lte: version } },
      orderBy: { id: "asc" },
      take: MAX_CHANGES,
      select: {
        id: true,
        catalogVersion: true,
        entity: true,
        rowId: true,
        slug: true,
        rowVersion: true,
        operation: true,
        createdAt: true,
      },
    });
    const updates: (CatalogueUpdate & { changes: FollowedChange[] })[] = [];
    for (const { id, catalogVersion, createdAt, entity, ...change } of rows) {
      const version = Number(catalogVersion);
      const followed = { ...change, id: Number(id), entity: entity as NodeType };
      const last = updates.at(-1);
      if (last?.catalogVersion !== version) {
        updates.push({ catalogVersion: version, at: createdAt, changes: [followed], lastId: followed.id });
        continue;
      }
      last.changes.push(followed);
      last.lastId = followed.id;
    }
    return { updates, lastId: rows.at(-1)?.id ?? afterId, isFull: rows.length === MAX_CHANGES };
  };

  /** The last change up to a version; looked for from the newest backwards, so that it costs what was missed. */
  const lastIdUpTo = async (version: number): Promise<bigint> => {
    const change = await prisma.catalogChange.findFirst({
      where: { catalogVersion: { lte: version } },
      orderBy: { id: "desc" },
      select: { id: true },
    });
    return change?.id ?? 0n;
  };

  /** What comes behind a change and a version, all of the latter included. */
  async function* updatesBehind(
    start: { id: bigint; version: number },
    { matches, signal }: FollowOptions,
  ): AsyncGenerator<CatalogueUpdate, void> {
    let { id, version } = start;
    while (!signal.aborted) {
      const current = source.current().version;
      if (current <= version) {
        await nextVersion(source, version, signal);
        continue;
      }
      const batch = await read(id, current).catch((error: unknown) => {
        if (describeFailure(error) === null) throw error;
        return null;
      });
      if (batch === null) {
        await setTimeout(RETRY_MS, undefined, { signal }).catch(() => {});
        continue;
      }
      for (const update of batch.updates) {
        const changes = update.changes.filter(matches);
        if (changes.length > 0) yield { ...update, changes };
      }
      id = batch.lastId;
      if (!batch.isFull) version = current;
    }
  }

  return {
    async follow(options) {
      const { sinceVersion, afterChange } = options;
      if (afterChange != null) return updatesBehind({ id: BigInt(afterChange), version: 0 }, options);
      if (sinceVersion != null && sinceVersion < 0) {
        throw new BadUserInputError("`sinceVersion` must be a version of the catalogue, 0 or more.", ["sinceVersion"]);
      }
      const version = sinceVersion ?? source.current().version;
      return updatesBehind({ id: await whileReachable(lastIdUpTo(version), UNREACHABLE), version }, options);
    },
  };
}

interface Batch {
  updates: readonly CatalogueUpdate[];
  lastId: bigint;
  /** There may be more. */
  isFull: boolean;
}

/** Resolves once the catalogue has a version beyond this one, or nobody wants to know any more. */
function nextVersion(
  source: Pick<CatalogueSource, "current" | "onVersion">,
  version: number,
  signal: AbortSignal,
): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      stop();
      signal.removeEventListener("abort", end);
      resolve();
    };
    const stop = source.onVersion((reached) => {
      if (reached > version) end();
    });
    signal.addEventListener("abort", end);
    if (signal.aborted || source.current().version > version) end();
  });
}
