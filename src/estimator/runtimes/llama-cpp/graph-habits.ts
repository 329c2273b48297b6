import type { Architecture } from "../../architecture/architecture.js";

/**
 * Details of llama.cpp's graph builders that shapes and tensor names do not tell, by GGUF architecture
 * (llama.cpp, src/models/). What is not listed follows the common pattern.
 */
export interface GraphHabits {
  /** The embedding is multiplied by a constant, in a step of its own. */
  scalesEmbedding?: boolean;
  /** Norms are LayerNorm though they have no bias; ggml does not compute these in place. */
  layerNorm?: boolean;
  /**
   * The residual is the first term of the sum after the feed-forward part, or of both sums of a layer; the sum
   * takes over its first term's memory.
   */
  residualFirst?: "feed-forward" | "both";
  /**
   * How the parts of a layer that run side by side are summed: attention's result and then the residual join the
   * feed-forward part's ("attention"), the other way round where absent; it joins attention's ("feed-forward"); or
   * attention's joins the residual first ("residual").
   */
  sumsFirst?: "attention" | "feed-forward" | "residual";
  /** Constants that the config names are multiplied with in steps of their own; elsewhere they are in the weights. */
  appliesMultipliers?: boolean;
  /** The hidden state of every token is kept for a prediction (MTP) head, before or after the final norm. */
  keepsHidden?: "before-norm" | "after-norm";
  /** Rope factors apply to layers without a window only. */
  ropeFactorsInFullOnly?: boolean;
  /** A token's experts get it multiplied by their weights, each a copy; elsewhere their results are multiplied. */
  weighsExpertsFirst?: boolean;
  /** The first layers, so many of them, keep only the gates of their feed-forward network far above the mean. */
  sparseLayers?: number;
  /**
   * The first layers, so many of them, each add a part of the input of their own (features of an image): the
   * embedding is widened by as many parts, which are zero for text (DeepStack).
   */
  stackedLayers?: number;
  /** Experts are picked by the router's logits, not by the probabilities made of them. */
  ranksLogits?: boolean;
  /** Queries whose positions are not rotated are scaled as their position grows. */
  scalesUnrotated?: boolean;
  /** Queries and keys are normed after their positions are rotated, not before. */
  normsAfterRope?: boolean;
  /** Numbers that make up a token's position, where it is more than one (M-RoPE). */
  positionsPerToken?: number;
  /** Values are normed before they are cached. */
  normsValues?: boolean;
  /** Positions are not rotated: in every n-th layer, 1 for none at all. */
  unrotatedEvery?: number;
  /** Positions are rotated in models of so many layers only: the others are taken for ones with biases (ALiBi). */
  rotatedWithLayers?: number;
  /** The indexer's weights are loaded, but it is neither run nor cached. */
  skipsIndexer?: boolean;
  /** The chosen experts' weights are used as the router gives them, not divided by their sum. */
  keepsExpertWeights?: boolean;
  /** Keys and queries of the linear layers are repeated to the number of value heads. */
  repeatsKeys?: boolean;
  /** The gate on attention's result is reshaped after its sigmoid, so that the product takes memory of its own. */
  reshapesGate?: boolean;
  /** The tied output is loaded before the embedding, so that host memory holds the table twice. */
  loadsTiedOutputFirst?: boolean;
}

const SCALED: GraphHabits = { scalesEmbedding: true };
/** Time, height, width and one more (llama-hparams.cpp, n_pos_per_embd). */
const M_ROPE: GraphHabits = { positionsPerToken: 4 };
/** Three layers of the vision tower are handed on beside its last (models/qwen3vl.cpp, n_deepstack_layers). */
const DEEPSTACK: GraphHabits = { ...M_ROPE, stackedLayers: 3 };
const GRANITE: GraphHabits = { appliesMultipliers: true };

const HABITS: Readonly<Record<string, GraphHabits>> = {
  "command-r": { layerNorm: true },
  cohere2: { layerNorm: true },
  dbrx: { layerNorm: true },
  deepseek: { keepsExpertWeights: true },
  "llada-moe": { keepsExpertWeights: true },
  olmoe: { keepsExpertWeights: true },
  qwen2moe: { keepsExpertWeights: true },
  baichuan: { rotatedWithLayers: 32 },
  falcon: { sumsFirst: "attention" },
  phi2: { sumsFirst: "feed-forward" },
  stablelm: { sumsFirst: "residual" },
  bert: { unrotatedEvery: 1 },
  "jina-bert-v2": { unrotatedEvery: 1 },
  "modern-bert": { layerNorm: true },
  phi3: { residualFirst: "feed-forward" },
  phimoe: { residualFirst: "feed-forward" },
  gemma: SCALED,
  gemma2: SCALED,
  gemma3: SCALED,
  "gemma-embedding": SCALED,
  gemma3n: { scalesEmbedding: true, normsValues: true, sparseLayers: 10, loadsTiedOutputFirst: true },
  gemma4: {
    scalesEmbedding: true,
    keepsHidden: "after-norm",
    ropeFactorsInFullOnly: true,
    normsValues: true,
    loadsTiedOutputFirst: true,
  },
  granite: GRANITE,
  granitemoe: GRANITE,
  granitehybrid: GRANITE,
  "hunyuan-dense": { normsAfterRope: true },
  "hunyuan-moe": { normsAfterRope: true },
  llama4: { weighsExpertsFirst: true, keepsExpertWeights: true, ranksLogits: true, scalesUnrotated: true },
  jamba: { residualFirst: "both", unrotatedEvery: 1, keepsExpertWeights: true },
  nemotron_h: { unrotatedEvery: 1 },
  nemotron_h_moe: { unrotatedEvery: 1 },
  smollm3: { unrotatedEvery: 4 },
  minicpm: SCALED,
  minicpm3: SCALED,
  lfm2: { residualFirst: "both" },
  lfm2moe: { residualFirst: "both" },
  "glm-dsa": { skipsIndexer: true },
  "kimi-linear": { unrotatedEvery: 1 },
  step35: { keepsHidden: "before-norm", ropeFactorsInFullOnly: true },
  qwen2vl: M_ROPE,
  qwen3vl: DEEPSTACK,
  qwen3vlmoe: DEEPSTACK,
  qwen35: { ...M_ROPE, keepsHidden: "after-norm" },
  qwen35moe: { ...M_ROPE, keepsHidden: "after-norm" },
  qwen3next: { repeatsKeys: true, reshapesGate: true },
};

const COMMON: GraphHabits = {};

/** True when a layer's positions are not rotated though its description does not say so. */
export function isUnrotated(habits: GraphHabits, layer: number): boolean {
  return habits.unrotatedEvery !== undefined && (layer + 1) % habits.unrotatedEvery === 0;
}

/** True where a layer adds a part of the input of its own. */
export function isStacked(habits: GraphHabits, layer: number): boolean {
  return layer < (habits.stackedLayers ?? 0);
}

/** True where a layer's feed-forward network keeps few of its gates. */
export function isSparse(habits: GraphHabits, layer: number): boolean {
  return layer < (habits.sparseLayers ?? 0);
}

export function graphHabits(architecture: Architecture): GraphHabits {
  const habits = HABITS[architecture.ggufArchitecture ?? ""] ?? COMMON;
  const { rotatedWithLayers = architecture.layers.length } = habits;
  return rotatedWithLayers === architecture.layers.length ? habits : { ...habits, unrotatedEvery: 1 };
}
