import type {
  Attention,
  Block,
  CompressedAttention,
  Experts,
  FeedForward,
  GroupedAttention,
  LatentAttention,
  Recurrent,
} from "../../architecture/architecture.js";
import type { TransformersConstants, TransformersSettings } from "./transformers.types.js";

/** What a forward pass works on. */
export interface ForwardPass {
  hiddenSize: number;
  /** Parallel residual streams. */
  streams: number;
  /** Tokens of the pass, all sequences together. */
  tokens: number;
  /** Entries that attention reads in a layer without a window, per sequence. */
  cacheTokens: number;
  /** Bytes of one value of the residual stream. */
  valueBytes: number;
  attention: TransformersSettings["attention"];
  experts: TransformersConstants["experts"];
}

/** A layer's live memory at the two points where it is largest. All sizes are bytes. */
export interface LayerPeak {
  mixer: number;
  feedForward: number;
}

const F32_BYTES = 4;
/** Token ids and one-hot tables of PyTorch. */
const I64_BYTES = 8;

/**
 * Live memory of a layer while it runs, without weights and cache. PyTorch frees a tensor when nothing refers to it,
 * so what counts is what Python still holds: the embedded input of the model, the layer's input, the residual and the
 * normed input all through the layer, and what the running module made (transformers, `models/llama/modeling_llama.py`
 * and its kin). 2 x (3 x 18944 + 4 x 3584) = 142,336 bytes per token for Qwen2.5-7B, as measured.
 */
export function layerPeak(block: Block, pass: ForwardPass): LayerPeak {
  const { hiddenSize, streams, tokens, valueBytes } = pass;
  const held = tokens * valueBytes * hiddenSize;
  // The model's input and the normed input are one stream wide, the layer's input and the residual all streams.
  const aroundMixer = held * (2 + streams);
  const aroundFeedForward = held * (2 + 2 * streams);
  return {
    mixer: aroundMixer + mixerBytes(block, pass),
    feedForward: aroundFeedForward + feedForwardBytes(block, pass),
  };
}

function mixerBytes(block: Block, pass: ForwardPass): number {
  const attention = block.attention === undefined ? 0 : attentionBytes(block.attention, pass);
  const recurrent =
    block.recurrent === undefined
      ? 0
      : pass.tokens * pass.valueBytes * recurrentValues(block.recurrent, pass.hiddenSize);
  // Where both run in one layer, the first one's result waits for the second.
  return Math.max(attention, recurrent);
}

function attentionBytes(attention: Attention, pass: ForwardPass): number {
  switch (attention.kind) {
    case "grouped":
      return groupedBytes(attention, pass);
    case "latent":
      return latentBytes(attention, pass);
    case "compressed":
      return compressedBytes(attention, pass);
  }
}

/** Rotation holds the states, their products with cosine and sine and the half-turned copy; a kernel, its operands. */
function groupedBytes(attention: GroupedAttention, pass: ForwardPass): number {
  const { heads, kvHeads, keyDim, valueDim, gatedQuery, window } = attention;
  const { tokens, valueBytes } = pass;
  const projected = kvHeads * (keyDim + valueDim) + (gatedQuery ? heads * keyDim : 0);
  const rotation = 4 * heads * keyDim;
  const entries = window === undefined ? pass.cacheTokens : Math.min(pass.cacheTokens, window.size + tokens);
  const kernel = tokens * valueBytes * (heads * keyDim + 2 * heads * valueDim);
  return (
    tokens * valueBytes * projected +
    Math.max(tokens * valueBytes * rotation, kernel + readBytes(heads, kvHeads, keyDim + valueDim, entries, pass))
  );
}

/**
 * What attention holds of the entries it reads: keys and values repeated for every head, unless the kernel takes
 * groups; and with "eager" the scores: in the model's type, in single precision and the softmax of those.
 */
