/** CPU time per request, microseconds, of an operation with `same` or `changing` variables on a server. */
type Look = (operation: string, variables: "same" | "changing", server: string) => number | undefined;

/** What the server is to reach: a ratio of CPU times, which other work on the machine moves least. */
export interface Target {
  sentence: string;
  least: number;
  /** Null where one of its parts was not measured. */
  measure(look: Look): number | null;
}

const ratio = (numerator: number | undefined, denominator: number | undefined) =>
  numerator === undefined || denominator === undefined ? null : numerator / denominator;

export const TARGETS: readonly Target[] = [
  {
    sentence: "a nested query that is not kept, against Apollo Server out of the box",
    least: 3,
    measure: (look) => ratio(look("models", "changing", "apollo"), look("models", "changing", "ours")),
  },
  {
    sentence: "a nested query that is not kept, against mercurius with jit",
    least: 0.75,
    measure: (look) => ratio(look("models", "changing", "mercurius"), look("models", "changing", "ours")),
  },
  ...["tiny", "models", "estimate", "hardware"].map((operation) => ({
    sentence: `${operation}, repeated, against the bare server`,
    least: 0.8,
    measure: (look: Look) => ratio(look(operation, "same", "floor"), look(operation, "same", "ours")),
  })),
  {
    sentence: "an estimate with changing variables, against the tiny query with changing variables",
    least: 0.6,
    measure: (look) => ratio(look("tiny", "changing", "ours"), look("estimate", "changing", "ours")),
  },
];
