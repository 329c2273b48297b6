import { overloaded } from "./work-queue.js";

/** Bytes of bodies held in memory at once, by all requests together: twenty of the largest, thousands of usual ones. */
const MAX_BYTES = 256 * 2 ** 20;

/** What the bodies of all requests may take together while they arrive and are answered. */
export interface BodyBudget {
  /**
   * Counts bytes that have arrived.
   * @throws Refusal OVERLOADED when there is no room for them
   */
  take(bytes: number): void;
  give(bytes: number): void;
}

export function createBodyBudget(): BodyBudget {
  let left = MAX_BYTES;
  return {
    take(bytes) {
      if (bytes > left) throw overloaded("This server is busy: too many large bodies are arriving.");
      left -= bytes;
    },
    give(bytes) {
      left += bytes;
    },
  };
}
