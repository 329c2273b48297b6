import type { EstimateRequest } from "../../estimate.types.js";
import { EstimateError } from "../../estimate-error.js";
import type { MemoryLayout } from "../memory-layout.js";
import type { ExllamaConstants, ExllamaSettings } from "./exllama.types.js";

/** @throws EstimateError for settings that the engine refuses. */
export function layOutExllama(
  _request: EstimateRequest,
  _settings: ExllamaSettings,
  _constants: ExllamaConstants,
): MemoryLayout {
  throw new EstimateError("This runtime is not described yet.", ["runtime"]);
}
