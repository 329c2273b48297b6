/**
 * Collects the keys asked for until all that can be asked at once has been, and loads them together. Nothing is kept
 * beyond that.
 */
export function createBatch<Key, Value>(
  load: (keys: readonly Key[]) => Promise<ReadonlyMap<Key, Value>>,
): (key: Key) => Promise<Value | undefined> {
  let keys = new Set<Key>();
  let loading: Promise<ReadonlyMap<Key, Value>> | undefined;

  return async (key) => {
    keys.add(key);
    loading ??= whenAllAsked().then(() => {
      const asked = [...keys];
      keys = new Set();
      loading = undefined;
      return load(asked);
    });
    return (await loading).get(key);
  };
}

/** Fields of one list are resolved in one go, or one promise later each: the next tick follows all of them. */
function whenAllAsked(): Promise<void> {
  return new Promise((resolve) => void Promise.resolve().then(() => process.nextTick(resolve)));
}
