import type { Block, PlainTensor } from "./architecture.js";
import { joinParts, plain } from "./block-parts.js";

export interface PredictionParts {
  /** Norm before the shared output matrix, by its name within the block; none if null. */
  headNorm?: string | null;
  /** The block has an embedding and an output matrix of its own, of this vocabulary (GLM-4.5). */
  ownVocabulary?: number | undefined;
  /** That embedding and output matrix are in the checkpoint, but not in a GGUF file. */
  isVocabularyLeftOut?: boolean;
  /** The block has an output matrix of its own, of this vocabulary, but no embedding (Step-3.5). */
  ownOutput?: number | undefined;
}

/** Equal blocks, one for each predicted token; none is described where there are none. */
export function repeatBlock(describe: () => Block, count: number): Block[] {
  return count === 0 ? [] : new Array<Block>(count).fill(describe());
}

/**
 * A prediction block (MTP, DeepSeek-V3's design): an ordinary layer, whose input is the projection of the next
 * token's embedding and the last hidden state, each with its norm.
 */
export function predictionBlock(layer: Block, hiddenSize: number, parts: PredictionParts = {}): Block {
  const headNorm = parts.headNorm === undefined ? "nextn.shared_head_norm.weight" : parts.headNorm;
  return joinParts(layer, {
    tensors: [
      plain("nextn.eh_proj.weight", [2 * hiddenSize, hiddenSize], "NEXT_TOKEN_PREDICTION"),
      plain("nextn.enorm.weight", [hiddenSize], "NEXT_TOKEN_PREDICTION"),
      plain("nextn.hnorm.weight", [hiddenSize], "NEXT_TOKEN_PREDICTION"),
      ...(headNorm === null ? [] : [plain(headNorm, [hiddenSize], "NEXT_TOKEN_PREDICTION")]),
      ...vocabularyMatrix("nextn.embed_tokens.weight", hiddenSize, parts.ownVocabulary, parts),
      ...vocabularyMatrix("nextn.shared_head_head.weight", hiddenSize, parts.ownVocabulary ?? parts.ownOutput, parts),
    ],
  });
}

function vocabularyMatrix(
  name: string,
  hiddenSize: number,
  vocabulary: number | undefined,
  { isVocabularyLeftOut }: PredictionParts,
): PlainTensor[] {
  if (vocabulary === undefined) return [];
  const matrix = plain(name, [hiddenSize, vocabulary], "NEXT_TOKEN_PREDICTION");
  return [isVocabularyLeftOut ? { ...matrix, isLeftOutOfGguf: true } : matrix];
}
