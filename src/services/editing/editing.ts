import { setTimeout } from "node:timers/promises";
import type { Catalogue } from "../../data/catalogue.js";
import { lockCatalogue } from "../../data/catalogue-version.js";
import type { Database } from "../../data/database.js";
import { describeFailure } from "../../data/database-failure.js";
import { loadLockedCatalogue } from "../../data/load-catalogue.js";
import type { Prisma } from "../../data/prisma/client.js";
import type { CatalogueSource } from "../../data/snapshot.js";
import { RowChangedError } from "../../data/write-rows.js";
import { ApiError } from "../../errors.js";
import type { ChangeModel } from "../audit/changes.js";
import { UNSTORABLE } from "../catalogue/rules/check-row.js";
import { type Authorship, applyChanges, previewCatalogue } from "./apply-changes.js";
import { checkConsequences } from "./check-consequences.js";
import { type FieldChange, listFieldChanges } from "./differences.js";
import type { EditForm } from "./forms.js";
import {
  type ChangeOperation,
  columnsOf,
  type EditableRow,
  type Plan,
  type PlannedChange,
  type Planner,
  rowsOf,
} from "./plan.js";
import type { UserError } from "./user-error.js";

/** Who edits, why, and whether it is only a rehearsal. */
export interface EditOptions extends Authorship {
  /** Everything but the writing. */
  dryRun: boolean;
}

/** What an edit did, or would do, to one row. */
export interface RowDiffModel {
  form: EditForm;
  operation: ChangeOperation;
  rowId: string;
  slug: string;
  fields: readonly FieldChange[];
  /** The entry of the audit trail; null when nothing was written. */
  change: ChangeModel | null;
}

export interface EditOutcome {
  /** The catalogue as the edit left it, or would. */
  catalogue: Catalogue;
  problems: readonly UserError[];
  /** The rows named; when a row was changed by somebody else, as it is now; empty when anything else is wrong. */
  rows: readonly EditableRow[];
  diffs: readonly RowDiffModel[];
}

/** Edits the catalogue. */
export interface EditingService {
  /**
   * Carries out a plan: all of it in one transaction with its audit rows and the raised version, or nothing.
   * @throws ApiError UNAVAILABLE when the database does not answer
   */
  edit(plan: Planner, options: EditOptions): Promise<EditOutcome>;
}

/** Longest a transaction may take: a bulk edit whose scenarios are checked again while others wait. */
const TRANSACTION_TIMEOUT_MS = 60_000;
/** Longest wait for a connection. */
const TRANSACTION_WAIT_MS = 30_000;
/** Attempts at a row that somebody changes past the catalogue's version. */
const MAX_ATTEMPTS = 3;
/** A database that was last heard of so long ago and then did not answer is not asked by every edit in the queue. */
const LONG_SILENCE_MS = 5_000;
const MAX_COMMENT_LENGTH = 1_000;
/** Pause before the next attempt. */
const RETRY_MS = 20;

/** A plan with the catalogue as it would leave it. */
interface Prepared {
  base: Catalogue;
  plan: Plan;
  /** With rows as they would be; the stored ones differ in their times only. */
  catalogue: Catalogue;
}

/** A plan that turned out impossible once nobody else could edit. */
class Refused extends Error {
  readonly prepared: Prepared;

  constructor(prepared: Prepared) {
    super("the edit was refused");
    this.prepared = prepared;
  }
}

/** Builds the editing service over a database and the snapshot of this process. */
export function createEditingService(database: Database, source: CatalogueSource): EditingService {
  let last: Promise<unknown> = Promise.resolve();

  /** One edit of this process after the other; those of other servers wait at the lock in the database. */
  const inTurn = <Result>(action: () => Promise<Result>): Promise<Result> => {
    const result = last.then(action);
    last = result.catch(() => {});
    return result;
  };

  const attempt = async (plan: Planner, options: EditOptions, trustSnapshot: boolean): Promise<EditOutcome> => {
    // What is wrong is told by the newest version, whoever edited last.
    await source.refresh();
    const prepared = await prepare(source.current(), plan, options);
    if (prepared.plan.problems.length > 0 || prepared.plan.changes.length === 0 || options.dryRun) {
      return describe(prepared);
    }
    const progress = { isCommitting: false };
    try {
      const written = await database.prisma.$transaction(
        (tx) => write(tx, { prepared, plan, options, trustSnapshot, progress }),
        { timeout: TRANSACTION_TIMEOUT_MS, maxWait: TRANSACTION_WAIT_MS },
      );
      source.publish(written.catalogue);
      return written;
    } catch (error) {
      if (error instanceof Refused) return describe(error.prepared);
      throw progress.isCommitting ? (uncertain(error) ?? error) : error;
    }
  };

  return {
    async edit(plan, options) {
      await findOut(source);
      return inTurn(async () => {
        // Not every edit that waited while the database stopped answering shall wait for that answer again.
        if (source.stale && source.ageMs() > LONG_SILENCE_MS) throw unreachable();
        for (let attempts = 1; ; attempts++) {
          try {
            return await attempt(plan, options, attempts === 1);
          } catch (error) {
            if (error instanceof RowChangedError && attempts < MAX_ATTEMPTS) {
              await setTimeout(RETRY_MS);
              continue;
            }
            throw unavailable(error) ?? error;
          }
        }
      });
    },
  };
}

