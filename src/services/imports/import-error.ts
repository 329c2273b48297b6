import type { ArgumentPath, UserError, UserErrorCode } from "../editing/user-error.js";

/** A source that cannot be imported. The message says what is wrong and what to do. */
export class ImportError extends Error {
  override readonly name = "ImportError";

  constructor(
    readonly code: UserErrorCode,
    /** Path in the mutation's arguments. */
    readonly field: ArgumentPath,
    message: string,
  ) {
    super(message);
  }

  /** As the payload of the mutation has it. */
  toUserError(): UserError {
    return { code: this.code, field: this.field, message: this.message };
  }
}
