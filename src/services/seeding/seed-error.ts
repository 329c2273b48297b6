/** One thing that is wrong with the seed. */
export interface SeedProblem {
  /** "gpus.json". */
  file: string;
  /** Place of the row in the file, the first is 0; absent when the file as a whole is at fault. */
  row?: number;
  slug?: string;
  path: readonly (string | number)[];
  message: string;
}

/** Problems that the message lists; the others are counted. */
const MAX_LISTED = 20;

/** A seed that cannot be loaded: everything that is wrong with it. Nothing of it was stored. */
export class SeedError extends Error {
  readonly problems: readonly SeedProblem[];

  constructor(problems: readonly SeedProblem[]) {
    const listed = problems.slice(0, MAX_LISTED).map((problem) => `  ${describeProblem(problem)}`);
    const more = problems.length > MAX_LISTED ? [`  and ${problems.length - MAX_LISTED} more`] : [];
    const count = problems.length === 1 ? "1 problem" : `${problems.length} problems`;
    super([`The seed has ${count}; nothing was stored:`, ...listed, ...more].join("\n"));
    this.name = "SeedError";
    this.problems = problems;
  }
}

/** "gpus.json, row 12 (nvidia-h100-sxm-80gb), sources.0.url: must be ...". Rows are counted from 1 as editors do. */
export function describeProblem({ file, row, slug, path, message }: SeedProblem): string {
  const place = row === undefined ? file : `${file}, row ${row + 1}${slug === undefined ? "" : ` (${slug})`}`;
  return `${[place, ...(path.length > 0 ? [path.join(".")] : [])].join(", ")}: ${message}`;
}
