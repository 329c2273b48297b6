import type { Architecture } from "../../architecture/architecture.js";
import type { LayerPlacement } from "../../placement/place-layers.js";
import type { PreparedModel } from "../../prepared-model.js";
import type { RunSettings } from "./run-settings.js";

export interface ComputeInput {
  architecture: Architecture;
  model: PreparedModel;
  run: RunSettings;
  placement: LayerPlacement;
}

export interface ComputeBuffers {
  /** Bytes on each device. */
  devices: number[];
  host: number;
}

export function computeBuffers(input: ComputeInput): ComputeBuffers {
  const { architecture, run, placement } = input;
  let a = 0;
  const E = architecture.hiddenSize;
  for (const b of Object.values(architecture.blocks)) {
    const heads = b.attention
      ? b.attention.heads * (b.attention.kind === "compressed" ? b.attention.keyDim : b.attention.valueDim)
      : 0;
    if (b.feedForward) a = Math.max(a, 3 * b.feedForward.size + 2 * E + heads);
    if (b.experts) a = Math.max(a, 3 * b.experts.used * b.experts.size + b.experts.used * E + 2 * E + heads);
  }
  const mask = 2 * run.tokens * run.contextCells;
  const body = 4 * run.tokens * a + mask;
  const logits = 4 * run.outputRows * (architecture.vocabularySize + E);
  return { devices: new Array(placement.deviceCount).fill(Math.max(body, logits)), host: 8 * run.tokens * E + mask };
}
