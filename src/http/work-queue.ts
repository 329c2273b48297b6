import { Refusal } from "./refusal.js";

/** How many operations may be under way. */
export interface QueueLimits {
  /** At work at the same time. */
  atWork: number;
  /** Waiting for that. */
  waiting: number;
  /** Of those that wait, at most so many of one client. */
  waitingPerClient: number;
}

/** Operations that follow one another. */
export interface WorkQueue {
  /**
   * Waits until an operation may begin.
   * @returns what ends it
   * @throws Refusal OVERLOADED when too many wait already; the signal's reason when nobody waits for it any more
   */
  enter(client: string, signal: AbortSignal): Promise<() => void>;
  /** Operations at work and waiting. */
  counts(): { atWork: number; waiting: number };
}

/** Seconds after which those that are turned away may try again: most operations have ended by then. */
const RETRY_SECONDS = 2;

interface Waiting {
  client: string;
  begin: () => void;
}

/** Builds a queue; those who wait begin in the order in which they came. */
export function createWorkQueue(limits: QueueLimits): WorkQueue {
  const waiting: Waiting[] = [];
  let atWork = 0;

  function begin(): () => void {
    atWork++;
    let ended = false;
    return () => {
      if (ended) return;
      ended = true;
      atWork--;
      waiting.shift()?.begin();
    };
  }

  return {
    counts: () => ({ atWork, waiting: waiting.length }),
    async enter(client, signal) {
      signal.throwIfAborted();
      if (atWork < limits.atWork) return begin();
      if (waiting.length >= limits.waiting) {
        throw overloaded("This server is busy: too many operations are waiting.");
      }
      if (waiting.filter((one) => one.client === client).length >= limits.waitingPerClient) {
        throw overloaded(`At most ${limits.waitingPerClient} large operations of one client may wait.`);
      }
      return new Promise((resolve, reject) => {
        const leave = () => {
          waiting.splice(waiting.indexOf(one), 1);
          reject(signal.reason);
        };
        const one: Waiting = {
          client,
          begin: () => {
            signal.removeEventListener("abort", leave);
            resolve(begin());
          },
        };
        waiting.push(one);
        signal.addEventListener("abort", leave, { once: true });
      });
    },
  };
}

/** The refusal of those for whom there is no room at the moment. */
export function overloaded(reason: string): Refusal {
  return new Refusal(503, "OVERLOADED", `${reason} Try again in ${RETRY_SECONDS} s.`, {
    retryAfterSeconds: RETRY_SECONDS,
  });
}
