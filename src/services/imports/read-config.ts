import type { Architecture } from "../../estimator/architecture/architecture.js";
import { ConfigError } from "../../estimator/architecture/config-error.js";
import { architectureFromConfig } from "../../estimator/architecture/from-config.js";
import { parseConfigText } from "../../estimator/architecture/parse-config-text.js";
import { quantizationMethod, schemeFromConfig } from "../../estimator/quantization/checkpoint-scheme.js";
import { QuantizationError } from "../../estimator/quantization/ggml-types.js";
import type { ArgumentPath } from "../editing/user-error.js";
import { ImportError } from "./import-error.js";
import type { Checkpoint } from "./source-facts.js";

/** What a config.json says. */
export interface ConfigFacts {
  architecture: Architecture;
  checkpoint: Checkpoint | null;
  notes: readonly string[];
}

/**
 * Reads a config.json, an object or its text.
 * @param path argument that it came in, which errors name
 * @throws ImportError INVALID, NOT_MODELLED
 */
export function readConfig(config: unknown, path: ArgumentPath): ConfigFacts {
  const text = typeof config === "string" ? config : (JSON.stringify(config) ?? "");
  try {
    const parsed = parseConfigText(text);
    return { architecture: architectureFromConfig(parsed), ...readCheckpoint(parsed) };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw new ImportError(error.code, [...path, ...error.path.map(String)], error.message);
  }
}

/** A quantization that is not known here does not stand in the way of the architecture: it is told. */
function readCheckpoint(config: unknown): Pick<ConfigFacts, "checkpoint" | "notes"> {
  let method: string | null = null;
  try {
    method = quantizationMethod(config);
    return { checkpoint: method === null ? null : { method, scheme: schemeFromConfig(config) }, notes: [] };
  } catch (error) {
    if (!(error instanceof QuantizationError)) throw error;
    const note = `How the checkpoint stores its weights cannot be told: ${error.message}.`;
    return { checkpoint: { method: method ?? "unknown", scheme: null }, notes: [note] };
  }
}
