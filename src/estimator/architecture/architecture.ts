/**
 * The description of a language model that the estimator works from: every word in it is something
 * that takes memory. A family of models is a mapping from its config.json to this description
 * (see the files beside this one); cache, weights and runtimes read the description and never ask
 * which model it is.
 *
 * Shapes follow GGUF: `[ne0, ne1, ne2]`, the input width (the contiguous dimension) first.
 * Plain data throughout: it is stored as JSON in the catalogue.
 */
export interface Architecture {
  /** Version of this description's own format. */
  schemaVersion: 1;
  /** Hugging Face `model_type` of the text model, e.g. "deepseek_v3". */
  modelType: string;
  /** GGUF `general.architecture`, e.g. "deepseek2"; null where llama.cpp does not load the model. */
  ggufArchitecture: string | null;
  vocabularySize: number;
  /** Width of the residual stream (`n_embd`). */
  hiddenSize: number;
  /** Parallel residual streams, each `hiddenSize` wide (hyper-connections, AltUp); 1 if absent. */
  residualStreams?: number;
  /** Activations that the config names a constant for: the embedding is multiplied by it, or what joins the residual. */
  multipliers?: Multiplier[];
  /** Tokens the model was trained or extended to (`max_position_embeddings`). */
  contextLength: number;
  /** The output matrix is the token embedding itself: no tensor of its own in the file. */
  tiedEmbeddings: boolean;
  /** False for embedding models and encoders, which have no output matrix at all. */
  hasOutput: boolean;
  /** Distinct kinds of layer by name, e.g. `{ dense: ..., moe: ... }`. */
  blocks: Record<string, Block>;
  /** One block name per layer, in order. */
  layers: string[];
  /** Blocks after the last layer that predict further tokens (MTP, "nextn"). */
  nextTokenPrediction?: NextTokenPrediction;
  /** Tensors outside the blocks, other than token embedding and output matrix: final norm, rope factors ... */
  tensors: PlainTensor[];
  /** Towers stored beside the text model (an mmproj file in llama.cpp). */
  encoders?: Encoder[];
  /** Bytes of a value of the recurrent states, where the config states their precision (`mamba_ssm_dtype`). */
  recurrentStateBytes?: number;
  /** Tables by which queries and keys are rotated; absent where nothing is, or where the config does not tell. */
  rotaryTables?: RotaryTable[];
}

/** Cosines and sines for every position: serving engines keep them in device memory. */
export interface RotaryTable {
  /** Values of a head that are rotated. */
  width: number;
  /** Positions that the table covers. */
  positions: number;
  /** Positions have sections for time, height and width (M-RoPE). */
  sectioned?: boolean;
}

export type Multiplier = "embedding" | "residual";

export interface NextTokenPrediction {
  /** Block names, one per predicted token. */
  layers: string[];
  /** The usual GGUF conversion keeps these blocks in the file. */
  inGguf: boolean;
  /** llama.cpp allocates them on load even without speculative decoding. */
  loadedByLlamaCpp: boolean;
  /** llama.cpp allocates KV cache for them as for ordinary layers. */
  cachedByLlamaCpp: boolean;
}

export interface Encoder {
  kind: "vision" | "audio";
  /** Parameters of tower and projector together. */
  parameters: number;
  /** `model_type` of the whole checkpoint, which decides about tower and projector: "gemma3", "qwen3_vl". */
  modelType?: string;
  /** Layers of the text model that each take a result from within the tower besides (`deepstack_visual_indexes`). */
  injectedLayers?: number;
}

/** One transformer (or state-space) layer. Any of the parts may be missing. */
export interface Block {
  attention?: Attention;
  /** Recurrent mixer; beside `attention` where both run in one layer (Falcon-H1). */
  recurrent?: Recurrent;
  feedForward?: FeedForward;
  experts?: Experts;
  /** Norms, biases and other small tensors, by their GGUF name within the block (without "blk.N."). */
  tensors: PlainTensor[];
}

