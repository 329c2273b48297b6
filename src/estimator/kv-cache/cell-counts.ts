/** Cells are allocated in multiples of this many tokens (llama.cpp, `llama-context.cpp`, `llama-kv-cache-iswa.cpp`). */
export const CELL_PADDING = 256;

/** What decides how many cells a cache has; tokens throughout. */
export interface CellSettings {
  /** Tokens kept per sequence. */
  contextTokens: number;
  sequences: number;
  /** One buffer shared by all sequences, instead of one stream each. */
  unified: boolean;
  /** Sliding-window layers keep the full context (`--swa-full`). */
  swaFull: boolean;
  /** Tokens computed at once (`n_ubatch`, already limited by the batch). */
  ubatchTokens: number;
}

/** Cells of one kind of cache: `cells` in each of `streams` buffers. */
export interface CellCount {
  cells: number;
  streams: number;
}

export function padCells(cells: number): number {
  return Math.ceil(cells / CELL_PADDING) * CELL_PADDING;
}

/**
 * Cells of a layer that attends to everything: the context padded to 256; all sequences together in
 * one buffer when unified, else one stream each.
 */
export function fullCells(settings: CellSettings): CellCount {
  return settings.unified
    ? { cells: padCells(settings.contextTokens * settings.sequences), streams: 1 }
    : { cells: padCells(settings.contextTokens), streams: settings.sequences };
}

/**
 * Cells of a sliding-window or chunked layer: the window of every sequence of the buffer and one
 * microbatch, padded to 256, and never more than the full context
 * (llama.cpp, `llama-kv-cache-iswa.cpp`).
 */
export function windowCells(windowTokens: number, settings: CellSettings): CellCount {
  const full = fullCells(settings);
  if (settings.swaFull) {
    return full;
  }
  const windows = windowTokens * (settings.unified ? settings.sequences : 1);
  return { cells: padCells(Math.min(full.cells, windows + settings.ubatchTokens)), streams: full.streams };
}

/**
 * Cells of DeepSeek-V4's caches, which are never unified: each sequence has a stream of its own as
 * long as the whole buffer (llama.cpp, `llama-kv-cache-dsv4.cpp`).
 */
export function streamedCells(settings: CellSettings): CellCount {
  return { cells: fullCells(settings).cells, streams: settings.sequences };
}
