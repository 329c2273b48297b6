import type { EstimateRequest } from "../../estimate.types.js";
import { EstimateError } from "../../estimate-error.js";
import type { MemoryLayout } from "../memory-layout.js";
import type { TransformersConstants, TransformersSettings } from "./transformers.types.js";

/** @throws EstimateError for settings that the engine refuses. */
export function layOutTransformers(
  _request: EstimateRequest,
  _settings: TransformersSettings,
  _constants: TransformersConstants,
): MemoryLayout {
  throw new EstimateError("This runtime is not described yet.", ["runtime"]);
}
