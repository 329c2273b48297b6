/** What can be wrong with an edit. */
export type UserErrorCode =
  | "INVALID"
  | "TAKEN"
  | "NOT_FOUND"
  | "STALE"
  | "IN_USE"
  | "TOO_MANY"
  | "NOT_MODELLED"
  | "PRIVATE"
  | "GATED"
  | "RATE_LIMITED"
  | "TIMED_OUT"
  | "TOO_LARGE"
  | "UNREACHABLE"
  | "REFUSED_HOST";

/** One thing that is wrong with an edit; nothing of it was saved. */
export interface UserError {
  /** A sentence for people. */
  message: string;
  /** Path in the mutation's arguments, list indices as decimal strings. */
  field: readonly string[];
  code: UserErrorCode;
}

/** Path of an argument. */
export type ArgumentPath = readonly string[];