/** What a tensor is for; shares of memory are reported by it, and formats choose by it what to quantize. */
export type TensorRole =
  | "TOKEN_EMBEDDING"
  | "OUTPUT"
  | "ATTENTION"
  | "INDEXER"
  | "RECURRENT"
  | "FEED_FORWARD"
  | "ROUTER"
  | "EXPERTS"
  | "SHARED_EXPERTS"
  | "NORM"
  | "PER_LAYER_EMBEDDING"
  | "NEXT_TOKEN_PREDICTION"
  | "OTHER";

/** A tensor stated outright, where a shape does not follow from the structural fields. */
export interface PlainTensor {
  /** GGUF name, with suffix, e.g. "attn_norm.weight". */
  name: string;
  shape: number[];
  role: TensorRole;
  /** False for what only a GGUF file has (rope factors, scales of 1): bytes there, but no parameters. */
  isParameter?: boolean;
  /** Integer table (hash routing), stored as int32 whatever the format. */
  isInteger?: boolean;
  /** Parameter of the model that GGUF files leave out (BERT's pooler). */
  isLeftOutOfGguf?: boolean;
  /** Lives in host memory in llama.cpp whatever the number of layers offloaded, as the token embedding does. */
  isInputTable?: boolean;
}

/** How far back a layer attends. */
export interface Window {
  /** sliding: the last `size` tokens. chunked: the tokens of the current chunk of `size`. */
  kind: "sliding" | "chunked";
  size: number;
}

export type Attention = GroupedAttention | LatentAttention | CompressedAttention;

/** Multi-head, grouped-query and multi-query attention. */
export interface GroupedAttention {
  kind: "grouped";
  heads: number;
  kvHeads: number;
  /** Per-head width of queries and keys. */
  keyDim: number;
  /** Per-head width of values. */
  valueDim: number;
  window?: Window;
  /** Q, K and V come from one matrix `attn_qkv` (Phi-3, ChatGLM). */
  fusedQkv?: boolean;
  /** Queries go through this narrower width, with a norm (Step-3): two matrices instead of one. */
  queryRank?: number;
  /** The query matrix also yields an output gate and is twice as wide (Qwen3-Next, Qwen3.5). */
  gatedQuery?: boolean;
  /** A matrix of its own, `attn_gate`, yields a gate as wide as the heads' output (Muse-Glimmer). */
  outputGate?: boolean;
  /** No V matrix: values are the keys before rotation (Gemma 4 full layers). Both are cached all the same. */
  valueIsKey?: boolean;
  /** The layer reads the cache of an earlier layer and owns none (Gemma 3n, Gemma 4 E models). */
  sharesCache?: boolean;
  /** No K and V matrices at all: the layer only ever reads another layer's cache. */
  ownsNoKeys?: boolean;
  /** Keys and values live for one batch only (encoders): nothing is cached. */
  uncached?: boolean;
  /**
   * Keys and values are made of an encoder's output (Llama 3.2 Vision): the cache holds this many entries,
   * whatever the context.
   */
  crossTokens?: number;
  /** Positions are not rotated in this layer (NoPE). */
  noRope?: boolean;
  /** Block-sparse attention's key index (MiniMax-M3): cached beside K and V. */
  indexer?: Indexer;
}

/** Multi-head latent attention: one compressed vector per token serves all heads. */
export interface LatentAttention {
  kind: "latent";
  heads: number;
  /** Rank of the query compression; null for a full query matrix. */
  queryRank: number | null;
  /** Rank of the cached latent (`kv_lora_rank`). */
  kvRank: number;
  /** Width of the shared rotated key, cached beside the latent (`qk_rope_head_dim`). */
  ropeDim: number;
  /** Unrotated key width per head (`qk_nope_head_dim`). */
  nopeDim: number;
  /** Value width per head (`v_head_dim`). */
  valueDim: number;
  /**
   * The latent is expanded before it is cached: `attn_kv_b` stays one matrix, and llama.cpp keeps full keys
   * (`nopeDim + ropeDim`) and values for every head (MiniCPM3).
   */
  cachesExpanded?: boolean;
  /** A gate as wide as the heads' output (Kimi-K3). */
  outputGate?: boolean;
  /** Sparse attention's key index (DeepSeek-V3.2, GLM-5). */
  indexer?: Indexer;
}

