import type { Block, Mamba2 } from "../architecture.js";
import {
  assertDense,
  attentionBiases,
  type BlockPart,
  expertCountOf,
  feedForward,
  groupedAttention,
  hiddenSizeOf,
  intermediateSizeOf,
  joinParts,
  norms,
  routedExperts,
} from "../block-parts.js";
import { type ConfigReader, invalid } from "../config-reader.js";
import { describeDecoder, layerCountOf, predictionCountOf, vocabularySizeOf } from "../decoder.js";
import type { Family } from "../family.js";
import { MAX_LAYERS } from "../limits.js";
import { predictionBlock } from "../prediction.js";

/*
 * State-space models and their hybrids with attention: Nemotron-H and Nemotron 3, Granite 4-H, Falcon-H1, Jamba,
 * Mamba, and LFM2 (short convolutions).
 */

/** What one layer of Nemotron-H is; each is a layer of its own. */
type NemotronLayer = "mamba" | "attention" | "mlp" | "moe";

const NEMOTRON_LETTERS: Readonly<Record<string, NemotronLayer>> = {
  M: "mamba",
  "*": "attention",
  "-": "mlp",
  E: "moe",
};
/** Names of the kinds in lists, those of transformers 5 among them. */
const NEMOTRON_WORDS: Readonly<Record<string, NemotronLayer>> = {
  mamba: "mamba",
  linear_attention: "mamba",
  attention: "attention",
  full_attention: "attention",
  mlp: "mlp",
  moe: "moe",
};

/** The layers by a string of letters, or by a list of words. */
function nemotronLayers(config: ConfigReader, pattern: string, ...lists: string[]): NemotronLayer[] | undefined {
  const words = config.optionalTexts(...lists);
  const letters = config.optionalText(pattern);
  const field = words ? (lists.find((list) => config.has(list)) ?? pattern) : pattern;
  const items = words ?? letters;
  if (items === undefined) return undefined;
  if (items.length < 1 || items.length > MAX_LAYERS) {
    throw config.invalid(field, `names ${items.length} layers; a model has 1 to ${MAX_LAYERS}`);
  }
  return [...items].map((item, index) => {
    const kinds = words ? NEMOTRON_WORDS : NEMOTRON_LETTERS;
    const layer = Object.hasOwn(kinds, item) ? kinds[item] : undefined;
    if (!layer) {
      throw invalid([...config.path, field, index], `is ${JSON.stringify(item)}, which is no kind of layer`);
    }
    return layer;
  });
}

/** The names of each field. */
interface Mamba2Fields {
  heads: string[];
  headDim: string[];
  groups: string[];
  state: string[];
  conv: string[];
  /** Inner width in hidden sizes, for configs whose head width is "auto". */
  expand: string[];
}

/** Mamba 2's default of the inner width, in hidden sizes. */
const MAMBA_EXPAND = 2;

function expandedWidth(config: ConfigReader, names: Mamba2Fields, heads: number): number {
  const width = hiddenSizeOf(config) * (config.optionalSize(...names.expand) ?? MAMBA_EXPAND);
  if (width % heads !== 0) {
    throw config.invalid(names.heads, `is ${heads}, which does not divide the inner width ${width}`);
  }
  return width;
}

/** The names that Granite 4-H and Bamba have for Mamba 2's fields. */
const MAMBA_FIELDS: Mamba2Fields = {
  heads: ["mamba_n_heads"],
  headDim: ["mamba_d_head"],
  groups: ["mamba_n_groups"],
  state: ["mamba_d_state"],
  conv: ["mamba_d_conv"],
  expand: ["mamba_expand"],
};

/** Mamba 2 by its fields, heads times head width checked against the group count. */
function mamba2(config: ConfigReader, names: Mamba2Fields): Mamba2 {
  const heads = config.size(...names.heads);
  const innerSize =
    config.raw(...names.headDim) === "auto"
      ? expandedWidth(config, names, heads)
      : heads * config.size(...names.headDim);
  const groups = config.size(...names.groups);
  if (innerSize % groups !== 0) throw config.invalid(names.groups, `is ${groups}, which does not divide ${innerSize}`);
  return {
    kind: "mamba2",
    innerSize,
    stateSize: config.size(...names.state),
    heads,
    groups,
    convKernel: config.size(...names.conv),
  };
}

