import type { Architecture, Block, PlainTensor, Window } from "../architecture.js";
import {
  assertDense,
  expertCountOf,
  feedForward,
  groupedAttention,
  hiddenSizeOf,
  intermediateSizeOf,
  joinParts,
  norms,
  plain,
  routedExperts,
} from "../block-parts.js";
import type { ConfigReader } from "../config-reader.js";
import { describeDecoder, layerCountOf, ropeFactorTable, vocabularySizeOf } from "../decoder.js";
import type { Family } from "../family.js";
import { MAX_VOCABULARY } from "../limits.js";
import { layerWindows, windowField } from "../windows.js";

/** Norms before and after attention and feed forward, from Gemma 2 on. */
const FOUR_NORMS = ["attn_norm", "post_attention_norm", "ffn_norm", "post_ffw_norm"];

const GEMMA_DEFAULTS = {
  vocab_size: 256000,
  hidden_size: 3072,
  intermediate_size: 24576,
  num_hidden_layers: 28,
  num_attention_heads: 16,
  num_key_value_heads: 16,
  max_position_embeddings: 8192,
};

const GEMMA2_DEFAULTS = {
  vocab_size: 256000,
  hidden_size: 2304,
  intermediate_size: 9216,
  num_hidden_layers: 26,
  num_attention_heads: 8,
  num_key_value_heads: 4,
  max_position_embeddings: 8192,
  sliding_window: 4096,
};

const GEMMA3_DEFAULTS = {
  vocab_size: 262208,
  hidden_size: 2304,
  intermediate_size: 9216,
  num_hidden_layers: 26,
  num_attention_heads: 8,
  num_key_value_heads: 4,
  head_dim: 256,
  max_position_embeddings: 131072,
  sliding_window: 4096,
};

/** Width of the heads where the config leaves it out. */
const HEAD_DIM = 256;

const headDim = (config: ConfigReader): { keyDim: number; valueDim: number } => {
  const width = config.optionalSize("head_dim") ?? HEAD_DIM;
  return { keyDim: width, valueDim: width };
};

const gemmaBlock = (
  config: ConfigReader,
  normNames: string[],
  hasQueryKeyNorm: boolean,
  window: Window | undefined,
): Block =>
  joinParts(
    norms(hiddenSizeOf(config), normNames),
    groupedAttention(config, {
      queryKeyNorm: hasQueryKeyNorm ? "head" : undefined,
      shape: { ...headDim(config), ...windowField(window) },
    }),
    feedForward(config),
  );

/** EmbeddingGemma: every token attends to all others of its window, nothing is cached, and there is no output. */
function asEmbedder(architecture: Architecture): Architecture {
  const blocks = Object.entries(architecture.blocks).map(([name, block]): [string, Block] => [
    name,
    block.attention?.kind === "grouped" ? { ...block, attention: { ...block.attention, uncached: true } } : block,
  ]);
  return {
    ...architecture,
    ggufArchitecture: "gemma-embedding",
    hasOutput: false,
    blocks: Object.fromEntries(blocks),
  };
}

interface GemmaTraits {
  gguf: string;
  normNames: string[];
  queryKeyNorm: boolean;
  /** Layers per full layer; 1 where none has a window. */
  period: number;
}

function gemma(
  modelTypes: string[],
  architectures: string[],
  traits: GemmaTraits,
  defaults?: Family["defaults"],
): Family {
  return {
    modelTypes,
    architectures,
    ...(defaults ? { defaults } : {}),
    describe: (config) => {
      assertDense(config);
      const period = config.optionalSize("sliding_window_pattern", "_sliding_window_pattern") ?? traits.period;
      const windows = layerWindows(config, layerCountOf(config), { period, full: "last" });
      const described = describeDecoder(config, {
        gguf: traits.gguf,
        tiedByDefault: true,
        layer: (index) => gemmaBlock(config, traits.normNames, traits.queryKeyNorm, windows[index]),
      });
      return config.raw("use_bidirectional_attention") === true ? asEmbedder(described) : described;
    },
  };
}

/** Layers of Gemma 3n that own a KV cache, whatever their number in all (llama.cpp). */
const GEMMA3N_CACHED_LAYERS = 20;
const GEMMA3N_PERIOD = 5;

/** Per-layer embeddings: a table of `layers x width` values per token, kept in host memory, and its projections. */
function perLayerEmbeddings(config: ConfigReader, width: number): PlainTensor[] {
  const hiddenSize = hiddenSizeOf(config);
  const all = width * layerCountOf(config);
  const own = config.whole(["vocab_size_per_layer_input"], { min: 1, max: MAX_VOCABULARY });
  // The converter pads the table to the model's vocabulary.
  const vocabulary = Math.max(own, vocabularySizeOf(config));
  return [
    {
      name: "per_layer_token_embd.weight",
      shape: [all, vocabulary],
      role: "PER_LAYER_EMBEDDING",
      isInputTable: true,
    },
    plain("per_layer_model_proj.weight", [hiddenSize, all], "PER_LAYER_EMBEDDING"),
    plain("per_layer_proj_norm.weight", [width], "NORM"),
  ];
}

