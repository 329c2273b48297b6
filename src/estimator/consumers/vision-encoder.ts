import type { Architecture } from "../architecture/architecture.js";
import { MIB } from "../byte-units.js";
import { EstimateError } from "../estimate-error.js";
import { countText, sizeText } from "../size-text.js";
import type { Consumer, ConsumerPlace, VisionEncoder, VisionTower } from "./consumers.types.js";
import { placeAtStart } from "./place-shares.js";

const F32_BYTES = 4;
const CHANNELS = 3;

const BITS: Readonly<Record<VisionEncoder["storage"], number>> = { F16: 16, BF16: 16, Q8_0: 8.5, F32: 32 };
const F32_BITS = 32;
const BITS_PER_BYTE = 8;
/**
 * Share of a tower's values that stays in single precision: positions, biases, norms and the patch projection. Files
 * of Qwen3.6-27B and Gemma 3 towers are 1.1% and 1.4% larger than two bytes per parameter.
 */
const SINGLE_PRECISION_SHARE = 0.015;
/**
 * Compute buffer where the tower's shape is not given: llama.cpp reserves 248.10 MiB, and 24.93 in host memory, for an
 * image of 1472 x 1472 through a tower 1152 wide (Qwen3.6-27B, flash attention, log of May 2026).
 */
const TYPICAL_COMPUTE_BYTES = 256 * MIB;
const TYPICAL_HOST_BYTES = 25 * MIB;
/** Rows of the residual stream that are alive beside the feed-forward step. */
const STREAM_ROWS = 3;
/** Rows alive beside stored scores: those, and queries, keys and values before and after rotation. */
const ROWS_BESIDE_SCORES = 9;
/** A patch has a position in four sections, each an integer of four bytes (rotation in two dimensions). */
const POSITION_BYTES = 4 * 4;

/**
 * Parameters of a model's towers together.
 *
 * @throws EstimateError where the model has none.
 */
export function towerParameters({ encoders = [] }: Architecture): number {
  const parameters = encoders.reduce((sum, encoder) => sum + encoder.parameters, 0);
  if (parameters === 0) {
    throw new EstimateError(
      "This model is not known to have a vision or audio tower.",
      ["vision"],
      "EXTRA_NOT_APPLICABLE",
    );
  }
  return parameters;
}

/**
 * The towers of a multimodal model (an mmproj file): their parameters as stored, and the buffer for one image. llama.cpp
 * puts them on the first device and keeps the image in host memory.
 *
 * @throws EstimateError where the model has no towers, or for a shape that makes no sense.
 */
export function layOutVisionEncoder(architecture: Architecture, vision: VisionEncoder, place: ConsumerPlace): Consumer {
  const parameters = towerParameters(architecture);
  const bits = BITS[vision.storage];
  const meanBits = bits + SINGLE_PRECISION_SHARE * Math.max(F32_BITS - bits, 0);
  const weights = Math.ceil((parameters * meanBits) / BITS_PER_BYTE);
  const { compute, host, formula } = computeBuffer(vision);
  const placed = placeAtStart(weights + compute, place.layersByDevice);
  return {
    kind: "VISION_ENCODER",
    bytesByDevice: placed.bytesByDevice,
    hostBytes: placed.hostBytes + host,
    step: {
      title: "Vision encoder",
      formula: `${countText(parameters)} parameters x ${meanBits.toFixed(2)} bits (${vision.storage}) = ${sizeText(weights)}; compute buffer ${formula}`,
      result: sizeText(weights + compute),
      source: "llama.cpp, tools/mtmd/clip.cpp: the tower's tensors, and the graph of the largest image",
    },
  };
}

function computeBuffer(vision: VisionEncoder): { compute: number; host: number; formula: string } {
  const { tower } = vision;
  if (tower === undefined) {
    return {
      compute: TYPICAL_COMPUTE_BYTES,
      host: TYPICAL_HOST_BYTES,
      formula: `${sizeText(TYPICAL_COMPUTE_BYTES)} as measured for an image of 1472 x 1472`,
    };
  }
  requireTower(tower);
  const { hiddenSize, feedForwardSize, heads, patches, patchSize } = tower;
  const host = patches * (patchSize * patchSize * CHANNELS * F32_BYTES + POSITION_BYTES);
  const storesScores = vision.flashAttention === false;
  const feedForward = patches * (feedForwardSize + STREAM_ROWS * hiddenSize) * F32_BYTES;
  const scores = heads * patches * patches * F32_BYTES + patches * ROWS_BESIDE_SCORES * hiddenSize * F32_BYTES;
  return {
    compute: storesScores ? Math.max(feedForward, scores) : feedForward,
    host,
    formula: `${countText(patches)} patches x (${feedForwardSize} + ${STREAM_ROWS} x ${hiddenSize}) x 4 bytes${storesScores ? `, or ${heads} x ${countText(patches)}^2 scores x 4 bytes` : ""}`,
  };
}

function requireTower(tower: VisionTower): void {
  for (const [name, value] of Object.entries(tower)) {
    if (!Number.isInteger(value) || value < 1 || value > 2 ** 24) {
      throw new EstimateError(`${name} must be a whole number from 1 to ${2 ** 24}, not ${value}.`, [
        "vision",
        "tower",
        name,
      ]);
    }
  }
}
