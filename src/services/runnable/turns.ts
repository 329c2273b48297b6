import { setImmediate as nextTurn } from "node:timers/promises";

/** Other requests are let in after so many milliseconds of a long search. */
const TURN_MILLISECONDS = 25;

/** Works on items in turn, letting other requests in between now and then. */
export async function inTurns<Item>(items: Iterable<Item>, work: (item: Item) => void): Promise<void> {
  let since = performance.now();
  for (const item of items) {
    work(item);
    if (performance.now() - since < TURN_MILLISECONDS) continue;
    await nextTurn();
    since = performance.now();
  }
}
