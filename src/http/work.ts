import type { ServerResponse } from "node:http";
import type { OperationMeasure, Work } from "../context.js";
import { nextTurn } from "../services/turns.js";
import type { ClientAccount } from "./rate-limit.js";
import { Refusal } from "./refusal.js";
import { createWorkQueue, type WorkQueue } from "./work-queue.js";

/** Bounds of the work of one server. */
export interface WorkLimits {
  /** Milliseconds that an operation may take, waiting included. */
  operationMs: number;
  /** Heavy operations at work at the same time. */
  heavyAtWork: number;
}

/** The time limit of a server without settings: less than the minute after which proxies give up. */
export const DEFAULT_OPERATION_MS = 30_000;
/**
 * Heavy operations at work at the same time without settings: one thread computes for all, so that more of them only make each
 * other wait; with two, one goes on while the other waits for something.
 */
export const DEFAULT_HEAVY_AT_WORK = 2;

/**
 * An operation of this cost or more is heavy: a search of hardware has 210, a table of twenty estimates 200, some 20 ms
 * of computing.
 */
const HEAVY_COST = 200;

/** Heavy operations that wait, at most: at a tenth of a second each, usual for them, the last one waits a few seconds. */
const HEAVY_WAITING = 64;
/** Of one client; a page of a dozen charts asks for so many at once. */
const HEAVY_WAITING_PER_CLIENT = 16;
/** Light operations under way, most of which wait for the database: as much memory as a few MB. */
const LIGHT_UNDER_WAY = 1_000;

/** The queues of one server. */
export interface WorkQueues {
  light: WorkQueue;
  heavy: WorkQueue;
}

/** Builds the queues of one server: small operations pass while heavy ones wait for one another. */
export function createWorkQueues({ heavyAtWork }: Pick<WorkLimits, "heavyAtWork">): WorkQueues {
  return {
    light: createWorkQueue({ atWork: LIGHT_UNDER_WAY, waiting: 0, waitingPerClient: 0 }),
    heavy: createWorkQueue({
      atWork: heavyAtWork,
      waiting: HEAVY_WAITING,
      waitingPerClient: HEAVY_WAITING_PER_CLIENT,
    }),
  };
}

export interface WorkOptions {
  limits: WorkLimits;
  queues: WorkQueues;
  account: ClientAccount;
  /** Where the answer goes: when it closes early, nobody waits for the work any more. */
  response: ServerResponse;
}

/** The work of one request, with its bounds. */
export interface BoundedWork extends Work {
  /**
   * Waits for the answer, but not beyond the time limit, nor for a client that is gone.
   * @throws Refusal TIMEOUT or CANCELLED
   */
  within<Answer>(answer: Promise<Answer>): Promise<Answer>;
}

/** Begins the work of one request. */
export function beginWork({ limits, queues, account, response }: WorkOptions): BoundedWork {
  const ending = new AbortController();
  const { signal } = ending;
  let isHeavy = false;
  let isEdit = false;
  let leaveQueue = () => {};
  let giveUp: (reason: Refusal) => void = () => {};
  const givenUp = new Promise<never>((_, reject) => {
    giveUp = reject;
  });
  givenUp.catch(() => {});

  const end = (reason: Refusal) => {
    // An edit that has begun is brought to its end.
    if (!isEdit) ending.abort(reason);
    giveUp(reason);
  };
  const timer = setTimeout(() => end(timedOut(limits.operationMs, isEdit)), limits.operationMs);
  const onClose = () => {
    if (!response.writableFinished) end(new Refusal(499, "CANCELLED", "The client is gone."));
  };
  response.once("close", onClose);

  return {
    signal,
    get isHeavy() {
      return isHeavy;
    },
    async admit({ cost, isMutation }: OperationMeasure) {
      account.charge(cost);
      isHeavy = cost >= HEAVY_COST && !isMutation;
      leaveQueue = await queues[isHeavy ? "heavy" : "light"].enter(account.client, signal);
      isEdit = isMutation;
      if (isHeavy) await nextTurn(signal);
    },
    async within(answer) {
      // Room is made only when the work has really ended.
      const settled = answer.finally(() => leaveQueue());
      settled.catch(() => {});
      try {
        const result = await Promise.race([settled, givenUp]);
        // Work that was stopped has ended in errors of single fields: the whole is what did not come about.
        signal.throwIfAborted();
        return result;
      } finally {
        clearTimeout(timer);
        response.off("close", onClose);
      }
    },
  };
}

function timedOut(operationMs: number, isEdit: boolean): Refusal {
  const advice = isEdit
    ? "It may have been saved none the less: look at the history before you repeat it."
    : "Ask for less at once: fewer items, narrower filters, or several smaller queries.";
  return new Refusal(503, "TIMEOUT", `This operation took longer than ${operationMs / 1_000} s. ${advice}`);
}