function readBytes(heads: number, kvHeads: number, width: number, entries: number, pass: ForwardPass): number {
  if (pass.attention === "FLASH_ATTENTION_2") {
    return 0;
  }
  const repeated = heads === kvHeads ? 0 : entries * heads * width * pass.valueBytes;
  if (pass.attention === "SDPA") {
    return repeated;
  }
  const perScore = pass.valueBytes === F32_BYTES ? 2 * F32_BYTES : pass.valueBytes + 2 * F32_BYTES;
  const mask = pass.tokens * entries * pass.valueBytes;
  return repeated + mask + pass.tokens * entries * heads * perScore;
}

/** Queries as projected, as rotated and joined; the expanded keys and values; the joined keys; the result. */
function latentBytes(attention: LatentAttention, pass: ForwardPass): number {
  const { heads, queryRank, kvRank, ropeDim, nopeDim, valueDim } = attention;
  const keyDim = nopeDim + ropeDim;
  const values =
    (queryRank ?? 0) + kvRank + ropeDim + heads * (3 * keyDim + (nopeDim + valueDim) + keyDim + 2 * valueDim);
  const scores = readBytes(heads, heads, keyDim + valueDim, pass.cacheTokens, pass);
  return pass.tokens * pass.valueBytes * values + scores;
}

function compressedBytes(attention: CompressedAttention, pass: ForwardPass): number {
  const { heads, keyDim, queryRank, outputGroups, outputRank } = attention;
  const values = queryRank + keyDim + heads * keyDim * 5 + outputGroups * outputRank;
  return pass.tokens * pass.valueBytes * values + readBytes(heads, heads, keyDim, pass.cacheTokens, pass);
}

/** Projections, their convolution, operands of the recurrence and its gated result, in values per token. */
function recurrentValues(recurrent: Recurrent, hiddenSize: number): number {
  switch (recurrent.kind) {
    case "gated-delta-net": {
      const inner = recurrent.valueHeads * recurrent.valueDim;
      const mixed = inner + 2 * recurrent.keyHeads * recurrent.keyDim;
      return 2 * mixed + 2 * recurrent.valueHeads * recurrent.keyDim + 3 * inner;
    }
    case "kimi-delta-attention":
      return 9 * recurrent.heads * recurrent.headDim;
    case "mamba1":
      return 6 * recurrent.innerSize;
    case "mamba2":
      return 5 * recurrent.innerSize + 4 * recurrent.groups * recurrent.stateSize;
    case "short-convolution":
      return 6 * hiddenSize;
    case "lightning":
      return 6 * recurrent.heads * recurrent.headDim;
  }
}

function feedForwardBytes(block: Block, pass: ForwardPass): number {
  const dense = block.feedForward === undefined ? 0 : denseBytes(block.feedForward, pass);
  return block.experts === undefined ? dense : Math.max(dense, expertBytes(block.experts, pass));
}

/** The activated gate, the up projection and their product; where the two are one matrix, that result as well. */
function denseBytes({ size, gated, fusedGateUp }: FeedForward, pass: ForwardPass): number {
  const widths = gated ? (fusedGateUp ? 4 : 3) : 2;
  return pass.tokens * pass.valueBytes * widths * size;
}

/**
 * Router scores in both precisions, the summed result, and either the one-hot table and one expert's rows (all tokens
 * may choose the same one) or the rows of every token and expert at once (transformers, `models/qwen3_moe`,
 * `integrations/moe.py`). A shared expert runs after them.
 */
function expertBytes(experts: Experts, pass: ForwardPass): number {
  const { tokens, valueBytes, hiddenSize } = pass;
  const width = experts.latentSize ?? hiddenSize;
  const inner = experts.gated ? 3 * experts.size : 2 * experts.size;
  const router = tokens * experts.count * (valueBytes + F32_BYTES);
  const summed = tokens * hiddenSize * valueBytes;
  const routed =
    pass.experts === "LOOP"
      ? tokens * (experts.used * experts.count * I64_BYTES + valueBytes * (2 * width + inner))
      : tokens * experts.used * valueBytes * Math.max(width + inner + experts.size, 3 * width + experts.size);
  const shared =
    experts.shared === undefined
      ? 0
      : tokens * valueBytes * ((experts.shared.gated ? 3 : 2) * experts.shared.size + hiddenSize);
  return router + summed + Math.max(routed, shared);
}
