import type { EstimateRequest } from "../../estimate.types.js";
import { EstimateError } from "../../estimate-error.js";
import type { MemoryLayout } from "../memory-layout.js";
import type { TensorrtLlmConstants, TensorrtLlmSettings } from "./tensorrt-llm.types.js";

/** @throws EstimateError for settings that the engine refuses. */
export function layOutTensorrtLlm(
  _request: EstimateRequest,
  _settings: TensorrtLlmSettings,
  _constants: TensorrtLlmConstants,
): MemoryLayout {
  throw new EstimateError("This runtime is not described yet.", ["runtime"]);
}