const NEMOTRON_H: Family = {
  modelTypes: ["nemotron_h"],
  architectures: ["NemotronHForCausalLM"],
  assumed: { conv_kernel: 4, n_groups: 8, ssm_state_size: 128, mamba_head_dim: 64 },
  describe: (config) => {
    const hiddenSize = hiddenSizeOf(config);
    const kinds = nemotronLayers(config, "hybrid_override_pattern", "layers_block_type", "layer_types");
    if (!kinds) throw config.invalid("hybrid_override_pattern", "is missing (also read as layers_block_type)");
    const stated = config.optionalWhole(["num_hidden_layers"], { min: 1, max: MAX_LAYERS });
    if (stated !== undefined && stated !== kinds.length) {
      throw config.invalid("num_hidden_layers", `is ${stated}, but the pattern names ${kinds.length} layers`);
    }
    const gated = (config.optionalText("mlp_hidden_act") ?? "relu2") === "silu";
    const parts: Record<NemotronLayer, () => BlockPart> = {
      mamba: () => ({
        recurrent: {
          ...mamba2(config, {
            heads: ["mamba_num_heads"],
            headDim: ["mamba_head_dim"],
            groups: ["n_groups", "mamba_n_groups"],
            state: ["ssm_state_size"],
            conv: ["conv_kernel", "mamba_d_conv"],
            expand: ["expand", "mamba_expand"],
          }),
          ...(config.flag("use_conv_bias", true) ? {} : { convBias: false }),
        },
      }),
      attention: () => groupedAttention(config, { biases: attentionBiases(config, "qkvo") }),
      mlp: () => feedForward(config, { gated }),
      moe: () => {
        const sharedSize = config.optionalCount("moe_shared_expert_intermediate_size") ?? 0;
        return routedExperts(config, {
          gated,
          latentSize: config.optionalSize("moe_latent_size"),
          routerScoreBias: true,
          shared: sharedSize > 0 ? { size: sharedSize, gated } : undefined,
        });
      },
    };
    const block = (kind: NemotronLayer): Block => joinParts(norms(hiddenSize, ["attn_norm"]), parts[kind]());
    return describeDecoder(config, {
      gguf: kinds.includes("moe") ? "nemotron_h_moe" : "nemotron_h",
      tiedByDefault: false,
      layers: kinds.length,
      layer: (index) => block(kinds[index] ?? "mamba"),
      prediction: {
        blocks: nemotronPrediction(config, block),
        inGguf: false,
        loadedByLlamaCpp: false,
        cachedByLlamaCpp: false,
      },
    });
  },
};

/** Each predicted token has one run of the pattern's layers; the projection is the first one's. */
function nemotronPrediction(config: ConfigReader, block: (kind: NemotronLayer) => Block): Block[] {
  const count = predictionCountOf(config, "num_nextn_predict_layers");
  const kinds = nemotronLayers(config, "mtp_hybrid_override_pattern", "mtp_layers_block_type") ?? [];
  return Array.from({ length: count }, () =>
    kinds.map((kind, index) => (index === 0 ? predictionBlock(block(kind), hiddenSizeOf(config)) : block(kind))),
  ).flat();
}

/** Whether each layer is recurrent or attends, where the config lists it, by either generation's names. */
function hybridKinds(config: ConfigReader, layers: number): ("mamba" | "attention")[] | undefined {
  const kinds = config.optionalChoicePerLayer(["layer_types", "layers_block_type"], layers, [
    "mamba",
    "linear_attention",
    "attention",
    "full_attention",
  ]);
  return kinds?.map((kind) => (kind === "mamba" || kind === "linear_attention" ? "mamba" : "attention"));
}

const MAMBA2_ASSUMED = { mamba_d_conv: 4, mamba_n_groups: 1 };

