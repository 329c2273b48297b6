/** Other requests are let in after so many milliseconds of long work, of one operation or of several together. */
const TURN_MILLISECONDS = 25;

/** Work that waits for its turn, first come, first served. */
const waiting: (() => void)[] = [];
let turnSince = 0;

/**
 * Lets other requests in, and goes on once it is this work's turn again. Of all long work only one piece goes on each
 * time that requests have been looked at, so that several long operations do not add up to one long wait.
 * @throws the signal's reason when nobody waits for the work any more
 */
export async function nextTurn(signal?: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    if (waiting.push(resolve) === 1) setImmediate(giveTurn);
  });
  signal?.throwIfAborted();
}

function giveTurn(): void {
  turnSince = performance.now();
  waiting.shift()?.();
  if (waiting.length > 0) setImmediate(giveTurn);
}

/** Whether long work has gone on for as long as it may before it lets others in. */
export function isTurnOver(): boolean {
  return performance.now() - turnSince >= TURN_MILLISECONDS;
}

/**
 * Works on items in turn, letting other requests in between now and then.
 * @throws the signal's reason when nobody waits for the work any more; what was not begun is left undone
 */
export async function inTurns<Item>(
  items: Iterable<Item>,
  work: (item: Item) => void,
  signal?: AbortSignal,
): Promise<void> {
  for (const item of items) {
    if (isTurnOver()) await nextTurn(signal);
    work(item);
  }
}
