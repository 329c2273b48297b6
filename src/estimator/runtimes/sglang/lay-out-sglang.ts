import type { EstimateRequest } from "../../estimate.types.js";
import { EstimateError } from "../../estimate-error.js";
import type { MemoryLayout } from "../memory-layout.js";
import type { SglangConstants, SglangSettings } from "./sglang.types.js";

/** @throws EstimateError for settings that the engine refuses. */
export function layOutSglang(
  _request: EstimateRequest,
  _settings: SglangSettings,
  _constants: SglangConstants,
): MemoryLayout {
  throw new EstimateError("This runtime is not described yet.", ["runtime"]);
}
