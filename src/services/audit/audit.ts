import type { Database } from "../../data/database.js";
import type { CatalogChange, Prisma } from "../../data/prisma/client.js";
import { BadUserInputError } from "../../errors.js";
import { decodeGlobalId, isRowId, type NodeType } from "../catalogue/global-ids.js";
import { requireSearch } from "../catalogue/list.js";
import { groupBy } from "../catalogue/relations.js";
import {
  cursorOf,
  type Edge,
  type Order,
  type PageArguments,
  type PageInfo,
  readPage,
} from "../connections/connection.js";
import type { Position } from "../connections/cursor.js";
import { whileReachable } from "../while-reachable.js";
import { createBatch } from "./batch.js";
import type { ChangeModel } from "./changes.js";

/** Bounds, both included; an absent one does not limit. */
interface Bounds<Value> {
  gte?: Value | null | undefined;
  lte?: Value | null | undefined;
}

/** Which changes; conditions are combined with AND. */
export interface ChangeFilter {
  search?: string | null | undefined;
  type?: readonly NodeType[] | null | undefined;
  /** Global id of a row. */
  row?: string | null | undefined;
  actor?: readonly string[] | null | undefined;
  requestId?: readonly string[] | null | undefined;
  operation?: readonly ChangeModel["operation"][] | null | undefined;
  at?: Bounds<Date> | null | undefined;
  catalogVersion?: Bounds<number> | null | undefined;
}

/** A page of changes. */
export interface ChangeConnection {
  edges: readonly Edge<ChangeModel>[];
  nodes: readonly ChangeModel[];
  pageInfo: PageInfo;
  /** Changes on all pages; a statement of its own, so that it is asked for only when it is wanted. */
  countAll: () => Promise<number>;
}

/** Reads the audit trail. */
export interface AuditService {
  /**
   * Changes, newest first.
   * @throws BadUserInputError for arguments that make no sense
   * @throws ApiError UNAVAILABLE when the database does not answer
   */
  list(filter: ChangeFilter, page: PageArguments): Promise<ChangeConnection>;
  /** The changes of one row, newest first; `rowId` is the row's own id. */
  listOfRow(rowId: string, page: PageArguments): Promise<ChangeConnection>;
  /** The change of an id; null when there is none. */
  find(id: string): Promise<ChangeModel | null>;
}

/** Newest first: behind a cursor are smaller ids. */
const order: Order<ChangeModel> = { list: "catalogChanges", keys: [], idOf: ({ id }) => String(id) };

/** What clients are told while the database does not answer. */
const UNREACHABLE = "The database does not answer; the history is not in memory. Try again later.";

/** Builds the audit service over a database. */
export function createAuditService({ prisma }: Database): AuditService {
  const page = async (where: Prisma.CatalogChangeWhereInput, args: PageArguments): Promise<ChangeConnection> => {
    const {
      size: { count, fromEnd },
      ...positions
    } = readPage(order, args);
    const after = readId(positions.after, "after");
    const before = readId(positions.before, "before");
    const bounds = { id: { ...(after === null ? {} : { lt: after }), ...(before === null ? {} : { gt: before }) } };
    const exists = async (id: Prisma.BigIntFilter) =>
      (await prisma.catalogChange.findFirst({ where: { AND: [where, { id }] }, select: { id: true } })) !== null;

    // One more than asked for tells whether there are more.
    const rows = await prisma.catalogChange.findMany({
      where: { AND: [where, bounds] },
      orderBy: { id: fromEnd ? "asc" : "desc" },
      take: count + 1,
    });
    const isCut = rows.length > count;
    const kept = rows.slice(0, count).map(toChangeModel);
    const edges = (fromEnd ? kept.reverse() : kept).map((node) => ({ cursor: cursorOf(node, order), node }));
    const isBehind = isCut && !fromEnd ? true : before !== null && (await exists({ lte: before }));
    const isInFront = isCut && fromEnd ? true : after !== null && (await exists({ gte: after }));
    return {
      edges,
      nodes: edges.map(({ node }) => node),
      pageInfo: {
        hasNextPage: isBehind,
        hasPreviousPage: isInFront,
        startCursor: edges[0]?.cursor ?? null,
        endCursor: edges.at(-1)?.cursor ?? null,
      },
      countAll: () => whileReachable(prisma.catalogChange.count({ where }), UNREACHABLE),
    };
  };

  /** The newest changes of each of several rows, one more than asked for; one statement finds them, one reads them. */
  const newestOfRows = (count: number) =>
    createBatch<string, CatalogChange[]>(async (rowIds) => {
      const found = await prisma.$queryRaw<{ id: bigint }[]>`
        SELECT newest."id" FROM jsonb_array_elements_text(${JSON.stringify(rowIds)}::jsonb) AS asked("rowId")
        CROSS JOIN LATERAL (
          SELECT "id" FROM "CatalogChange" WHERE "rowId" = asked."rowId"::uuid ORDER BY "id" DESC LIMIT ${count + 1}
        ) AS newest`;
      const ids = found.map(({ id }) => id);
      const rows = await prisma.catalogChange.findMany({ where: { id: { in: ids } }, orderBy: { id: "desc" } });
      return groupBy(rows, ({ rowId }) => rowId);
    });
  const countsOfRows = createBatch<string, number>(async (rowIds) => {
    const counts = await prisma.catalogChange.groupBy({
      by: ["rowId"],
      where: { rowId: { in: [...rowIds] } },
      _count: true,
    });
    return new Map(counts.map(({ rowId, _count }) => [rowId, _count]));
  });
  const batches = new Map<number, ReturnType<typeof newestOfRows>>();

  /** The first page of a row's changes, read together with those of the other rows of a list. */
  const firstPage = async (rowId: string, count: number): Promise<ChangeConnection> => {
    const newest = batches.get(count) ?? newestOfRows(count);
    batches.set(count, newest);
    const rows = (await newest(rowId)) ?? [];
    const edges = rows
      .slice(0, count)
      .map(toChangeModel)
      .map((node) => ({ cursor: cursorOf(node, order), node }));
    return {
      edges,
      nodes: edges.map(({ node }) => node),
      pageInfo: {
        hasNextPage: rows.length > count,
        hasPreviousPage: false,
        startCursor: edges[0]?.cursor ?? null,
        endCursor: edges.at(-1)?.cursor ?? null,
      },
      countAll: async () => (await whileReachable(countsOfRows(rowId), UNREACHABLE)) ?? 0,
    };
  };

  return {
    list: async (filter, args) => whileReachable(page(compileFilter(filter), args), UNREACHABLE),
    async listOfRow(rowId, args) {
      const { size, after, before } = readPage(order, args);
      const isFirst = after === null && before === null && !size.fromEnd;
      return whileReachable(isFirst ? firstPage(rowId, size.count) : page({ rowId }, args), UNREACHABLE);
    },
    async find(id) {
      if (!ID.test(id)) return null;
      const row = await whileReachable(prisma.catalogChange.findUnique({ where: { id: BigInt(id) } }), UNREACHABLE);
      return row === null ? null : toChangeModel(row);
    },
  };
}

