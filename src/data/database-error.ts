/** Why a database cannot be used. */
export type DatabaseProblem =
  | "UNREACHABLE"
  | "ACCESS_DENIED"
  | "NO_SUCH_DATABASE"
  | "INVALID_URL"
  | "TOO_OLD"
  | "FOLDER_NOT_WRITABLE"
  | "FOLDER_DAMAGED"
  | "FOLDER_IN_USE"
  | "MIGRATION_FAILED";

/** A database that cannot be opened or brought up to date. The message is for the person who runs the server. */
export class DatabaseError extends Error {
  readonly problem: DatabaseProblem;

  constructor(problem: DatabaseProblem, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "DatabaseError";
    this.problem = problem;
  }
}

/** The text of whatever was thrown, in one line. */
export function reasonOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return reasonOf(error.errors[0]);
  const message = error instanceof Error ? error.message || error.name : String(error);
  return message.trim().replace(/\s+/g, " ").replace(/\.$/, "");
}
