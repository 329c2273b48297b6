import { type ConstantReader, type Engine, readConstants } from "../version-constants.js";
import type { ExllamaConstants, ExllamaGeneration } from "./exllama.types.js";

const EXLLAMA: Engine = { name: "ExLlama", packages: ["exllamav2", "exllamav3"] };

/**
 * The constants that held in a version of ExLlama, from the `constants` of the catalogue's Runtime row; the row's own
 * when no version is asked. Which generation of the engine runs follows from the format.
 *
 * @throws EstimateError at `["runtime", "version"]` with the known versions for an unknown one, and at `["runtime"]`
 * for a row that lacks a constant.
 */
export function readExllamaConstants(constants: unknown, version?: string): ExllamaConstants {
  const row = readConstants(EXLLAMA, constants, version);
  return {
    cacheTokensMultiple: row.count("cacheTokensMultiple"),
    chunkTokens: row.count("chunkTokens"),
    exl2: readGeneration(row.object("exl2")),
    exl3: readGeneration(row.object("exl3")),
  };
}

function readGeneration(row: ConstantReader): ExllamaGeneration {
  return {
    unpackedValues: row.count("unpackedValues"),
    unpacksOutput: row.flag("unpacksOutput"),
    attentionMib: row.number("attentionMib"),
    processMib: row.number("processMib"),
  };
}
