import { MIB } from "../byte-units.js";
import { EstimateError } from "../estimate-error.js";

/** A CUDA context as measured on a card with so many multiprocessors. */
export interface ContextMeasurement {
  multiprocessors: number;
  mib: number;
}

/**
 * CUDA contexts of a llama.cpp process: an RTX 4060 Ti and an RTX PRO 6000 Blackwell (llama.cpp, pull request 23604,
 * which says that the cost follows the number of multiprocessors).
 */
export const CUDA_CONTEXTS: readonly [ContextMeasurement, ContextMeasurement] = [
  { multiprocessors: 34, mib: 107 },
  { multiprocessors: 188, mib: 555 },
];

/**
 * Bytes of a CUDA context, on the line through two measured cards. 247 MiB for the 82 multiprocessors of an RTX 3090,
 * where PyTorch 2.7 was seen to take 256 (InvokeAI, issue 9413).
 *
 * @throws EstimateError for a number of multiprocessors that is no whole number above zero.
 */
export function cudaContextBytes(multiprocessors: number, measured = CUDA_CONTEXTS): number {
  if (!Number.isInteger(multiprocessors) || multiprocessors < 1) {
    throw new EstimateError(`A card has a whole number of multiprocessors, not ${multiprocessors}.`, [
      "multiprocessors",
    ]);
  }
  const [small, large] = measured;
  const slope = (large.mib - small.mib) / (large.multiprocessors - small.multiprocessors);
  const mib = small.mib + slope * (multiprocessors - small.multiprocessors);
  return Math.ceil(Math.max(mib, 0) * MIB);
}

/**
 * Share by which a measured context exceeds the line through two cards at most: 618 MiB of a bare process on a B300
 * of 148 multiprocessors (public log), where the line gives 439. The line is nearer on other cards: 451 to 456 MiB on
 * an RTX 4090 of 128 (llama.cpp, pull request 15860), 20% above it; 256 on an RTX 3090 of 82 (InvokeAI, issue 9413), 4%.
 */
export const CUDA_CONTEXT_SAFETY_SHARE = 0.41;

/**
 * Bytes to keep free for a CUDA context: what the line gives, and the share by which contexts were seen to exceed it.
 * Cards smaller than the smallest measured are taken for that one, since part of a context is the same on all.
 *
 * @throws EstimateError for a number of multiprocessors that is no whole number above zero.
 */
export function cudaReserveBytes(multiprocessors: number, safetyShare = CUDA_CONTEXT_SAFETY_SHARE): number {
  const bytes = Math.max(cudaContextBytes(multiprocessors), cudaContextBytes(CUDA_CONTEXTS[0].multiprocessors));
  return Math.ceil(bytes * (1 + safetyShare));
}

/** Bytes per card that one NCCL communicator takes, by the number of cards from which on it holds. */
export interface CommunicatorMemory {
  fromRanks: number;
  bytes: number;
}

/** Four A100 over NVLink, all-reduce of 4 MB: 544 MB for two cards, 688 MB for more (nccl, issue 964). */
export const NCCL_COMMUNICATORS: readonly CommunicatorMemory[] = [
  { fromRanks: 2, bytes: 544e6 },
  { fromRanks: 3, bytes: 688e6 },
];

/**
 * Bytes per card of the communication buffers of so many cards that share each matrix; none for one card.
 *
 * @throws EstimateError for a number of cards that is no whole number above zero.
 */
export function communicationBytes(ranks: number, measured = NCCL_COMMUNICATORS): number {
  if (!Number.isInteger(ranks) || ranks < 1) {
    throw new EstimateError(`A group has a whole number of cards, not ${ranks}.`, ["ranks"]);
  }
  return measured.reduce((bytes, entry) => (ranks >= entry.fromRanks ? entry.bytes : bytes), 0);
}
