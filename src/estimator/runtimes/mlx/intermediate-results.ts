import type { Attention, Block, Experts, FeedForward, Recurrent } from "../../architecture/architecture.js";
import type { MlxConstants } from "./mlx.types.js";

/** One prefill step. */
export interface PrefillStep {
  hiddenSize: number;
  /** Tokens of the step, all sequences together. */
  tokens: number;
  /** Entries that attention reads, per sequence. */
  cacheTokens: number;
  fusedHeadDims: MlxConstants["fusedHeadDims"];
}

/** MLX computes in half precision, whatever the weights are packed in. */
const VALUE_BYTES = 2;

/**
 * Bytes of every result that one layer makes in a prefill step. MLX evaluates a graph lazily and frees a result when the
 * command buffers that read it are done, so a layer's results may all be alive at once.
 */
export function layerResults(block: Block, step: PrefillStep): number {
  const { hiddenSize, tokens } = step;
  let values = 0;
  let scores = 0;
  if (block.attention !== undefined) {
    values += attentionValues(block.attention) + 3 * hiddenSize;
    scores += scoreBytes(block.attention, step);
  }
  if (block.recurrent !== undefined) {
    values += recurrentValues(block.recurrent, hiddenSize) + 3 * hiddenSize;
  }
  if (block.feedForward !== undefined) {
    values += denseValues(block.feedForward) + 3 * hiddenSize;
  }
  if (block.experts !== undefined) {
    values += expertValues(block.experts, hiddenSize) + 3 * hiddenSize;
  }
  return tokens * VALUE_BYTES * values + scores;
}

/** Queries, keys and values as projected, normed and rotated; the result and its joined heads. */
function attentionValues(attention: Attention): number {
  switch (attention.kind) {
    case "grouped": {
      const { heads, kvHeads, keyDim, valueDim } = attention;
      return heads * (3 * keyDim + 2 * valueDim) + kvHeads * (3 * keyDim + valueDim);
    }
    case "latent": {
      const { heads, queryRank, kvRank, ropeDim, nopeDim, valueDim } = attention;
      const expanded = nopeDim + valueDim;
      return (
        2 * (queryRank ?? 0) + 3 * (kvRank + ropeDim) + heads * (3 * (nopeDim + ropeDim) + expanded + 2 * valueDim)
      );
    }
    case "compressed": {
      const { heads, keyDim, queryRank, outputGroups, outputRank } = attention;
      return 2 * queryRank + 3 * keyDim + 5 * heads * keyDim + outputGroups * outputRank;
    }
  }
}

/** No fused kernel takes heads of this width, so the scores of a step are stored (`mlx/fast.cpp`). */
export function storesScores(attention: Attention, { fusedHeadDims }: Pick<MlxConstants, "fusedHeadDims">): boolean {
  return attention.kind !== "grouped" || !fusedHeadDims.includes(attention.keyDim);
}

/** Scores and their softmax. */
function scoreBytes(attention: Attention, step: PrefillStep): number {
  if (!storesScores(attention, step)) {
    return 0;
  }
  const window = attention.kind === "latent" ? undefined : attention.window;
  const entries = window === undefined ? step.cacheTokens : Math.min(step.cacheTokens, window.size + step.tokens);
  return 2 * attention.heads * step.tokens * entries * VALUE_BYTES;
}

/** Projections, their convolution, operands of the recurrence and its gated result. */
function recurrentValues(recurrent: Recurrent, hiddenSize: number): number {
  switch (recurrent.kind) {
    case "gated-delta-net": {
      const inner = recurrent.valueHeads * recurrent.valueDim;
      return 3 * (inner + 2 * recurrent.keyHeads * recurrent.keyDim) + 4 * inner;
    }
    case "kimi-delta-attention":
      return 10 * recurrent.heads * recurrent.headDim;
    case "mamba1":
      return 7 * recurrent.innerSize;
    case "mamba2":
      return 6 * recurrent.innerSize + 4 * recurrent.groups * recurrent.stateSize;
    case "short-convolution":
      return 7 * hiddenSize;
    case "lightning":
      return 7 * recurrent.heads * recurrent.headDim;
  }
}

/** Gate, up and their product, which one compiled operation makes. */
function denseValues({ size, gated }: FeedForward): number {
  return (gated ? 3 : 2) * size;
}

/**
 * Tokens sorted by expert, each expert's results, and the rows put back and weighted (mlx-lm, `switch_layers.py`).
 */
function expertValues(experts: Experts, hiddenSize: number): number {
  const width = experts.latentSize ?? hiddenSize;
  const routed = experts.used * (4 * width + (experts.gated ? 3 : 2) * experts.size);
  const shared = experts.shared === undefined ? 0 : (experts.shared.gated ? 3 : 2) * experts.shared.size + hiddenSize;
  return 2 * experts.count + routed + shared;
}
