import { isDeepStrictEqual } from "node:util";
import { describe, expect, it } from "vitest";
import { loadCatalogue } from "../../src/data/load-catalogue.js";
import type { GpuRow } from "../../src/data/rows.js";
import { createAuditService } from "../../src/services/audit/audit.js";
import { encodeGlobalId } from "../../src/services/catalogue/global-ids.js";
import { createEditingService, type EditOutcome } from "../../src/services/editing/editing.js";
import { EDIT_FORMS } from "../../src/services/editing/forms.js";
import {
  type Planner,
  planArchive,
  planCreate,
  planDelete,
  planRestore,
  planUpdate,
  planUpsert,
} from "../../src/services/editing/plan.js";
import { planRevert } from "../../src/services/editing/revert.js";
import { DATABASE_KINDS } from "../setup/databases.js";
import { startEditors } from "./setup/start-editor.js";

/** Of each kind of database: `npm run test:hard` asks for ten thousand in all. */
const EDITS = Number(process.env.RANDOM_EDITS ?? 300);
const RANDOM_SEEDS = { embedded: 20_260_801, postgres: 20_260_802 } as const;
const form = EDIT_FORMS.Gpu;
const actor = { name: "somebody", role: "EDITOR", tokenId: null, isAnonymous: false } as const;

/** The fields that change here. */
interface Facts {
  slug: string;
  name: string;
  notes: string | null;
  tdpWatts: number | null;
}
/** A row as it should be. */
interface Expected {
  facts: Facts;
  version: number;
  archived: boolean;
}
/** A change as it should be recorded. */
interface Recorded {
  id: number;
  rowId: string;
  operation: string;
  before: Expected | null;
  after: Expected | null;
}

/** Numbers of a fixed sequence (mulberry32), so that a failure can be repeated. */
function createRandom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let value = Math.imul(state ^ (state >>> 15), 1 | state);
    value = (value + Math.imul(value ^ (value >>> 7), 61 | value)) ^ value;
    return ((value ^ (value >>> 14)) >>> 0) % below;
  };
}

function fullInput(facts: Facts) {
  return {
    vendor: "NVIDIA",
    architecture: "Ada",
    class: "CONSUMER",
    form: "PCIE",
    memoryGib: 16,
    memoryType: "GDDR6",
    supportsBf16: true,
    supportsFp8: true,
    supportsFp4: false,
    sources: [{ title: "made up" }],
    ...facts,
  };
}