/** What each layer adds for its per-layer embedding. */
function perLayerInput(hiddenSize: number, width: number): PlainTensor[] {
  return [
    plain("inp_gate.weight", [hiddenSize, width], "PER_LAYER_EMBEDDING"),
    plain("proj.weight", [width, hiddenSize], "PER_LAYER_EMBEDDING"),
    plain("post_norm.weight", [hiddenSize], "NORM"),
  ];
}

/** Several residual streams mixed by small matrices (AltUp), and a low-rank residual (LAuReL). */
function altupTensors(hiddenSize: number, streams: number, rank: number): PlainTensor[] {
  return [
    plain("altup_correct_coef.weight", [streams, streams], "OTHER"),
    plain("altup_correct_scale.weight", [hiddenSize], "NORM"),
    plain("altup_predict_coef.weight", [streams, streams * streams], "OTHER"),
    plain("altup_router.weight", [hiddenSize, streams], "OTHER"),
    plain("altup_router_norm.weight", [hiddenSize], "NORM"),
    plain("laurel_l.weight", [hiddenSize, rank], "OTHER"),
    plain("laurel_r.weight", [rank, hiddenSize], "OTHER"),
    plain("laurel_post_norm.weight", [hiddenSize], "NORM"),
  ];
}

const GEMMA3N: Family = {
  modelTypes: ["gemma3n", "gemma3n_text"],
  architectures: ["Gemma3nForConditionalGeneration", "Gemma3nForCausalLM"],
  defaults: {
    vocab_size: 262400,
    vocab_size_per_layer_input: 262144,
    hidden_size: 2048,
    hidden_size_per_layer_input: 256,
    intermediate_size: 16384,
    num_hidden_layers: 35,
    num_attention_heads: 8,
    num_key_value_heads: 2,
    head_dim: 256,
    max_position_embeddings: 32768,
    sliding_window: 512,
    laurel_rank: 64,
    altup_num_inputs: 4,
  },
  describe: (config) => {
    const hiddenSize = hiddenSizeOf(config);
    const layers = layerCountOf(config);
    const width = config.size("hidden_size_per_layer_input");
    const streams = config.whole(["altup_num_inputs"], { min: 2 });
    const rank = config.size("laurel_rank");
    const windows = layerWindows(config, layers, { period: GEMMA3N_PERIOD, full: "last" });
    const shared = config.optionalCount("num_kv_shared_layers") ?? Math.max(0, layers - GEMMA3N_CACHED_LAYERS);
    const widths = config.optionalWholePerLayer(["intermediate_size"], layers, { min: 1 });
    return describeDecoder(config, {
      gguf: "gemma3n",
      tiedByDefault: true,
      residualStreams: streams,
      layer: (index) =>
        joinParts(
          norms(hiddenSize, FOUR_NORMS),
          groupedAttention(config, {
            queryKeyNorm: "head",
            shape: {
              ...headDim(config),
              ...windowField(windows[index]),
              ...(index >= layers - shared ? { sharesCache: true } : {}),
            },
          }),
          feedForward(config, { size: widths?.[index] ?? intermediateSizeOf(config) }),
          { tensors: [...perLayerInput(hiddenSize, width), ...altupTensors(hiddenSize, streams, rank)] },
        ),
      tensors: [
        ...perLayerEmbeddings(config, width),
        plain("altup_proj.weight", [hiddenSize, hiddenSize, streams - 1], "OTHER"),
        plain("altup_unembd_proj.weight", [hiddenSize, hiddenSize, streams - 1], "OTHER"),
      ],
    });
  },
};

const GEMMA4_PERIOD = 6;

/** Experts beside a dense feed forward, each with norms of its own, scales of the router and of each expert. */
function gemma4Experts(config: ConfigReader): Partial<Block> {
  const hiddenSize = hiddenSizeOf(config);
  return joinParts(
    norms(hiddenSize, ["pre_ffw_norm_2", "post_ffw_norm_1", "post_ffw_norm_2"]),
    routedExperts(config, { fusedGateUp: true }),
    {
      tensors: [
        plain("ffn_gate_inp.scale", [hiddenSize], "ROUTER"),
        plain("ffn_down_exps.scale", [expertCountOf(config)], "EXPERTS"),
      ],
    },
  );
}

