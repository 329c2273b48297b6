import type { EstimateRequest } from "../../estimate.types.js";
import { EstimateError } from "../../estimate-error.js";
import type { MemoryLayout } from "../memory-layout.js";
import type { MlxConstants, MlxSettings } from "./mlx.types.js";

/** @throws EstimateError for settings that the engine refuses. */
export function layOutMlx(_request: EstimateRequest, _settings: MlxSettings, _constants: MlxConstants): MemoryLayout {
  throw new EstimateError("This runtime is not described yet.", ["runtime"]);
}
