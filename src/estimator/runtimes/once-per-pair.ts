/** A function of two objects that computes each answer once, for as long as both objects live. */
export function oncePerPair<A extends object, B extends object, Answer>(
  compute: (first: A, second: B) => Answer,
): (first: A, second: B) => Answer {
  const answers = new WeakMap<A, WeakMap<B, { answer: Answer }>>();
  return (first, second) => {
    let bySecond = answers.get(first);
    if (bySecond === undefined) {
      bySecond = new WeakMap();
      answers.set(first, bySecond);
    }
    let known = bySecond.get(second);
    if (known === undefined) {
      known = { answer: compute(first, second) };
      bySecond.set(second, known);
    }
    return known.answer;
  };
}
