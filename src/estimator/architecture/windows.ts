import type { Window } from "./architecture.js";
import { type ConfigReader, invalid } from "./config-reader.js";

/** The window of each layer; undefined for a layer that attends to everything before it. */
export type LayerWindows = (Window | undefined)[];

/** Where the full layers stand in a repeating pattern, for configs that do not list their layers. */
export interface WindowPattern {
  /** Length of the pattern. */
  period: number;
  /** Which layer of a period is full. */
  full: "first" | "last";
}

/** transformers' names for the kinds of a layer's attention. */
const WINDOW_OF_LAYER_TYPE: ReadonlyMap<string, "none" | Window["kind"]> = new Map([
  ["full_attention", "none"],
  ["attention", "none"],
  ["sliding_attention", "sliding"],
  ["chunked_attention", "chunked"],
]);

/**
 * Windows by the config's own list (`layer_types`), else by the family's pattern, or by which layers it says are
 * full. Without `sliding_window` every layer is full.
 */
export function layerWindows(
  config: ConfigReader,
  layers: number,
  pattern: WindowPattern | ((index: number) => boolean),
): LayerWindows {
  const size = config.optionalCount("sliding_window", "sliding_window_size");
  if (size === undefined || size === 0) return Array.from({ length: layers }, () => undefined);
  const listed = windowsByLayerTypes(config, layers, size);
  if (listed) return listed;
  const isFullLayer = typeof pattern === "function" ? pattern : (index: number) => isFull(index, pattern);
  return Array.from({ length: layers }, (_, index) => (isFullLayer(index) ? undefined : { kind: "sliding", size }));
}

/** Windows by `layer_types`; undefined if the config has no such list. */
export function windowsByLayerTypes(config: ConfigReader, layers: number, size: number): LayerWindows | undefined {
  return config.optionalPerLayer(["layer_types"], layers, (value, path) => {
    const kind = typeof value === "string" ? WINDOW_OF_LAYER_TYPE.get(value) : undefined;
    if (kind === undefined) {
      throw invalid(path, `must be one of ${[...WINDOW_OF_LAYER_TYPE.keys()].join(", ")}`);
    }
    return kind === "none" ? undefined : { kind, size };
  });
}

function isFull(index: number, { period, full }: WindowPattern): boolean {
  return index % period === (full === "first" ? 0 : period - 1);
}

/** A window as an optional field of an attention. */
export function windowField(window: Window | undefined): { window?: Window } {
  return window ? { window } : {};
}
