import { BadUserInputError } from "../../errors.js";
import { inTurns } from "../turns.js";
import type { ArgumentPath, EstimateFailureModel, EstimateInput, EstimateModel, EstimationService } from "./types.js";

/** Most inputs of one request. */
const MAX_INPUTS = 100;

/**
 * Estimates several inputs; each that makes no sense becomes a failure in its place.
 * @throws BadUserInputError for too many of them; the signal's reason when nobody waits for them any more
 */
export async function estimateEach(
  estimation: EstimationService,
  inputs: readonly EstimateInput[],
  path: ArgumentPath,
  signal?: AbortSignal,
): Promise<(EstimateModel | EstimateFailureModel)[]> {
  if (inputs.length > MAX_INPUTS) {
    throw new BadUserInputError(`At most ${MAX_INPUTS} inputs at once, not ${inputs.length}.`, path);
  }
  const outcomes: (EstimateModel | EstimateFailureModel)[] = [];
  await inTurns(
    inputs.entries(),
    ([index, input]) => {
      outcomes.push(estimateOne(estimation, input, [...path, String(index)]));
    },
    signal,
  );
  return outcomes;
}

/** Estimates one input; one that makes no sense becomes a failure. */
export function estimateOne(
  estimation: EstimationService,
  input: EstimateInput,
  path: ArgumentPath,
): EstimateModel | EstimateFailureModel {
  try {
    return estimation.estimate(input, path);
  } catch (error) {
    if (!(error instanceof BadUserInputError)) throw error;
    return { code: error.extensions.code, message: error.message, field: error.argument };
  }
}

/** Tells the two outcomes apart. */
export function isFailure(outcome: EstimateModel | EstimateFailureModel): outcome is EstimateFailureModel {
  return "code" in outcome;
}
