import type { Architecture } from "../architecture/architecture.js";
import type { EstimateRequest } from "../estimate.types.js";
import { EstimateError } from "../estimate-error.js";
import { F16_CACHE } from "../kv-cache/cache-type.js";
import { blockCaches } from "../kv-cache/layer-caches.js";
import { layerCacheBytes } from "../kv-cache/summarize-cache.js";
import { storeGroups } from "../quantization/store-tensors.js";
import { countText, sizeText } from "../size-text.js";
import { sumOf } from "../sum-of.js";
import { groupPredictionTensors } from "../tensors/list-tensors.js";
import { countMembers } from "../tensors/tensor.js";
import type { Consumer, ConsumerPlace, PredictionHead } from "./consumers.types.js";
import { placeAtEnd, placeByLayer } from "./place-shares.js";

/** Most tokens an engine guesses ahead. */
const MOST_DRAFT_TOKENS = 64;
const F32_BYTES = 4;
/** Tokens computed at once where the engine does not say (llama.cpp, n_ubatch). */
const DEFAULT_BATCH_TOKENS = 512;
/** Rows as wide as the residual stream beside the logits: the two halves of the input, their projection, the result. */
const ROWS_BESIDE_LOGITS = 4;

/** @throws EstimateError for a number of guesses that makes no sense. */
export function checkPredictionHead({ draftTokens }: PredictionHead): void {
  if (!Number.isInteger(draftTokens) || draftTokens < 1 || draftTokens > MOST_DRAFT_TOKENS) {
    throw new EstimateError(`draftTokens must be a whole number from 1 to ${MOST_DRAFT_TOKENS}, not ${draftTokens}.`, [
      "predictionHead",
      "draftTokens",
    ]);
  }
}

/**
 * The model's own prediction blocks.
 *
 * @throws EstimateError where it has none.
 */
export function predictionBlocks({ nextTokenPrediction }: Architecture): NonNullable<typeof nextTokenPrediction> {
  if (nextTokenPrediction === undefined || nextTokenPrediction.layers.length === 0) {
    throw new EstimateError(
      "This model has no prediction blocks: use a draft model instead.",
      ["predictionHead"],
      "EXTRA_NOT_APPLICABLE",
    );
  }
  return nextTokenPrediction;
}

/**
 * A model's own prediction blocks used for speculative decoding: their weights and cache, the logits of their context,
 * and one more recurrent state for each guessed token, which is what a rejected guess falls back to (llama.cpp,
 * July 2026; vLLM, speculative blocks of Mamba layers).
 *
 * What llama.cpp allocates even without speculation is not counted a second time.
 *
 * @throws EstimateError where the model has no prediction blocks, or for a number of guesses that makes no sense.
 */
export function layOutPredictionHead(request: EstimateRequest, head: PredictionHead, place: ConsumerPlace): Consumer {
  const { architecture, contextTokens, sequences, scheme, runtime } = request;
  const prediction = predictionBlocks(architecture);
  const { draftTokens } = head;
  checkPredictionHead(head);
  const isLlamaCpp = runtime.kind === "llama-cpp";
  const isLoaded = isLlamaCpp && prediction.inGguf && prediction.loadedByLlamaCpp;
  const isCached = isLlamaCpp && prediction.inGguf && prediction.cachedByLlamaCpp;
  const typeK = request.cacheTypeK ?? F16_CACHE;
  const settings = {
    contextTokens,
    sequences,
    unified: runtime.kind === "llama-cpp" && runtime.settings.kvUnified,
    swaFull: false,
    ubatchTokens: batchTokens(request),
    typeK,
    typeV: request.cacheTypeV ?? typeK,
  };
  const cachesOf = (name: string) => {
    const block = architecture.blocks[name];
    return block === undefined ? [] : blockCaches(block, architecture.hiddenSize, settings);
  };
  const weights = isLoaded
    ? 0
    : sumOf(
        storeGroups(architecture, groupPredictionTensors(architecture), scheme),
        (group) => countMembers(group) * group.bytes,
      );
  const cache = isCached ? 0 : prediction.layers.reduce((sum, name) => sum + layerCacheBytes(cachesOf(name)), 0);
  const compute =
    batchTokens(request) * (architecture.vocabularySize + ROWS_BESIDE_LOGITS * architecture.hiddenSize) * F32_BYTES;
  const states = architecture.layers.map(
    (name) => draftTokens * layerCacheBytes(cachesOf(name).filter((entry) => entry.kind === "RECURRENT")),
  );
  const stateBytes = states.reduce((sum, bytes) => sum + bytes, 0);
  const atEnd = placeAtEnd(weights + cache + compute, place.layersByDevice);
  const byLayer = placeByLayer(states, place.layersByDevice);
  return {
    kind: "PREDICTION_HEAD",
    bytesByDevice: atEnd.bytesByDevice.map((bytes, device) => bytes + (byLayer.bytesByDevice[device] ?? 0)),
    hostBytes: atEnd.hostBytes + byLayer.hostBytes,
    step: {
      title: "Prediction head",
      formula: [
        `${prediction.layers.length} blocks: weights ${isLoaded ? "already loaded" : sizeText(weights)}`,
        `cache ${isCached ? "already allocated" : sizeText(cache)}`,
        `logits of ${countText(batchTokens(request))} tokens ${sizeText(compute)}`,
        ...(stateBytes > 0 ? [`${draftTokens} more recurrent states ${sizeText(stateBytes)}`] : []),
      ].join(" + "),
      result: sizeText(weights + cache + compute + stateBytes),
      source: "llama.cpp, pull request 23269 and start-up logs of MTP contexts; vLLM, v1/spec_decode",
    },
  };
}

function batchTokens({ runtime, contextTokens, sequences }: EstimateRequest): number {
  const tokens = runtime.kind === "llama-cpp" ? runtime.settings.ubatchSize : DEFAULT_BATCH_TOKENS;
  return Math.min(tokens, contextTokens * sequences);
}
