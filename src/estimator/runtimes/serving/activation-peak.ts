import type { Architecture } from "../../architecture/architecture.js";
import { GIB } from "../../byte-units.js";
import type { ParallelPlan } from "../../placement/parallel-plans.js";
import type { ConstantReader } from "../version-constants.js";

/** How an engine's version computes; measured, data of the Runtime row. */
export interface ActivationConstants {
  /** Single-precision copies of the logits alive at once while tokens are sampled. */
  logitsCopies: number;
  /** Workspaces of the matrix libraries. */
  baseGib: number;
  /** What the largest image or sound takes beside, where the model has a tower. */
  encoderGib: number;
  /** The experts' workspace stays allocated while tokens are sampled. */
  expertWorkspaceKept: boolean;
}

export function readActivationConstants(row: ConstantReader): ActivationConstants {
  return {
    logitsCopies: row.number("logitsCopies"),
    baseGib: row.number("baseGib"),
    encoderGib: row.number("encoderGib"),
    expertWorkspaceKept: row.flag("expertWorkspaceKept"),
  };
}

/** CUDA graphs: recorded once for each of a list of batch sizes. */
export interface GraphConstants {
  /** Memory of a full list (`fullSizes` sizes): a fixed part, one per layer, and one more where there are experts. */
  baseGib: number;
  gibPerLayer: number;
  expertGib: number;
  fullSizes: number;
}

export function readGraphConstants(row: ConstantReader): GraphConstants {
  return {
    baseGib: row.number("baseGib"),
    gibPerLayer: row.number("gibPerLayer"),
    expertGib: row.number("expertGib"),
    fullSizes: row.count("fullSizes"),
  };
}

/** What one step of the engine computes at most. */
export interface StepSize {
  /** Tokens of the step. */
  tokens: number;
  /** Sequences whose next token is sampled. */
  sequences: number;
}

const BYTES_PER_ACTIVATION = 2;
const BYTES_PER_LOGIT = 4;
/** Residual, normed input and output of a layer beside the widest intermediate result. */
const RESIDUAL_COPIES = 3;
/** Results of gate and up, and their product. */
const GATED_COPIES = 3;
const PLAIN_COPIES = 2;

/** The parts of the peak on one device, bytes. */
export interface ActivationPeak {
  logits: number;
  hidden: number;
  experts: number;
  forward: number;
  /** What stays whatever is computed. */
  base: number;
  bytes: number;
}

/**
 * Most that activations take on one device: either while the widest layer is computed over all tokens of a step, or
 * while the last stage samples, with several copies of the logits.
 *
 * Fitted to start-up logs of vLLM 0.7 to 0.19 (llm-d-planner pull request 205, unsloth notebooks): within 0.1 GiB for
 * dense models; the experts' workspace is that of vLLM, layers/fused_moe (intermediate caches of one step).
 */
export function activationPeak(
  architecture: Architecture,
  plan: ParallelPlan,
  step: StepSize,
  constants: ActivationConstants,
  isLastStage: boolean,
): ActivationPeak {
  const { hiddenSize, vocabularySize, residualStreams = 1, encoders = [] } = architecture;
  const devices = plan.tensorParallel;
  const perToken = step.tokens * BYTES_PER_ACTIVATION;
  const towers = encoders.length > 0 ? 1 : 0;
  const hidden = perToken * hiddenSize * (residualStreams + towers);
  let widest = 0;
  let experts = 0;
  for (const block of Object.values(architecture.blocks)) {
    const { feedForward, experts: mixture } = block;
    if (feedForward !== undefined) {
      const copies = feedForward.gated ? GATED_COPIES : PLAIN_COPIES;
      widest = Math.max(widest, (copies * feedForward.size) / devices);
    }
    if (mixture !== undefined) {
      const width = plan.expertParallel ? mixture.size : mixture.size / devices;
      const inputWidth = mixture.latentSize ?? hiddenSize;
      const projected = mixture.gated ? 2 * width : width;
      experts = Math.max(experts, perToken * (mixture.used * (Math.max(projected, inputWidth) + width) + inputWidth));
    }
  }
  const forward = perToken * (RESIDUAL_COPIES * hiddenSize * residualStreams + widest) + experts;
  const logits =
    isLastStage && architecture.hasOutput
      ? constants.logitsCopies * BYTES_PER_LOGIT * step.sequences * vocabularySize
      : 0;
  const base = (constants.baseGib + towers * constants.encoderGib) * GIB;
  const sampling = logits + hidden + (constants.expertWorkspaceKept ? experts : 0);
  return { logits, hidden, experts, forward, base, bytes: Math.ceil(Math.max(forward, sampling) + base) };
}

/** Batch sizes that graphs are recorded for: 1, 2, 4, then every 8 up to 256, then every 16 (vLLM, config/vllm.py). */
export function countGraphSizes(largest: number): number {
  const [dense, denseStep, sparseStep] = [256, 8, 16];
  const small = [1, 2, 4].filter((size) => size <= largest).length;
  return (
    small + Math.floor(Math.min(largest, dense) / denseStep) + Math.max(0, Math.floor((largest - dense) / sparseStep))
  );
}

/** Memory of the graphs of one device, bytes; measured between 0.5 and 1.9 GiB for a full list (vLLM 0.19). */
export function graphBytes(
  architecture: Architecture,
  layers: number,
  sizes: number,
  constants: GraphConstants,
): number {
  const hasExperts = Object.values(architecture.blocks).some(({ experts }) => experts !== undefined);
  const full = constants.baseGib + constants.gibPerLayer * layers + (hasExperts ? constants.expertGib : 0);
  return Math.ceil(((full * sizes) / constants.fullSizes) * GIB);
}