/** Ids as cursors and clients have them; fewer digits than would overflow. */
const ID = /^[1-9]\d{0,17}$/;

function readId(position: Position | null, name: string): bigint | null {
  if (position === null) return null;
  if (ID.test(position.id)) return BigInt(position.id);
  throw new BadUserInputError(`\`${name}\` is not a cursor of this API.`, [name]);
}

function compileFilter(filter: ChangeFilter): Prisma.CatalogChangeWhereInput {
  const { search, type, row, actor, requestId, operation, at, catalogVersion } = filter;
  const conditions: Prisma.CatalogChangeWhereInput[] = [];
  if (search != null) conditions.push(...wordsOf(search).map(contains));
  // No text of the database has this character, and it takes none to look for.
  if (search?.includes("\0")) conditions.push({ id: { in: [] } });
  if (type != null) conditions.push({ entity: { in: [...type] } });
  if (row != null) conditions.push({ rowId: { in: rowIdsOf(row) } });
  if (actor != null) conditions.push({ actorName: { in: withoutNul(actor) } });
  if (requestId != null) conditions.push({ requestId: { in: withoutNul(requestId) } });
  if (operation != null) conditions.push({ operation: { in: [...operation] } });
  if (at != null) conditions.push({ createdAt: boundsOf(at) });
  if (catalogVersion != null) conditions.push({ catalogVersion: boundsOf(catalogVersion) });
  return { AND: conditions };
}

/** No text of the database has this character, and it takes none to look for. */
function withoutNul(texts: readonly string[]): string[] {
  return texts.filter((text) => !text.includes("\0"));
}

function boundsOf<Value>({ gte, lte }: Bounds<Value>): { gte?: Value; lte?: Value } {
  return { ...(gte == null ? {} : { gte }), ...(lte == null ? {} : { lte }) };
}

/** Words of a search, each to be found somewhere. */
function wordsOf(search: string): string[] {
  return requireSearch(search)
    .replaceAll("\0", " ")
    .split(/\s+/)
    .filter((word) => word !== "");
}

function contains(word: string): Prisma.CatalogChangeWhereInput {
  // Prisma leaves the pattern's own characters as they are.
  const condition = { contains: word.replace(/[\\%_]/g, "\\$&"), mode: "insensitive" } as const;
  return { OR: [{ slug: condition }, { actorName: condition }, { comment: condition }, { requestId: condition }] };
}

/** The row's own id, or nothing when the text is no id of a row. */
function rowIdsOf(globalId: string): string[] {
  const id = decodeGlobalId(globalId)?.id;
  return id !== undefined && isRowId(id) ? [id] : [];
}

function toChangeModel(row: CatalogChange): ChangeModel {
  const { id, catalogVersion, revertedChangeId, entity, before, after, ...rest } = row;
  return {
    ...rest,
    id: Number(id),
    catalogVersion: Number(catalogVersion),
    entity: entity as NodeType,
    before: before as ChangeModel["before"],
    after: after as ChangeModel["after"],
    revertedChangeId: revertedChangeId === null ? null : Number(revertedChangeId),
  };
}
