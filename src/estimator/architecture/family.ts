import type { Architecture } from "./architecture.js";
import type { ConfigReader } from "./config-reader.js";

/** Models whose config.json is read the same way. */
export interface Family {
  /** `model_type` values; in nested configs, of the text part. */
  modelTypes: readonly string[];
  /** `architectures` values, for configs without a `model_type` that is known. */
  architectures: readonly string[];
  /** A field that only this family's configs have, for those that name neither type nor architecture. */
  signature?: string;
  /**
   * What transformers' configuration class assumes for fields that are not there. Only nested text configs leave
   * such fields out (they are saved as differences), so only there these values count.
   */
  defaults?: Readonly<Record<string, unknown>>;
  /**
   * The same for fields that are one value in all models of the family (kernel lengths, head widths), which count
   * wherever the config stands: hand-written and old configs leave them out too.
   */
  assumed?: Readonly<Record<string, unknown>>;
  /** @throws ConfigError for fields that are missing, of the wrong kind, or contradict one another. */
  describe(config: ConfigReader): Architecture;
}
