import { engineOf } from "./runtimes.js";
import type { RuntimeInput } from "./types.js";

/** Places in an EstimateRequest whose names differ from those of the EstimateInput they come from. */
const RENAMED: Readonly<Record<string, string>> = {
  architecture: "model",
  scheme: "quant",
  contextTokens: "context",
  devices: "hardware",
  displayReserveBytes: "displayReserveMib",
};

/** The place in an EstimateInput of what the estimator blames in its request. */
export function inputPathOf(requestPath: readonly string[], runtime: RuntimeInput): readonly string[] {
  const [first, ...rest] = requestPath;
  if (first === undefined) return [];
  if (first !== "runtime") return requestPath.map((part) => RENAMED[part] ?? part);
  return ["runtime", engineOf(runtime), ...(rest[0] === "settings" ? rest.slice(1) : rest)];
}
