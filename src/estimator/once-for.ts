/** A function of an object that computes each answer once, for as long as the object lives. */
export function onceFor<Key extends object, Answer>(compute: (key: Key) => Answer): (key: Key) => Answer {
  const answers = new WeakMap<Key, { answer: Answer }>();
  return (key) => {
    let known = answers.get(key);
    if (known === undefined) {
      known = { answer: compute(key) };
      answers.set(key, known);
    }
    return known.answer;
  };
}

/** A function of two objects that computes each answer once, for as long as both objects live. */
export function oncePerPair<A extends object, B extends object, Answer>(
  compute: (first: A, second: B) => Answer,
): (first: A, second: B) => Answer {
  const ofFirst = onceFor((first: A) => onceFor((second: B) => compute(first, second)));
  return (first, second) => ofFirst(first)(second);
}

/** A function that computes its answer when it is first asked for. */
export function onceOnly<Answer>(compute: () => Answer): () => Answer {
  let known: { answer: Answer } | undefined;
  return () => {
    known ??= { answer: compute() };
    return known.answer;
  };
}