const GRANITE_HYBRID: Family = {
  modelTypes: ["granitemoehybrid"],
  architectures: ["GraniteMoeHybridForCausalLM"],
  assumed: MAMBA2_ASSUMED,
  describe: (config) => {
    const hiddenSize = hiddenSizeOf(config);
    const layers = layerCountOf(config);
    const kinds = hybridKinds(config, layers);
    const hasExperts = expertCountOf(config) > 0;
    const sharedSize = config.optionalCount("shared_intermediate_size") ?? 0;
    const feedForwardPart = (): BlockPart =>
      hasExperts
        ? routedExperts(config, {
            size: intermediateSizeOf(config),
            shared: sharedSize > 0 ? { size: sharedSize, gated: true } : undefined,
          })
        : feedForward(config, { size: sharedSize > 0 ? sharedSize : intermediateSizeOf(config) });
    const hybrid = kinds?.includes("mamba") ?? true;
    // A config that does not say is taken to rotate positions, as llama.cpp does of a file that does not.
    const isUnrotated = hybrid && config.optionalText("position_embedding_type") === "nope";
    return describeDecoder(config, {
      gguf: hybrid ? "granitehybrid" : hasExperts ? "granitemoe" : "granite",
      tiedByDefault: false,
      layer: (index) =>
        joinParts(
          norms(hiddenSize, ["attn_norm", "ffn_norm"]),
          kinds?.[index] === "attention"
            ? groupedAttention(config, {
                biases: attentionBiases(config, "qkvo"),
                shape: isUnrotated ? { noRope: true } : {},
              })
            : {
                recurrent: {
                  ...mamba2(config, MAMBA_FIELDS),
                  ...(config.flag("mamba_conv_bias", true) ? {} : { convBias: false }),
                },
              },
          feedForwardPart(),
        ),
    });
  },
};

/** Mamba 2 with attention in the layers listed, a dense feed forward in all. */
const BAMBA: Family = {
  modelTypes: ["bamba"],
  architectures: ["BambaForCausalLM"],
  assumed: MAMBA2_ASSUMED,
  describe: (config) => {
    assertDense(config);
    const full = new Set(config.optionalWholes(["attn_layer_indices"], { max: MAX_LAYERS }) ?? []);
    const kinds = hybridKinds(config, layerCountOf(config));
    const isFull = (index: number): boolean => (kinds ? kinds[index] === "attention" : full.has(index));
    const mamba = {
      recurrent: {
        ...mamba2(config, MAMBA_FIELDS),
        ...(config.flag("mamba_conv_bias", true) ? {} : { convBias: false }),
      },
    };
    return describeDecoder(config, {
      gguf: "granitehybrid",
      tiedByDefault: false,
      layer: (index) =>
        joinParts(
          norms(hiddenSizeOf(config), ["attn_norm", "ffn_norm"]),
          isFull(index) ? groupedAttention(config, { biases: attentionBiases(config, "qkvo") }) : mamba,
          feedForward(config),
        ),
    });
  },
};

/** Attention and Mamba 2 side by side in every layer. */
const FALCON_H1: Family = {
  modelTypes: ["falcon_h1"],
  architectures: ["FalconH1ForCausalLM"],
  assumed: MAMBA2_ASSUMED,
  describe: (config) => {
    const hiddenSize = hiddenSizeOf(config);
    const heads = config.size("mamba_n_heads");
    const innerSize = config.optionalSize("mamba_d_ssm") ?? hiddenSize * (config.optionalSize("mamba_expand") ?? 2);
    if (innerSize % heads !== 0) {
      throw config.invalid("mamba_n_heads", `is ${heads}, which does not divide the inner width ${innerSize}`);
    }
    const groups = config.size("mamba_n_groups");
    if (innerSize % groups !== 0) {
      throw config.invalid("mamba_n_groups", `is ${groups}, which does not divide the inner width ${innerSize}`);
    }
    const block = joinParts(
      norms(hiddenSize, ["attn_norm", "ffn_norm"]),
      groupedAttention(config, { biases: attentionBiases(config, "qkvo") }),
      {
        recurrent: {
          kind: "mamba2",
          innerSize,
          stateSize: config.size("mamba_d_state"),
          heads,
          groups,
          convKernel: config.size("mamba_d_conv"),
          ...(config.flag("mamba_conv_bias", true) ? {} : { convBias: false }),
          ...(config.flag("mamba_rms_norm", false) ? {} : { normed: false }),
        },
      },
      feedForward(config),
    );
    return describeDecoder(config, { gguf: "falcon-h1", tiedByDefault: false, layer: () => block });
  },
};

