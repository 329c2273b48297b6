export type ConfigErrorCode =
  /** A field is missing, of the wrong kind, absurd, or contradicts another. */
  | "INVALID"
  /** The architecture is one that is not described here; nothing is guessed. */
  | "NOT_MODELLED";

/** A model's configuration cannot be used. The message is a sentence for people. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  constructor(
    message: string,
    readonly code: ConfigErrorCode,
    /** Where in the configuration the fault is; empty for the whole. */
    readonly path: readonly (string | number)[] = [],
  ) {
    super(message);
  }
}