function gemma4Block(config: ConfigReader, index: number, window: Window | undefined): Block {
  const layers = layerCountOf(config);
  const hiddenSize = hiddenSizeOf(config);
  const isFull = window === undefined;
  // transformers 5 may state the full layers' own fields layer by layer.
  const own = config.optionalObject("per_layer_config")?.optionalObject(String(index));
  const width =
    own?.optionalSize("head_dim") ??
    (isFull ? config.optionalSize("global_head_dim") : undefined) ??
    headDim(config).keyDim;
  const valueIsKey = isFull && config.flag("attention_k_eq_v", false);
  const globalKvHeads =
    own?.optionalSize("num_key_value_heads") ??
    (valueIsKey ? config.optionalSize("num_global_key_value_heads") : undefined);
  const sharesCache = index >= layers - (config.optionalCount("num_kv_shared_layers") ?? 0);
  const perLayerWidth = config.optionalCount("hidden_size_per_layer_input") ?? 0;
  const isWide = sharesCache && config.flag("use_double_wide_mlp", false);
  return joinParts(
    norms(hiddenSize, FOUR_NORMS),
    groupedAttention(config, {
      queryKeyNorm: "head",
      kvHeadsField: globalKvHeads === undefined ? "num_key_value_heads" : "num_global_key_value_heads",
      shape: {
        keyDim: width,
        valueDim: width,
        ...(globalKvHeads === undefined ? {} : { kvHeads: globalKvHeads }),
        ...windowField(window),
        ...(valueIsKey ? { valueIsKey } : {}),
        ...(sharesCache ? { sharesCache } : {}),
      },
    }),
    feedForward(config, { size: intermediateSizeOf(config) * (isWide ? 2 : 1) }),
    config.flag("enable_moe_block", false) ? gemma4Experts(config) : {},
    {
      tensors: [
        plain("layer_output_scale.weight", [1], "OTHER"),
        ...(perLayerWidth > 0 ? perLayerInput(hiddenSize, perLayerWidth) : []),
      ],
    },
  );
}

const GEMMA4_DEFAULTS = {
  vocab_size: 262144,
  hidden_size: 2304,
  intermediate_size: 9216,
  num_hidden_layers: 30,
  num_attention_heads: 8,
  num_key_value_heads: 4,
  max_position_embeddings: 131072,
  sliding_window: 512,
  hidden_size_per_layer_input: 256,
  vocab_size_per_layer_input: 262144,
};

/** Gemma 4 without towers of its own for images and sound ("unified", 12B): no per-layer embeddings. */
const GEMMA4_UNIFIED_DEFAULTS = {
  ...GEMMA4_DEFAULTS,
  max_position_embeddings: 262144,
  sliding_window: 1024,
  hidden_size_per_layer_input: 0,
};

function gemma4(modelTypes: string[], architectures: string[], defaults: Family["defaults"]): Family {
  return {
    modelTypes,
    architectures,
    ...(defaults ? { defaults } : {}),
    assumed: { global_head_dim: 512 },
    describe: (config) => {
      const layers = layerCountOf(config);
      // transformers makes the last layer a full one, whatever the pattern says.
      const windows = layerWindows(
        config,
        layers,
        (index) => index === layers - 1 || (index + 1) % GEMMA4_PERIOD === 0,
      );
      const perLayerWidth = config.optionalCount("hidden_size_per_layer_input") ?? 0;
      const fullWidth = config.optionalSize("global_head_dim") ?? headDim(config).keyDim;
      return describeDecoder(config, {
        gguf: "gemma4",
        tiedByDefault: true,
        layer: (index) => gemma4Block(config, index, windows[index]),
        tensors: [
          ropeFactorTable("rope_freqs", fullWidth / 2),
          ...(perLayerWidth > 0 ? perLayerEmbeddings(config, perLayerWidth) : []),
        ],
      });
    },
  };
}

export const GEMMA_FAMILIES: readonly Family[] = [
  gemma(
    ["gemma"],
    ["GemmaForCausalLM"],
    { gguf: "gemma", normNames: ["attn_norm", "ffn_norm"], queryKeyNorm: false, period: 1 },
    GEMMA_DEFAULTS,
  ),
  gemma(
    ["gemma2"],
    ["Gemma2ForCausalLM"],
    { gguf: "gemma2", normNames: FOUR_NORMS, queryKeyNorm: false, period: 2 },
    GEMMA2_DEFAULTS,
  ),
  gemma(
    ["gemma3", "gemma3_text"],
    ["Gemma3ForCausalLM", "Gemma3ForConditionalGeneration", "Gemma3TextModel"],
    { gguf: "gemma3", normNames: FOUR_NORMS, queryKeyNorm: true, period: 6 },
    GEMMA3_DEFAULTS,
  ),
  GEMMA3N,
  gemma4(["gemma4", "gemma4_text"], ["Gemma4ForConditionalGeneration", "Gemma4ForCausalLM"], GEMMA4_DEFAULTS),
  gemma4(
    ["gemma4_unified", "gemma4_unified_text"],
    ["Gemma4UnifiedForConditionalGeneration", "Gemma4UnifiedForCausalLM"],
    GEMMA4_UNIFIED_DEFAULTS,
  ),
];
