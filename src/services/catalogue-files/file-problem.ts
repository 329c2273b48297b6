/** One thing that is wrong with a file of the catalogue. */
export interface FileProblem {
  /** "gpus.json" in a folder, "gpus" in a document of all sections. */
  file: string;
  /** Place of the row in the file, the first is 0; absent when the file as a whole is at fault. */
  row?: number;
  slug?: string;
  path: readonly (string | number)[];
  message: string;
}

/** Problems that a message lists; the others are counted. */
const MAX_LISTED = 20;

/** The problems a line each: the first twenty, and how many more there are. */
export function listProblems(problems: readonly FileProblem[]): string[] {
  const listed = problems.slice(0, MAX_LISTED).map((problem) => `  ${describeProblem(problem)}`);
  return problems.length > MAX_LISTED ? [...listed, `  and ${problems.length - MAX_LISTED} more`] : listed;
}

/** "1 problem", "12 problems". */
export function countProblems(count: number): string {
  return count === 1 ? "1 problem" : `${count} problems`;
}

/** "gpus.json, row 12 (nvidia-h100-sxm-80gb), sources.0.url: must be ...". Rows are counted from 1 as editors do. */
export function describeProblem({ file, row, slug, path, message }: FileProblem): string {
  const place = row === undefined ? file : `${file}, row ${row + 1}${slug === undefined ? "" : ` (${slug})`}`;
  return `${[place, ...(path.length > 0 ? [path.join(".")] : [])].join(", ")}: ${message}`;
}