const JAMBA: Family = {
  modelTypes: ["jamba"],
  architectures: ["JambaForCausalLM"],
  assumed: {
    attn_layer_period: 8,
    attn_layer_offset: 4,
    expert_layer_period: 2,
    expert_layer_offset: 1,
    mamba_d_conv: 4,
    mamba_d_state: 16,
    mamba_expand: 2,
  },
  describe: (config) => {
    const hiddenSize = hiddenSizeOf(config);
    const every = (period: string, offset: string) => {
      const length = config.size(period);
      const first = config.count(offset);
      return (index: number): boolean => index % length === first;
    };
    const kinds = hybridKinds(config, layerCountOf(config));
    const isAttention = kinds
      ? (index: number): boolean => kinds[index] === "attention"
      : every("attn_layer_period", "attn_layer_offset");
    const isMixture = every("expert_layer_period", "expert_layer_offset");
    const size = intermediateSizeOf(config);
    const mamba: BlockPart = {
      recurrent: {
        kind: "mamba1",
        innerSize: hiddenSize * config.size("mamba_expand"),
        stateSize: config.size("mamba_d_state"),
        timeStepRank: config.optionalSize("mamba_dt_rank") ?? Math.ceil(hiddenSize / 16),
        convKernel: config.size("mamba_d_conv"),
        normed: true,
      },
    };
    return describeDecoder(config, {
      gguf: "jamba",
      tiedByDefault: false,
      layer: (index) =>
        joinParts(
          norms(hiddenSize, ["attn_norm", "ffn_norm"]),
          isAttention(index) ? groupedAttention(config) : mamba,
          isMixture(index) && expertCountOf(config) > 1 ? routedExperts(config, { size }) : feedForward(config),
        ),
    });
  },
};

/** Width of the time step's rank where the config says "auto": a sixteenth of the hidden size (Mamba). */
const timeStepRank = (config: ConfigReader, hiddenSize: number): number =>
  config.raw("time_step_rank") === "auto" ? Math.ceil(hiddenSize / 16) : config.size("time_step_rank");

const MAMBA1: Family = {
  modelTypes: ["mamba", "falcon_mamba"],
  architectures: ["MambaForCausalLM", "FalconMambaForCausalLM", "MambaLMHeadModel"],
  describe: (config) => {
    const hiddenSize = hiddenSizeOf(config);
    const block = joinParts(norms(hiddenSize, ["attn_norm"]), {
      recurrent: {
        kind: "mamba1",
        innerSize:
          config.optionalSize("intermediate_size", "d_inner") ?? hiddenSize * (config.optionalSize("expand") ?? 2),
        stateSize: config.size("state_size", "d_state"),
        timeStepRank: timeStepRank(config, hiddenSize),
        convKernel: config.size("conv_kernel", "d_conv"),
      },
    });
    return describeDecoder(config, {
      gguf: "mamba",
      tiedByDefault: config.optionalText("model_type") !== "falcon_mamba",
      layer: () => block,
      contextLength: config.optionalSize("max_position_embeddings") ?? MAMBA_CONTEXT_TOKENS,
    });
  },
};

/** A recurrent model has no limit of its own; llama.cpp's converter writes 2^20. */
const MAMBA_CONTEXT_TOKENS = 2 ** 20;

const MAMBA2: Family = {
  modelTypes: ["mamba2"],
  architectures: ["Mamba2ForCausalLM"],
  describe: (config) => {
    const recurrent = mamba2(config, {
      heads: ["num_heads"],
      headDim: ["head_dim"],
      groups: ["n_groups"],
      state: ["state_size"],
      conv: ["conv_kernel"],
      expand: ["expand"],
    });
    const block = joinParts(norms(hiddenSizeOf(config), ["attn_norm"]), { recurrent });
    return describeDecoder(config, {
      gguf: "mamba2",
      tiedByDefault: false,
      layer: () => block,
      contextLength: config.optionalSize("max_position_embeddings") ?? MAMBA_CONTEXT_TOKENS,
    });
  },
};

/** The vocabulary is padded to a multiple of this where the config does not say. */
const MAMBA_VOCABULARY_MULTIPLE = 8;

/**
 * The first releases of Mamba and Mamba 2 (mamba_ssm's own configs): sizes of the mixer in `ssm_cfg`, most left out,
 * and no name of an architecture.
 */
