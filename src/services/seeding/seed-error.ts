import { countProblems, type FileProblem, listProblems } from "../catalogue-files/file-problem.js";

/** A seed that cannot be loaded: everything that is wrong with it. Nothing of it was stored. */
export class SeedError extends Error {
  readonly problems: readonly FileProblem[];

  constructor(problems: readonly FileProblem[]) {
    super(
      [`The seed has ${countProblems(problems.length)}; nothing was stored:`, ...listProblems(problems)].join("\n"),
    );
    this.name = "SeedError";
    this.problems = problems;
  }
}
