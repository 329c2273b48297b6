import { describeFailure } from "../data/database-failure.js";
import { ApiError } from "../errors.js";

/**
 * What the database answers.
 * @param otherwise sentence for clients when it does not answer
 * @throws ApiError UNAVAILABLE with that sentence; faults of the statement itself as they are
 */
export async function whileReachable<Result>(work: Promise<Result>, otherwise: string): Promise<Result> {
  try {
    return await work;
  } catch (error) {
    if (describeFailure(error) === null) throw error;
    throw new ApiError("UNAVAILABLE", otherwise);
  }
}
