import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { BadUserInputError } from "../../errors.js";
import {
  type Connection,
  MAX_PAGE_SIZE,
  type Order,
  type PageArguments,
  paginate,
  type SortKey,
} from "./connection.js";
import { encodeCursor } from "./cursor.js";

interface Item {
  id: string;
  size: number | null;
  name: string;
}

const item = fc.record({
  id: fc.uuid(),
  // Few values, so that many items share a position but for their ids.
  size: fc.option(fc.integer({ min: -2, max: 2 })),
  name: fc.constantFrom("a", "b", "é", "𝔸", "B"),
});
const items = fc.uniqueArray<Item, string>(item, { selector: ({ id }) => id, maxLength: 60 });

const direction = fc.constantFrom("ASC" as const, "DESC" as const);
const sizeKey = direction.map((to): SortKey<Item> => ({ field: "SIZE", direction: to, read: (it) => it.size }));
const nameKey = direction.map((to): SortKey<Item> => ({ field: "NAME", direction: to, read: (it) => it.name }));
const keys = fc.oneof(
  fc.constant<SortKey<Item>[]>([]),
  fc.tuple(sizeKey),
  fc.tuple(nameKey),
  fc.tuple(sizeKey, nameKey),
  fc.tuple(nameKey, sizeKey),
);
const order = keys.map((list): Order<Item> => ({ list: "items", keys: list, idOf: (it) => it.id }));
const pageSize = fc.integer({ min: 1, max: 7 });

/** Everything in order, computed the plain way. */
function sorted(all: readonly Item[], { keys: list }: Order<Item>): Item[] {
  return all.toSorted((a, b) => {
    for (const key of list) {
      const [x, y] = [key.read(a), key.read(b)];
      if (x === y) continue;
      if (x === null) return 1;
      if (y === null) return -1;
      return (x < y ? -1 : 1) * (key.direction === "ASC" ? 1 : -1);
    }
    return a.id < b.id ? -1 : 1;
  });
}

/** All pages one after the other. */
function walk(next: (cursor: string | null) => Connection<Item>, forwards: boolean): Connection<Item>[] {
  const pages: Connection<Item>[] = [];
  let cursor: string | null = null;
  for (;;) {
    const page = next(cursor);
    pages.push(page);
    const { hasNextPage, hasPreviousPage, endCursor, startCursor } = page.pageInfo;
    if (!(forwards ? hasNextPage : hasPreviousPage)) return pages;
    cursor = forwards ? endCursor : startCursor;
    if (cursor === null || pages.length > 100) throw new Error("the pages do not end");
  }
}

