import type { Architecture } from "../architecture/architecture.js";
import type { EstimateRequest, RuntimeRequest } from "../estimate.types.js";
import { EstimateError } from "../estimate-error.js";
import { countText } from "../size-text.js";
import type { ExtraConsumers } from "./consumers.types.js";
import { checkDisplay } from "./lay-out-consumers.js";
import { checkLora } from "./lora.js";
import { checkPredictionHead, predictionBlocks } from "./prediction-head.js";
import { towerParameters } from "./vision-encoder.js";

/**
 * Tokens by which the vocabularies of a model and its draft may differ; any number where absent. llama.cpp:
 * common/speculative.cpp, SPEC_VOCAB_MAX_SIZE_DIFFERENCE (some families pad the vocabularies of their sizes
 * differently); vLLM: config/speculative.py, verify_equal_vocab_size_if_draft_model.
 */
const VOCABULARY_TOLERANCE: Partial<Record<RuntimeRequest["kind"], number>> = { "llama-cpp": 128, vllm: 0 };

/**
 * Checks what does not depend on the model.
 *
 * @throws EstimateError for numbers that make no sense; its `path` begins with `extras`.
 */
export function requireSensible({ lora, predictionHead, displayReserveBytes }: ExtraConsumers): void {
  blameExtras(() => {
    if (lora !== undefined) checkLora(lora);
    if (predictionHead !== undefined) checkPredictionHead(predictionHead);
    if (displayReserveBytes !== undefined) checkDisplay(displayReserveBytes);
  });
}

/** Problems of a consumer are told under `extras`. */
export function blameExtras<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof EstimateError) {
      throw new EstimateError(error.message, ["extras", ...error.path], error.code);
    }
    throw error;
  }
}

/**
 * Checks that a model can have what is to stand beside it, before anything is laid out.
 *
 * @throws EstimateError for what the model does not have, and for a draft model of another vocabulary; its `path` begins
 * with `extras`.
 */
export function requireApplicable({ architecture, runtime }: EstimateRequest, extras: ExtraConsumers): void {
  const { draftModel, predictionHead, vision } = extras;
  blameExtras(() => {
    if (draftModel !== undefined) requireVocabulary(architecture, draftModel.request.architecture, runtime.kind);
    if (predictionHead !== undefined) predictionBlocks(architecture);
    if (vision !== undefined) towerParameters(architecture);
  });
}

function requireVocabulary(model: Architecture, draft: Architecture, engine: RuntimeRequest["kind"]): void {
  const tolerance = VOCABULARY_TOLERANCE[engine] ?? Number.POSITIVE_INFINITY;
  if (Math.abs(model.vocabularySize - draft.vocabularySize) > tolerance) {
    throw new EstimateError(
      `The draft model has another vocabulary: ${countText(draft.vocabularySize)} tokens, the model ${countText(model.vocabularySize)}. Take a draft model of the same family.`,
      ["draftModel"],
      "EXTRA_NOT_APPLICABLE",
    );
  }
}
