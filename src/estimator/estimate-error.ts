/** What an estimate was refused for. */
export type EstimateErrorCode =
  | "INVALID_SETTING"
  | "CACHE_TYPE_NEEDS_FLASH_ATTENTION"
  | "CACHE_TYPE_NOT_SUPPORTED"
  | "SPLIT_NOT_SUPPORTED"
  | "FORMAT_NOT_LOADABLE"
  | "ARCHITECTURE_NOT_SUPPORTED"
  /** What stands beside the model is nothing that this model can have. */
  | "EXTRA_NOT_APPLICABLE"
  /** The engine has no kernels for the format on a card. */
  | "KERNEL_MISSING";

/**
 * A request that cannot be estimated as asked: the message is for people, `path` names the setting
 * that caused it (e.g. `["cacheTypeV"]`), relative to the request.
 */
export class EstimateError extends Error {
  readonly code: EstimateErrorCode;
  readonly path: readonly string[];

  constructor(message: string, path: readonly string[], code: EstimateErrorCode = "INVALID_SETTING") {
    super(message);
    this.name = "EstimateError";
    this.code = code;
    this.path = path;
  }
}