describe("paginate", () => {
  it("gives every item once and in order, forwards, whatever the sort and page size", () => {
    fc.assert(
      fc.property(items, order, pageSize, (all, by, first) => {
        const pages = walk((after) => paginate(all, by, { first, after }), true);
        expect(pages.flatMap((page) => page.nodes)).toEqual(sorted(all, by));
      }),
    );
  });

  it("gives every item once and in order, backwards, whatever the sort and page size", () => {
    fc.assert(
      fc.property(items, order, pageSize, (all, by, last) => {
        const pages = walk((before) => paginate(all, by, { last, before }), false);
        expect(pages.toReversed().flatMap((page) => page.nodes)).toEqual(sorted(all, by));
      }),
    );
  });

  it("tells of items on both sides of a page, and of all of them in totalCount", () => {
    fc.assert(
      fc.property(items, order, pageSize, (all, by, first) => {
        const pages = walk((after) => paginate(all, by, { first, after }), true);
        pages.forEach((page, index) => {
          expect(page.pageInfo.hasPreviousPage).toBe(index > 0);
          expect(page.pageInfo.hasNextPage).toBe(index < pages.length - 1);
          expect(page.totalCount).toBe(all.length);
        });
      }),
    );
  });

  it("goes on from a cursor whose item is gone, and under another filter", () => {
    fc.assert(
      fc.property(items, order, fc.nat(), (all, by, pick) => {
        const page = paginate(all, by, { first: MAX_PAGE_SIZE });
        const edge = page.edges[pick % Math.max(page.edges.length, 1)];
        if (edge === undefined) return;
        const rest = all.filter((it) => it.id !== edge.node.id && it.name !== "b");
        const expected = sorted(all, by);
        const behind = expected.slice(expected.indexOf(edge.node) + 1).filter((it) => rest.includes(it));
        expect(paginate(rest, by, { first: MAX_PAGE_SIZE, after: edge.cursor }).nodes).toEqual(behind);
      }),
    );
  });

  const plain: Order<Item> = { list: "items", keys: [], idOf: (it) => it.id };
  const hundredFifty = Array.from({ length: 150 }, (_, index) => ({
    id: String(index).padStart(3, "0"),
    size: null,
    name: "",
  }));
  const ids = (page: PageArguments) => paginate(hundredFifty, plain, page).nodes.map((node) => node.id);

  it("gives 20 items from the front when nothing is said", () => {
    expect(ids({})).toEqual(hundredFifty.slice(0, 20).map((node) => node.id));
  });

  it("gives the 20 items in front of a cursor when only that is said", () => {
    const { endCursor } = paginate(hundredFifty, plain, { first: 31 }).pageInfo;
    expect(ids({ before: endCursor })).toEqual(hundredFifty.slice(10, 30).map((node) => node.id));
  });

  it("gives what lies between two cursors", () => {
    const { edges } = paginate(hundredFifty, plain, { first: 10 });
    expect(ids({ after: edges[2]?.cursor, before: edges[6]?.cursor })).toEqual(["003", "004", "005"]);
    expect(ids({ after: edges[6]?.cursor, before: edges[2]?.cursor })).toEqual([]);
    expect(ids({ last: 2, after: edges[2]?.cursor, before: edges[6]?.cursor })).toEqual(["004", "005"]);
  });

  it("gives an empty page that still counts for first: 0", () => {
    const page = paginate(hundredFifty, plain, { first: 0 });
    expect(page).toMatchObject({
      edges: [],
      totalCount: 150,
      pageInfo: { startCursor: null, endCursor: null, hasNextPage: true },
    });
  });

  it.each<[PageArguments, string]>([
    [{ first: -1 }, "first"],
    [{ first: 101 }, "first"],
    [{ first: 2_147_483_647 }, "first"],
    [{ last: -5 }, "last"],
    [{ last: 101 }, "last"],
    [{ first: 1, last: 1 }, "last"],
  ])("refuses %o, naming %s", (page, argument) => {
    expect(() => ids(page)).toThrowError(expect.objectContaining({ argument: [argument] }));
  });

  it.each([
    "",
    "garbage",
    "💥",
    "bnVsbA",
    Buffer.from('["items"]').toString("base64url"),
    Buffer.from('{"__proto__":1}').toString("base64url"),
    Buffer.from('["items",{"a":1},"x"]').toString("base64url"),
    Buffer.from('["items",1e999,"x"]').toString("base64url"),
  ])("refuses the cursor %j as none of this API", (after) => {
    expect(() => ids({ after })).toThrowError(/not a cursor/);
    expect(() => ids({ before: after })).toThrowError(BadUserInputError);
  });

  it("refuses cursors of another sort, another direction, another list, or with too few values", () => {
    const bySize: Order<Item> = {
      ...plain,
      keys: [{ field: "SIZE", direction: "ASC", read: (it) => it.size }],
    };
    const other = { ...plain, list: "others" };
    const cursor = paginate(hundredFifty, plain, { first: 1 }).pageInfo.endCursor;
    expect(() => paginate(hundredFifty, bySize, { after: cursor })).toThrowError(/another list or sort/);
    expect(() => paginate(hundredFifty, other, { after: cursor })).toThrowError(/another list or sort/);
    const forged = encodeCursor("items,SIZE:ASC", { values: [], id: "1" });
    expect(() => paginate(hundredFifty, bySize, { after: forged })).toThrowError(/another list or sort/);
  });
});