describe.each(DATABASE_KINDS)("random edits against a model of the catalogue (%s)", (kind) => {
  it(
    "leave state, history and snapshot as the model says",
    async () => {
      const { editors, stop } = await startEditors(kind);
      const [{ database, source }] = editors;
      const editing = createEditingService(database, source);
      const audit = createAuditService(database);
      const random = createRandom(RANDOM_SEEDS[kind]);
      const pick = <Item>(items: readonly Item[]): Item | undefined => items[random(Math.max(items.length, 1))];
      const rows = new Map<string, Expected>();
      const history: Recorded[] = [];
      let catalogVersion = source.current().version;

      const run = (plan: Planner, dryRun = false) => editing.edit(plan, { actor, requestId: "random", dryRun });
      const codes = ({ problems }: EditOutcome) => problems.map(({ code }) => code);
      const holderOf = (slug: string) => [...rows].find(([, { facts }]) => facts.slug === slug)?.[0];
      const randomFacts = (): Facts => ({
        slug: `card-${random(12)}`,
        name: `Name ${random(4)}`,
        notes: random(2) === 0 ? null : `note ${random(3)}`,
        tdpWatts: random(2) === 0 ? null : 100 + random(3),
      });
      /** Sets a row of the model, and what its change should say. */
      const put = (outcome: EditOutcome, rowId: string, next: Expected | null, operation: string) => {
        const change = outcome.diffs.find((diff) => diff.rowId === rowId)?.change;
        expect(change?.operation).toBe(operation);
        history.push({ id: change?.id ?? 0, rowId, operation, before: rows.get(rowId) ?? null, after: next });
        if (next === null) rows.delete(rowId);
        else rows.set(rowId, next);
      };
      const expectVersion = (outcome: EditOutcome, isChanged: boolean) => {
        if (isChanged) catalogVersion++;
        expect(outcome.catalogue.version).toBe(catalogVersion);
      };

      const actions: (() => Promise<void>)[] = [
        async function create() {
          const facts = randomFacts();
          const isTaken = holderOf(facts.slug) !== undefined;
          const outcome = await run(planCreate(form, fullInput(facts)));
          expect(codes(outcome)).toEqual(isTaken ? ["TAKEN"] : []);
          if (!isTaken) put(outcome, outcome.rows[0]?.id ?? "", { facts, version: 1, archived: false }, "CREATE");
          expectVersion(outcome, !isTaken);
        },
        async function update() {
          const [id, row] = pick([...rows]) ?? [];
          if (id === undefined || row === undefined) return;
          const { slug, ...change } = randomFacts();
          const isStale = random(4) === 0;
          const isRehearsal = random(5) === 0;
          const version = isStale ? row.version - 1 : row.version;
          const outcome = await run(planUpdate(form, encodeGlobalId("Gpu", id), change, version), isRehearsal);
          expect(codes(outcome)).toEqual(isStale ? ["STALE"] : []);
          const facts = { ...row.facts, ...change };
          const isChanged = !isStale && !isRehearsal && !isDeepStrictEqual(facts, row.facts);
          if (isChanged) put(outcome, id, { ...row, facts, version: row.version + 1 }, "UPDATE");
          expectVersion(outcome, isChanged);
        },
        async function mark() {
          const [id, row] = pick([...rows]) ?? [];
          if (id === undefined || row === undefined) return;
          const archives = random(2) === 0;
          const plan = archives ? planArchive : planRestore;
          const outcome = await run(plan(form, encodeGlobalId("Gpu", id), row.version));
          expect(codes(outcome)).toEqual([]);
          const isChanged = row.archived !== archives;
          const next = { ...row, archived: archives, version: row.version + 1 };
          if (isChanged) put(outcome, id, next, archives ? "ARCHIVE" : "RESTORE");
          expectVersion(outcome, isChanged);
        },
        async function remove() {
          const [id, row] = pick([...rows]) ?? [];
          if (id === undefined || row === undefined || random(2) === 0) return;
          const outcome = await run(planDelete(form, encodeGlobalId("Gpu", id), row.version));
          expect(codes(outcome)).toEqual([]);
          put(outcome, id, null, "DELETE");
          expectVersion(outcome, true);
        },
        async function upsert() {
          const bySlug = new Map(
            Array.from({ length: 1 + random(4) }, randomFacts).map((facts) => [facts.slug, facts]),
          );
          const inputs = [...bySlug.values()];
          const outcome = await run(planUpsert(form, inputs.map(fullInput)));
          expect(codes(outcome)).toEqual([]);
          let isChanged = false;
          for (const [index, facts] of inputs.entries()) {
            const id = outcome.rows[index]?.id ?? "";
            const row = rows.get(id);
            expect(id).toBe(holderOf(facts.slug) ?? id);
            if (row !== undefined && isDeepStrictEqual(row.facts, facts)) continue;
            isChanged = true;
            const next = { facts, version: (row?.version ?? 0) + 1, archived: row?.archived ?? false };
            put(outcome, id, next, row === undefined ? "CREATE" : "UPDATE");
          }
          expectVersion(outcome, isChanged);
        },
        async function revert() {
          const record = pick(history);
          const change = record === undefined ? null : await audit.find(String(record.id));
          if (record === undefined || change === null) return;
          const outcome = await run(planRevert(change));
          const row = rows.get(record.rowId) ?? null;
          const { before, after, operation, rowId } = record;
          const changed = (Object.keys(after?.facts ?? {}) as (keyof Facts)[]).filter(
            (field) => before?.facts[field] !== after?.facts[field],
          );
          const undone = (): [Expected | null, string] | string => {
            if (operation === "DELETE") {
              if (row !== null || before === null) return "STALE";
              if (holderOf(before.facts.slug) !== undefined) return "TAKEN";
              return [{ ...before, version: before.version + 1 }, "CREATE"];
            }
            if (row === null) return "STALE";
            const version = row.version + 1;
            if (operation === "ARCHIVE")
              return row.archived ? [{ ...row, archived: false, version }, "RESTORE"] : "STALE";
            if (operation === "RESTORE")
              return row.archived ? "STALE" : [{ ...row, archived: true, version }, "ARCHIVE"];
            if (operation === "CREATE") {
              const isSame = isDeepStrictEqual(row.facts, after?.facts) && row.archived === after?.archived;
              return isSame ? [null, "DELETE"] : "STALE";
            }
            if (changed.some((field) => row.facts[field] !== after?.facts[field])) return "STALE";
            const old = Object.fromEntries(changed.map((field) => [field, before?.facts[field]]));
            return [{ ...row, facts: { ...row.facts, ...old }, version }, "UPDATE"];
          };
          const expected = undone();
          expect(codes(outcome)).toEqual(typeof expected === "string" ? [expected] : []);
          if (typeof expected !== "string") put(outcome, rowId, ...expected);
          expectVersion(outcome, typeof expected !== "string");
        },
      ];

      try {
        for (let edit = 0; edit < EDITS; edit++) await pick(actions)?.();

        const describeRow = ({ slug, name, notes, tdpWatts, version, archivedAt }: GpuRow): Expected => ({
          facts: { slug, name, notes, tdpWatts },
          version,
          archived: archivedAt !== null,
        });
        const stored = await loadCatalogue(database);
        expect(source.current()).toEqual(stored);
        expect(stored.version).toBe(catalogVersion);
        const ours = stored.gpus.rows.filter(({ slug }) => slug !== "card-24gb");
        expect(new Map(ours.map((row) => [row.id, describeRow(row)]))).toEqual(
          new Map([...rows].sort(([left], [right]) => (left < right ? -1 : 1))),
        );
        const changes = await database.prisma.catalogChange.findMany({ orderBy: { id: "asc" } });
        const toExpected = (columns: unknown): Expected | null =>
          columns === null ? null : describeRow(columns as GpuRow);
        expect(
          changes.map(({ id, rowId, operation, before, after }) => ({
            id: Number(id),
            rowId,
            operation: operation as string,
            before: toExpected(before),
            after: toExpected(after),
          })),
        ).toEqual(history);
        expect(history.length).toBeGreaterThan(EDITS / 3);
      } finally {
        await stop();
      }
    },
    60_000 + EDITS * 200,
  );
});
