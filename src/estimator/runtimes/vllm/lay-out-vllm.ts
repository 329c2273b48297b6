import type { EstimateRequest } from "../../estimate.types.js";
import { EstimateError } from "../../estimate-error.js";
import type { MemoryLayout } from "../memory-layout.js";
import type { VllmConstants, VllmSettings } from "./vllm.types.js";

/** @throws EstimateError for settings that the engine refuses. */
export function layOutVllm(
  _request: EstimateRequest,
  _settings: VllmSettings,
  _constants: VllmConstants,
): MemoryLayout {
  throw new EstimateError("This runtime is not described yet.", ["runtime"]);
}