const ORIGINAL_MAMBA: Family = {
  modelTypes: [],
  architectures: [],
  signature: "ssm_cfg",
  describe: (config) => {
    const mixer = config.object("ssm_cfg");
    const attending = config.optionalListLength("attn_layer_idx") ?? 0;
    if (attending > 0) throw config.invalid("attn_layer_idx", "names layers of attention, which are not described");
    const isSecond = mixer.optionalText("layer") === "Mamba2";
    const multiple = config.optionalSize("pad_vocab_size_multiple") ?? MAMBA_VOCABULARY_MULTIPLE;
    const padded = { vocab_size: multiple * Math.ceil(vocabularySizeOf(config) / multiple) };
    const renamed = config
      .withOverrides(padded)
      .withFallback(mixer)
      .withDefaults({
        model_type: isSecond ? "mamba2" : "mamba",
        tie_word_embeddings: config.flag("tie_embeddings", true),
        expand: MAMBA_EXPAND,
        state_size: mixer.optionalSize("d_state") ?? (isSecond ? 128 : 16),
        conv_kernel: mixer.optionalSize("d_conv") ?? 4,
        time_step_rank: "auto",
        head_dim: mixer.optionalSize("headdim") ?? 64,
        n_groups: mixer.optionalSize("ngroups") ?? 1,
      });
    if (!isSecond) return MAMBA1.describe(renamed);
    const inner = hiddenSizeOf(config) * renamed.size("expand");
    const heads = Math.floor(inner / renamed.size("head_dim"));
    return MAMBA2.describe(renamed.withDefaults({ num_heads: heads }));
  },
};

/** LFM2's feed-forward widths are rounded up to a multiple of this. */
const LFM2_WIDTH_MULTIPLE = 256;

/**
 * LFM2's width of the feed forward: `block_auto_adjust_ff_dim` shrinks the stated one to two thirds, which dense
 * models do unless their config says otherwise.
 */
function lfm2Width(config: ConfigReader): number {
  const stated = config.size("block_ff_dim", "intermediate_size");
  if (!config.flag("block_auto_adjust_ff_dim", expertCountOf(config) === 0)) return stated;
  const multiple = config.optionalSize("block_multiple_of") ?? LFM2_WIDTH_MULTIPLE;
  const factor = config.optionalNumber("block_ffn_dim_multiplier") ?? 1;
  const adjusted = Math.floor(factor * Math.floor((2 * stated) / 3));
  return multiple * Math.ceil(adjusted / multiple);
}

const LFM2: Family = {
  modelTypes: ["lfm2", "lfm2_moe"],
  architectures: ["Lfm2ForCausalLM", "Lfm2MoeForCausalLM"],
  defaults: {
    vocab_size: 65536,
    hidden_size: 2560,
    intermediate_size: 12288,
    num_hidden_layers: 32,
    num_attention_heads: 32,
    num_key_value_heads: 8,
    max_position_embeddings: 128000,
  },
  assumed: { conv_L_cache: 3 },
  describe: (config) => {
    const hiddenSize = hiddenSizeOf(config);
    const layers = layerCountOf(config);
    const kinds = config.optionalChoicePerLayer(["layer_types"], layers, ["conv", "full_attention"]);
    const full = new Set(config.optionalWholes(["full_attn_idxs"]) ?? []);
    const isAttention = (index: number): boolean => (kinds ? kinds[index] === "full_attention" : full.has(index));
    const hasExperts = expertCountOf(config) > 0;
    const dense = config.optionalCount("num_dense_layers") ?? 0;
    const decoder = describeDecoder(config, {
      gguf: hasExperts ? "lfm2moe" : "lfm2",
      tiedByDefault: true,
      layer: (index) =>
        joinParts(
          norms(hiddenSize, ["attn_norm", "ffn_norm"]),
          isAttention(index)
            ? groupedAttention(config, { queryKeyNorm: "head" })
            : { recurrent: { kind: "short-convolution", convKernel: config.size("conv_L_cache") } },
          hasExperts && index >= dense
            ? routedExperts(config, { routerScoreBias: config.flag("use_expert_bias", true) })
            : feedForward(config, { size: lfm2Width(config) }),
        ),
    });
    return { ...decoder, tensors: decoder.tensors.map(renameOutputNorm) };
  },
};

/** LFM2's final norm goes by the name of an embedding norm in GGUF files. */
const renameOutputNorm = <T extends { name: string }>(tensor: T): T =>
  tensor.name === "output_norm.weight" ? { ...tensor, name: "token_embd_norm.weight" } : tensor;

export const STATE_SPACE_FAMILIES: readonly Family[] = [
  NEMOTRON_H,
  GRANITE_HYBRID,
  BAMBA,
  FALCON_H1,
  JAMBA,
  MAMBA1,
  MAMBA2,
  ORIGINAL_MAMBA,
  LFM2,
];