export interface Indexer {
  heads: number;
  /** Width of an index key, cached once per token. */
  keyDim: number;
  /** Tokens (or blocks) selected. */
  topK: number;
}

/** DeepSeek-V4: a shared latent in a short window, and compressed copies of everything before. */
export interface CompressedAttention {
  kind: "compressed";
  heads: number;
  /** Width of the one latent that is key and value at once. */
  keyDim: number;
  ropeDim: number;
  queryRank: number;
  /** Grouped low-rank output projection. */
  outputGroups: number;
  outputRank: number;
  window: Window;
  /** Tokens per compressed entry; 0 = window only. */
  compressRatio: number;
  indexer?: Indexer;
}

export type Recurrent = GatedDeltaNet | KimiDeltaAttention | Mamba1 | Mamba2 | ShortConvolution | LightningAttention;

export interface GatedDeltaNet {
  kind: "gated-delta-net";
  keyHeads: number;
  keyDim: number;
  valueHeads: number;
  valueDim: number;
  convKernel: number;
  /** Decay and update rate come from one matrix `ssm_ba` instead of two (Qwen3-Next). */
  fusedRates?: boolean;
}
export interface KimiDeltaAttention {
  kind: "kimi-delta-attention";
  heads: number;
  headDim: number;
  convKernel: number;
  /** The output gate is one full matrix `attn_gate` instead of two low-rank ones (Kimi-K3). */
  fullRankGate?: boolean;
  /** The decay is one full matrix `ssm_f_a` instead of two low-rank ones (Ling 3). */
  fullRankDecay?: boolean;
}
export interface Mamba1 {
  kind: "mamba1";
  innerSize: number;
  stateSize: number;
  timeStepRank: number;
  convKernel: number;
  /** Time step, B and C are normalised (Jamba). */
  normed?: boolean;
}
export interface Mamba2 {
  kind: "mamba2";
  innerSize: number;
  stateSize: number;
  heads: number;
  groups: number;
  convKernel: number;
  /** False where the convolution has no bias. */
  convBias?: boolean;
  /** False where the gated norm before the output projection is missing (Falcon-H1). */
  normed?: boolean;
}
export interface ShortConvolution {
  kind: "short-convolution";
  /** Kernel length (`conv_L_cache`). */
  convKernel: number;
}
export interface LightningAttention {
  kind: "lightning";
  heads: number;
  headDim: number;
}

export interface FeedForward {
  /** Intermediate width. */
  size: number;
  /** Gate and up projections (SwiGLU, GeGLU); false for a plain two-matrix MLP. */
  gated: boolean;
  /** Gate and up are one matrix `ffn_up` of twice the width (Phi-3, GLM-4). */
  fusedGateUp?: boolean;
}

export interface Experts {
  /** Routed experts in the layer. */
  count: number;
  /** Routed experts a token passes through. */
  used: number;
  /** Intermediate width of one expert. */
  size: number;
  gated: boolean;
  /** Gate and up of all experts are one tensor `ffn_gate_up_exps` (Gemma 4). */
  fusedGateUp?: boolean;
  /** Width that experts work on where it is not the hidden size (latent MoE). */
  latentSize?: number;
  /** A norm stands on that narrower width (Kimi-K3). */
  latentNorm?: boolean;
  /** Shared expert, always active: its total intermediate width. */
  shared?: { size: number; gated: boolean; hasGateVector?: boolean };
}
