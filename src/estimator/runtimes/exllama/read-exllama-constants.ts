import { constantsOfVersion, type RawConstants, readAmount, readGroup } from "../read-constants.js";
import type { ExllamaConstants, ExllamaGeneration } from "./exllama.types.js";

/**
 * Constants of ExLlama from the catalogue's row. Which generation of the engine runs follows from the format.
 *
 * @throws EstimateError that names a constant that is missing or makes no sense.
 */
export function readExllamaConstants(raw: RawConstants, version?: string): ExllamaConstants {
  const constants = constantsOfVersion(raw, version);
  return {
    cacheTokensMultiple: readAmount(constants, "cacheTokensMultiple"),
    chunkTokens: readAmount(constants, "chunkTokens"),
    exl2: readGeneration(readGroup(constants, "exl2")),
    exl3: readGeneration(readGroup(constants, "exl3")),
  };
}

function readGeneration(raw: RawConstants): ExllamaGeneration {
  return {
    unpackedValues: readAmount(raw, "unpackedValues"),
    unpacksOutput: raw.unpacksOutput === true,
    attentionMib: readAmount(raw, "attentionMib"),
    processMib: readAmount(raw, "processMib"),
  };
}