/**
 * Asks the database for its version, beside the edits whose turn it is: one that does not answer is told at once.
 * @throws ApiError UNAVAILABLE
 */
async function findOut(source: CatalogueSource): Promise<void> {
  try {
    await source.refresh();
  } catch (error) {
    throw unavailable(error) ?? error;
  }
}

/** Plans over a catalogue, and checks what the plan would do to it. */
async function prepare(base: Catalogue, planner: Planner, options: EditOptions): Promise<Prepared> {
  const plan = planner(base);
  const catalogue = previewCatalogue(base, plan.changes);
  // Those of rows that are right by themselves are told together with what is wrong with others.
  const consequences = await checkConsequences(plan.changes, base, catalogue);
  const problems = [...checkComment(options.comment), ...plan.problems, ...consequences];
  return { base, plan: { ...plan, problems }, catalogue: problems.length === 0 ? catalogue : base };
}

function checkComment(comment: string | null | undefined): UserError[] {
  if (comment == null) return [];
  const field = ["comment"];
  if (comment.length > MAX_COMMENT_LENGTH) {
    return [{ code: "INVALID", field, message: `comment must have at most ${MAX_COMMENT_LENGTH} characters.` }];
  }
  if (UNSTORABLE.test(comment)) {
    const message = "comment must not have the character NUL or half a surrogate pair in it.";
    return [{ code: "INVALID", field, message }];
  }
  return [];
}

interface Writing {
  prepared: Prepared;
  plan: Planner;
  options: EditOptions;
  /** Whether the snapshot of the same version can be relied on; not after a row was found to differ from it. */
  trustSnapshot: boolean;
  /** Told when the transaction has nothing left but to commit. */
  progress: { isCommitting: boolean };
}

/** Everything within the transaction. A plan made from an older version is made again, now that nobody else can edit. */
async function write(tx: Prisma.TransactionClient, writing: Writing): Promise<EditOutcome> {
  const { options, trustSnapshot, progress } = writing;
  let { prepared } = writing;
  const version = await lockCatalogue(tx);
  if (version !== prepared.base.version || !trustSnapshot) {
    const current = await loadLockedCatalogue(tx, trustSnapshot ? prepared.base : undefined);
    prepared = await prepare(current, writing.plan, options);
    if (prepared.plan.problems.length > 0 || prepared.plan.changes.length === 0) throw new Refused(prepared);
  }
  const { base, plan } = prepared;
  const { catalogue, changes } = await applyChanges(tx, base, plan.changes, options);
  progress.isCommitting = true;
  return describe({ base, plan, catalogue }, changes);
}

/** The outcome as clients see it. */
function describe({ base, plan, catalogue }: Prepared, changes?: readonly ChangeModel[]): EditOutcome {
  const { form, problems } = plan;
  const shown = problems.length === 0 ? plan.rowIds : plan.staleIds;
  return {
    catalogue,
    problems,
    rows: form === null ? [] : shown.flatMap((id) => rowsOf(form, catalogue).byId.get(id) ?? []),
    diffs:
      problems.length > 0 ? [] : plan.changes.map((change, index) => diffOf(change, base, catalogue, changes?.[index])),
  };
}

function diffOf(
  change: PlannedChange,
  base: Catalogue,
  catalogue: Catalogue,
  record: ChangeModel | undefined,
): RowDiffModel {
  const { form, operation, before, after } = change;
  const columns = before === null ? null : columnsOf(before);
  return {
    form,
    operation,
    rowId: (after ?? before)?.id ?? "",
    slug: String((after ?? before)?.slug),
    fields: listFieldChanges(form, columns, after, after === null ? base : catalogue),
    change: record ?? null,
  };
}

/** The error of an edit that may or may not have been saved: the connection broke while it was being committed. */
function uncertain(error: unknown): ApiError | null {
  if (describeFailure(error) === null) return null;
  return new ApiError(
    "UNAVAILABLE",
    "The database stopped answering while the edit was being saved: it may or may not be there. Look before trying again.",
  );
}

function unreachable(): ApiError {
  return new ApiError(
    "UNAVAILABLE",
    "The database does not answer; nothing was saved. Reading goes on. Try again later.",
  );
}

function unavailable(error: unknown): ApiError | null {
  if (error instanceof ApiError) return null;
  switch (describeFailure(error)) {
    case "UNREACHABLE":
      return unreachable();
    case "BUSY":
      return new ApiError("UNAVAILABLE", "Other edits kept the catalogue for too long; nothing was saved. Try again.");
    case null:
      return null;
  }
}
