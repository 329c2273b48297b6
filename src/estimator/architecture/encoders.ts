import type { Encoder } from "./architecture.js";
import { hiddenSizeOf, readHeads } from "./block-parts.js";
import { ConfigReader } from "./config-reader.js";

/*
 * Parameters of the towers that multimodal checkpoints store beside the text model, projector included. Each entry
 * follows the modules of its transformers class; the sums equal the published counts of the models in the tests.
 * A tower that is not here is not counted.
 */

interface Tower {
  kind: Encoder["kind"];
  /** transformers' defaults, which configs leave out. */
  defaults?: Readonly<Record<string, unknown>>;
  /** Configs without a part for the tower mean this very one. */
  isFixed?: boolean;
  /** Where the tower's config has its numbers, if in an object within it. */
  part?: string;
  /**
   * `tower` is the vision or audio config, `outer` the whole config; `textWidth` the text model's hidden size.
   * Undefined for a tower of a size that is not known.
   */
  count(tower: ConfigReader, outer: ConfigReader, textWidth: number): number | undefined;
}

/** A tower whose size always follows from its fields. */
type CountedTower = Omit<Tower, "count"> & { count(...of: Parameters<Tower["count"]>): number };

/** A linear layer with a bias. */
const linear = (input: number, output: number): number => input * output + output;
/** Scale and shift. */
const layerNorm = (width: number): number => 2 * width;
const square = (side: number): number => side * side;

/** A pre-norm encoder layer with biases throughout: attention of four square matrices and a two-matrix MLP. */
const biasedLayer = (width: number, size: number): number =>
  4 * linear(width, width) + linear(width, size) + linear(size, width) + 2 * layerNorm(width);

/** Image patches per side, squared. */
const patchesOf = (tower: ConfigReader): number =>
  square(Math.floor(tower.size("image_size") / tower.size("patch_size")));

const channelsOf = (tower: ConfigReader): number => tower.optionalSize("num_channels", "in_channels", "in_chans") ?? 3;

/** Values of one patch over all channels and, for video, frames. */
const patchValues = (tower: ConfigReader): number =>
  channelsOf(tower) * square(tower.size("patch_size")) * (tower.optionalSize("temporal_patch_size") ?? 1);

/** SigLIP without its pooling head: patches with a bias, learned positions, final norm. */
function siglip(tower: ConfigReader): number {
  const width = tower.size("hidden_size");
  return (
    tower.size("num_hidden_layers") * biasedLayer(width, tower.size("intermediate_size")) +
    linear(patchValues(tower), width) +
    (tower.optionalSize("num_patches") ?? patchesOf(tower)) * width +
    layerNorm(width)
  );
}

/** CLIP and Llama 4: patches without a bias, a class token, norms before and after. */
function clip(tower: ConfigReader): number {
  const width = tower.size("hidden_size");
  return (
    tower.size("num_hidden_layers") * biasedLayer(width, tower.size("intermediate_size")) +
    patchValues(tower) * width +
    width +
    (patchesOf(tower) + 1) * width +
    2 * layerNorm(width)
  );
}

/** Width of the patches that Qwen's mergers join. */
const mergedWidth = (tower: ConfigReader, width: number): number =>
  width * square(tower.optionalSize("spatial_merge_size") ?? 2);

const twoLayers = (input: number, middle: number, output: number): number =>
  linear(input, middle) + linear(middle, output);

const QWEN2_VL: Tower = {
  kind: "vision",
  defaults: { depth: 32, embed_dim: 1280, mlp_ratio: 4, patch_size: 14, temporal_patch_size: 2 },
  count: (tower, _outer, textWidth) => {
    const width = tower.size("embed_dim");
    const merged = mergedWidth(tower, width);
    return (
      tower.size("depth") * biasedLayer(width, width * tower.size("mlp_ratio")) +
      patchValues(tower) * width +
      layerNorm(width) +
      twoLayers(merged, merged, textWidth)
    );
  },
};

const QWEN2_5_VL: CountedTower = {
  kind: "vision",
  defaults: { depth: 32, hidden_size: 3584, intermediate_size: 3420, patch_size: 14, temporal_patch_size: 2 },
  count: (tower, _outer, textWidth) => {
    const width = tower.size("hidden_size");
    const size = tower.size("intermediate_size");
    const merged = mergedWidth(tower, width);
    const layer = 4 * linear(width, width) + 2 * linear(width, size) + linear(size, width) + 2 * width;
    return (
      tower.size("depth") * layer +
      patchValues(tower) * width +
      width +
      twoLayers(merged, merged, tower.optionalSize("out_hidden_size") ?? textWidth)
    );
  },
};

/** Qwen3-VL and Qwen3.5: one merger at the end, and one more for each layer whose output is taken besides. */
const QWEN3_VL: Tower = {
  kind: "vision",
  defaults: {
    depth: 27,
    hidden_size: 1152,
    intermediate_size: 4304,
    patch_size: 16,
    temporal_patch_size: 2,
    num_position_embeddings: 2304,
    deepstack_visual_indexes: [8, 16, 24],
  },
  count: (tower, _outer, textWidth) => {
    const width = tower.size("hidden_size");
    const merged = mergedWidth(tower, width);
    const output = tower.optionalSize("out_hidden_size") ?? textWidth;
    const taken = tower.optionalWholes(["deepstack_visual_indexes"])?.length ?? 0;
    return (
      tower.size("depth") * biasedLayer(width, tower.size("intermediate_size")) +
      linear(patchValues(tower), width) +
      tower.size("num_position_embeddings") * width +
      layerNorm(width) +
      twoLayers(merged, merged, output) +
      taken * (layerNorm(merged) + twoLayers(merged, merged, output))
    );
  },
};

const GEMMA3: Tower = {
  kind: "vision",
  defaults: {
    hidden_size: 1152,
    intermediate_size: 4304,
    num_hidden_layers: 27,
    patch_size: 14,
    image_size: 896,
  },
  count: (tower, _outer, textWidth) => {
    const width = tower.size("hidden_size");
    return siglip(tower) + width + width * textWidth;
  },
};

/** Gemma 4: gated layers without biases, four norms each, positions in two tables. */
const GEMMA4: Tower = {
  kind: "vision",
  defaults: {
    hidden_size: 768,
    intermediate_size: 3072,
    num_hidden_layers: 16,
    num_attention_heads: 12,
    num_key_value_heads: 12,
    head_dim: 64,
    patch_size: 16,
    position_embedding_size: 10240,
  },
  count: (tower, _outer, textWidth) => {
    const width = tower.size("hidden_size");
    const heads = tower.size("num_attention_heads");
    const headDim = tower.size("head_dim");
    const kvHeads = tower.size("num_key_value_heads");
    const attention = 2 * width * heads * headDim + 2 * width * kvHeads * headDim + 2 * headDim;
    const layer = attention + 3 * width * tower.size("intermediate_size") + 4 * width;
    return (
      tower.size("num_hidden_layers") * layer +
      patchValues(tower) * width +
      2 * tower.size("position_embedding_size") * width +
      width * textWidth
    );
  },
};

/** Side of the kernels of Gemma 4's convolutions over time and frequency, and how much both narrow the frequencies. */
const GEMMA4_KERNEL = 3;
const GEMMA4_NARROWING = 4;

/** Gemma 4's conformer: two feed forwards, attention with relative positions and a light convolution per layer. */
const GEMMA4_AUDIO: Tower = {
  kind: "audio",
  defaults: {
    hidden_size: 1024,
    num_hidden_layers: 12,
    num_attention_heads: 8,
    conv_kernel_size: 5,
    subsampling_conv_channels: [128, 32],
    output_proj_dims: 1536,
  },
  count: (tower, _outer, textWidth) => {
    const width = tower.size("hidden_size");
    const [first = 1, second = 1] = tower.optionalWholes(["subsampling_conv_channels"], { min: 1 }) ?? [];
    const output = tower.size("output_proj_dims");
    const feedForward = 2 * width * 4 * width + 2 * width;
    const attention = 5 * square(width) + Math.floor(width / tower.size("num_attention_heads"));
    const convolution = 3 * square(width) + tower.size("conv_kernel_size") * width + 2 * width;
    const taps = square(GEMMA4_KERNEL);
    const subsampling =
      taps * first + first + taps * first * second + second + Math.floor(first / GEMMA4_NARROWING) * second * width;
    return (
      tower.size("num_hidden_layers") * (2 * feedForward + attention + convolution + 3 * width) +
      subsampling +
      linear(width, output) +
      output * textWidth
    );
  },
};

/** LLaVA's projector behind CLIP or Pixtral. */
const LLAVA: Tower = {
  kind: "vision",
  count: (tower, _outer, textWidth) => {
    const isPixtral = tower.optionalText("model_type") === "pixtral";
    const read = isPixtral ? tower.withDefaults(PIXTRAL_DEFAULTS) : tower;
    return (isPixtral ? pixtral(read) : clip(read)) + twoLayers(read.size("hidden_size"), textWidth, textWidth);
  },
};

const LLAMA4: Tower = {
  kind: "vision",
  count: (tower, _outer, textWidth) => {
    const output = tower.size("projector_output_dim");
    const adapter = tower.size("intermediate_size") * tower.size("projector_input_dim");
    return clip(tower) + adapter + tower.size("projector_input_dim") * output + output * textWidth;
  },
};

const PIXTRAL_DEFAULTS = { hidden_size: 1024, intermediate_size: 4096, num_hidden_layers: 24, patch_size: 16 };

/** Pixtral: gated layers without biases, rotated positions, a norm behind the patches. */
function pixtral(tower: ConfigReader): number {
  const width = tower.size("hidden_size");
  const layer = 4 * square(width) + 3 * width * tower.size("intermediate_size") + 2 * width;
  return tower.size("num_hidden_layers") * layer + patchValues(tower) * width + width;
}

/** Pixtral with Mistral 3's projector: no biases, merged patches. */
const PIXTRAL: Tower = {
  kind: "vision",
  defaults: PIXTRAL_DEFAULTS,
  count: (tower, outer, textWidth) => {
    const width = tower.size("hidden_size");
    const merged = width * square(outer.optionalSize("spatial_merge_size") ?? 2);
    const bias = outer.flag("multimodal_projector_bias", false) ? 2 * textWidth : 0;
    return pixtral(tower) + width + merged * width + width * textWidth + square(textWidth) + bias;
  },
};

/** GLM-4.1V: gated layers, a strided convolution that merges patches, a gated merger. */
const GLM4V: Tower = {
  kind: "vision",
  defaults: { temporal_patch_size: 2, spatial_merge_size: 2 },
  count: (tower) => {
    const width = tower.size("hidden_size");
    const output = tower.size("out_hidden_size");
    return (
      tower.size("depth") * (4 * square(width) + 3 * width * output + 2 * width) +
      linear(patchValues(tower), width) +
      patchesOf(tower) * width +
      2 * width +
      linear(mergedWidth(tower, width), output) +
      square(output) +
      layerNorm(output) +
      3 * output * tower.size("intermediate_size")
    );
  },
};

/** MoonViT with a patch merger (Kimi-VL, Kimi K2.5). */
const MOONVIT: Tower = {
  kind: "vision",
  count: (tower, _outer, textWidth) => {
    const width = tower.size("vt_hidden_size", "hidden_size");
    const merged = width * (tower.optionalWholes(["merge_kernel_size"]) ?? [2, 2]).reduce((a, b) => a * b, 1);
    return (
      tower.size("vt_num_hidden_layers", "num_hidden_layers") *
        biasedLayer(width, tower.size("vt_intermediate_size", "intermediate_size")) +
      linear(patchValues(tower), width) +
      tower.size("init_pos_emb_height") * tower.size("init_pos_emb_width") * width +
      2 * layerNorm(width) +
      twoLayers(merged, merged, textWidth)
    );
  },
};

/** SigLIP 2 with LFM2-VL's projector over merged patches. */
const LFM2_VL: Tower = {
  kind: "vision",
  count: (tower, outer, textWidth) => {
    const merged = tower.size("hidden_size") * square(outer.optionalSize("downsample_factor") ?? 2);
    const middle = outer.size("projector_hidden_size");
    const norm = outer.flag("projector_use_layernorm", true) ? layerNorm(merged) : 0;
    return siglip(tower) + norm + twoLayers(merged, middle, textWidth);
  },
};

/** Llama 3.2 Vision: local layers, gated global layers, embeddings of tiles and of their arrangement. */
const MLLAMA: Tower = {
  kind: "vision",
  count: (tower, _outer, textWidth) => {
    const width = tower.size("hidden_size");
    const size = tower.size("intermediate_size");
    const tiles = tower.size("max_num_tiles");
    const tokens = patchesOf(tower) + 1;
    const ratios = (tower.optionalListLength("supported_aspect_ratios") ?? 0) + 1;
    const layer = 4 * square(width) + linear(width, size) + linear(size, width) + 2 * layerNorm(width);
    const globalLayers = tower.size("num_global_layers");
    const positions = tokens * width + 1 + ratios * tiles * tokens * width;
    const tilePositions = 2 * (ratios * tiles * width + 1);
    return (
      tower.size("num_hidden_layers") * layer +
      globalLayers * (layer + 2) +
      patchValues(tower) * width +
      width +
      positions +
      tilePositions +
      2 * layerNorm(width) +
      linear(tower.size("vision_output_dim"), textWidth)
    );
  },
};

/** Frames that Voxtral's projector joins. */
const VOXTRAL_MERGE = 4;
/** Width of the kernels of Whisper's two convolutions. */
const WHISPER_KERNEL = 3;

/** Whisper's encoder (its key projections have no bias) with Voxtral's projector. */
const VOXTRAL: Tower = {
  kind: "audio",
  count: (tower, _outer, textWidth) => {
    const width = tower.size("hidden_size");
    const layer = biasedLayer(width, tower.size("intermediate_size")) - width;
    return (
      tower.size("num_hidden_layers") * layer +
      linear(WHISPER_KERNEL * tower.size("num_mel_bins"), width) +
      linear(WHISPER_KERNEL * width, width) +
      tower.size("max_source_positions") * width +
      layerNorm(width) +
      VOXTRAL_MERGE * width * textWidth +
      square(textWidth)
    );
  },
};

/** Qwen 2.5 VL's tower with grouped keys and values (EXAONE 4.5). */
const EXAONE4_5: Tower = {
  kind: "vision",
  defaults: { ...QWEN2_5_VL.defaults, num_heads: 16, num_key_value_heads: 8 },
  count: (tower, outer, textWidth) => {
    const width = tower.size("hidden_size");
    const keyValueWidth = tower.size("num_key_value_heads") * Math.floor(width / tower.size("num_heads"));
    const missing = 2 * linear(width, width) - 2 * linear(width, keyValueWidth);
    return QWEN2_5_VL.count(tower, outer, textWidth) - tower.size("depth") * missing;
  },
};

/** Muse-Glimmer: MoonViT's layers, norms before and after, three matrices to the text's width. */
const MUSE_GLIMMER: Tower = {
  kind: "vision",
  defaults: { patch_size: 14, patch_temporal: 2 },
  count: (tower, outer, textWidth) => {
    const width = tower.size("hidden_size");
    const middle = outer.size("projector_hidden_size");
    return (
      tower.size("num_hidden_layers") * biasedLayer(width, tower.size("intermediate_size")) +
      patchValues(tower) * tower.size("patch_temporal") * width +
      tower.size("pos_emb_height") * tower.size("pos_emb_width") * width +
      2 * layerNorm(width) +
      outer.size("out_hidden_size") * middle +
      square(middle) +
      middle * textWidth
    );
  },
};

/** MoonViT of Kimi K3: attention wider than the layers, no biases, scales only. */
const MOONVIT_K3: Tower = {
  kind: "vision",
  count: (tower, _outer, textWidth) => {
    const width = tower.size("vt_hidden_size");
    const attention = 4 * width * tower.size("qkv_hidden_size");
    const merged = width * (tower.optionalWholes(["merge_kernel_size"]) ?? [2, 2]).reduce((a, b) => a * b, 1);
    const layer = attention + 2 * width * tower.size("vt_intermediate_size") + 2 * width;
    return (
      tower.size("vt_num_hidden_layers") * layer +
      patchValues(tower) * width +
      tower.size("init_pos_emb_height") * tower.size("init_pos_emb_width") * width +
      2 * width +
      square(merged) +
      merged * textWidth
    );
  },
};

/** MiniMax-M3: CLIP's layers with rotated positions; each patch is projected, then four are merged. */
const MINIMAX_M3: Tower = {
  kind: "vision",
  defaults: { hidden_size: 1280, num_hidden_layers: 32, intermediate_size: 5120, patch_size: 14 },
  count: (tower, outer, textWidth) => {
    const width = tower.size("hidden_size");
    const compression = tower.optionalObject("img_token_compression_config") ?? tower;
    const merged = textWidth * square(compression.optionalSize("spatial_merge_size") ?? 2);
    const frames = compression.optionalSize("temporal_patch_size") ?? 2;
    const middle = outer.optionalSize("projector_hidden_size") ?? textWidth;
    return (
      tower.size("num_hidden_layers") * biasedLayer(width, tower.size("intermediate_size")) +
      channelsOf(tower) * square(tower.size("patch_size")) * frames * width +
      layerNorm(width) +
      twoLayers(width, middle, textWidth) +
      twoLayers(merged, middle, textWidth)
    );
  },
};

/** MiniCPM-V 4.6: SigLIP with a window merger among its layers, and a merger before the text. */
const MINICPM_V4_6: Tower = {
  kind: "vision",
  count: (tower, _outer, textWidth) => {
    const width = tower.size("hidden_size");
    const window = width * (tower.optionalWholes(["window_kernel_size"]) ?? [2, 2]).reduce((a, b) => a * b, 1);
    const middle = (window / width) * tower.size("intermediate_size");
    const windowMerger =
      4 * linear(width, width) + layerNorm(width) + layerNorm(window) + twoLayers(window, middle, width);
    const merged = MERGED_PATCHES * width;
    return siglip(tower) + windowMerger + layerNorm(merged) + twoLayers(merged, merged, textWidth);
  },
};

/** Patches that most projectors join: two by two. */
const MERGED_PATCHES = 4;

/** GLM-4V: EVA's layers, a strided convolution to the text's width, a gated projector. */
const GLM4V_9B: Tower = {
  kind: "vision",
  count: (tower, outer, textWidth) => {
    const width = tower.size("hidden_size");
    return (
      tower.size("num_hidden_layers") * biasedLayer(width, tower.size("intermediate_size")) +
      linear(patchValues(tower), width) +
      width +
      tower.size("num_positions") * width +
      linear(MERGED_PATCHES * width, textWidth) +
      square(textWidth) +
      layerNorm(textWidth) +
      3 * textWidth * outer.size("ffn_hidden_size") +
      2 * textWidth
    );
  },
};

/** SigLIP by DeepSeek-VL2's names, four patches merged, separators of lines and views. */
const DEEPSEEK_VL2: Tower = {
  kind: "vision",
  defaults: { layers: 27, width: 1152, mlp_ratio: 3.7362, patch_size: 14, image_size: 384 },
  count: (tower, outer, textWidth) => {
    const width = tower.size("width");
    const size = Math.floor(width * (tower.optionalNumber("mlp_ratio") ?? 4));
    const output = outer.optionalObject("projector_config")?.optionalSize("n_embed") ?? textWidth;
    return (
      tower.size("layers") * biasedLayer(width, size) +
      linear(patchValues(tower), width) +
      patchesOf(tower) * width +
      layerNorm(width) +
      poolingHead(width, size) +
      twoLayers(MERGED_PATCHES * width, output, output) +
      2 * output
    );
  },
};

/** SigLIP's pooling head: a query, attention, norm and MLP. */
const poolingHead = (width: number, size: number): number =>
  width + 4 * linear(width, width) + layerNorm(width) + twoLayers(width, size, width);

/** CLIP ViT-L/14 with Phi-3-vision's projector of four merged patches. */
const PHI3_V: Tower = {
  kind: "vision",
  isFixed: true,
  defaults: { hidden_size: 1024, intermediate_size: 4096, num_hidden_layers: 24, patch_size: 14, image_size: 336 },
  count: (tower, _outer, textWidth) => {
    const merged = MERGED_PATCHES * tower.size("hidden_size");
    return clip(tower) + twoLayers(merged, textWidth, textWidth) + 2 * merged;
  },
};

/** Parameters of a low-rank adapter of Phi-4-multimodal on the four matrices of every layer. */
function phi4Adapter(outer: ConfigReader, field: string, defaultRank: number): number {
  const rank = outer.optionalObject(field)?.optionalSize("r") ?? defaultRank;
  const { heads, kvHeads, keyDim } = readHeads(outer);
  const width = hiddenSizeOf(outer);
  const size = outer.size("intermediate_size");
  const sums = [width + (heads + 2 * kvHeads) * keyDim, heads * keyDim + width, width + 2 * size, size + width].reduce(
    (all, sum) => all + sum,
    0,
  );
  return rank * sums * outer.size("num_hidden_layers");
}

/** SigLIP with its pooling head, and the adapter that the text model needs for images. */
const PHI4_VISION: Tower = {
  kind: "vision",
  isFixed: true,
  defaults: { hidden_size: 1152, intermediate_size: 4304, num_hidden_layers: 27, patch_size: 14, image_size: 448 },
  count: (tower, outer, textWidth) => {
    const width = tower.size("hidden_size");
    return (
      siglip(tower) +
      poolingHead(width, tower.size("intermediate_size")) +
      twoLayers(width, textWidth, textWidth) +
      2 * width +
      phi4Adapter(outer, "vision_lora", 256)
    );
  },
};

/** Taps of Phi-4's convolutions over time, and of those over time and frequency. */
const PHI4_KERNEL = 3;

/** A conformer behind convolutions that subsample, two projectors, and the adapter for speech. */
const PHI4_AUDIO: Tower = {
  kind: "audio",
  isFixed: true,
  defaults: {
    hidden_size: 1024,
    intermediate_size: 1536,
    num_blocks: 24,
    num_attention_heads: 16,
    nemo_conv_channels: 1024,
    input_size: 80,
    time_reduction: 8,
    bias_max_distance: 1000,
  },
  count: (tower, outer, textWidth) => {
    const width = tower.size("hidden_size");
    const size = tower.size("intermediate_size");
    const channels = tower.size("nemo_conv_channels");
    const inputs = tower.size("input_size");
    const halvings = Math.round(Math.log2(tower.size("time_reduction")));
    const mlp = layerNorm(width) + linear(width, 2 * size) + linear(size, width);
    const convolution =
      layerNorm(width) + linear(width, 2 * width) + 2 * width + linear(PHI4_KERNEL, width) + 2 * linear(width, width);
    const layer = 2 * mlp + 4 * linear(width, width) + convolution + 2 * layerNorm(width);
    const taps = square(PHI4_KERNEL);
    const subsampling = linear(taps, channels) + (halvings - 1) * (linear(taps, channels) + linear(channels, channels));
    return (
      tower.size("num_blocks") * layer +
      subsampling +
      linear(channels * Math.ceil(inputs / 2 ** halvings), width) +
      tower.size("bias_max_distance") * tower.size("num_attention_heads") +
      2 * inputs +
      2 * twoLayers(width, textWidth, textWidth) +
      phi4Adapter(outer, "speech_lora", 320)
    );
  },
};

/** ERNIE 4.5 VL: Qwen2-VL's layers, then patches merged in space and in time. */
const ERNIE_VL: Tower = {
  kind: "vision",
  defaults: { depth: 32, hidden_size: 1280, patch_size: 14, spatial_merge_size: 2 },
  count: (tower, _outer, textWidth) => {
    const width = tower.size("hidden_size", "embed_dim");
    const merged = mergedWidth(tower, width);
    const frames = tower.optionalSize("temporal_merge_size") ?? 2;
    return (
      tower.size("depth") *
        biasedLayer(width, tower.optionalSize("intermediate_size") ?? width * (tower.optionalSize("mlp_ratio") ?? 4)) +
      patchValues(tower) * width +
      layerNorm(width) +
      twoLayers(merged, merged, merged) +
      twoLayers(merged * frames, merged, merged) +
      2 * layerNorm(merged) +
      linear(merged, textWidth) +
      textWidth
    );
  },
};

/** LLaVA-NeXT and LLaVA-OneVision: a vector between rows of tiles besides; the tower by its own type. */
const LLAVA_NEXT: Tower = {
  kind: "vision",
  count: (tower, _outer, textWidth) => {
    const isSiglip = tower.optionalText("model_type") === "siglip_vision_model";
    return (
      (isSiglip ? siglip(tower) : clip(tower)) + twoLayers(tower.size("hidden_size"), textWidth, textWidth) + textWidth
    );
  },
};

/** InternVL: a class token, learned positions, two scales per layer, four patches merged. */
const INTERNVL: CountedTower = {
  kind: "vision",
  defaults: { hidden_size: 1024, intermediate_size: 4096, num_hidden_layers: 24, patch_size: 14, image_size: 448 },
  count: (tower, _outer, textWidth) => {
    const width = sideOf(tower, "hidden_size");
    const merged = MERGED_PATCHES * width;
    const positions = square(Math.floor(sideOf(tower, "image_size") / sideOf(tower, "patch_size"))) + 1;
    return (
      tower.size("num_hidden_layers") * (biasedLayer(width, tower.size("intermediate_size")) + 2 * width) +
      linear(channelsOf(tower) * square(sideOf(tower, "patch_size")), width) +
      (positions + 1) * width +
      layerNorm(merged) +
      twoLayers(merged, textWidth, textWidth)
    );
  },
};

/** InternVL by its own names: the 6B tower has scales only, no biases of Q, K and V, and norms of queries and keys. */
const INTERNVL_CHAT: Tower = {
  kind: "vision",
  defaults: { ...INTERNVL.defaults },
  count: (tower, outer, textWidth) => {
    const width = sideOf(tower, "hidden_size");
    const scalesOnly = tower.optionalText("norm_type") === "rms_norm" ? 2 * width : 0;
    const noBias = tower.flag("qkv_bias", true) ? 0 : 3 * width;
    const normed = tower.flag("qk_normalization", false) ? 2 * width : 0;
    return INTERNVL.count(tower, outer, textWidth) + tower.size("num_hidden_layers") * (normed - scalesOnly - noBias);
  },
};

/** A size that a config may state as two equal sides. */
const sideOf = (tower: ConfigReader, name: string): number =>
  Array.isArray(tower.raw(name)) ? (tower.optionalWholes([name], { min: 1 })?.[0] ?? 1) : tower.size(name);

/** Idefics 3 and SmolVLM: SigLIP, and one matrix from patches joined `scale_factor` by `scale_factor`. */
const IDEFICS3: Tower = {
  kind: "vision",
  defaults: { hidden_size: 1152, intermediate_size: 3072, num_hidden_layers: 12, patch_size: 32, image_size: 224 },
  count: (tower, outer, textWidth) =>
    siglip(tower) + square(outer.optionalSize("scale_factor") ?? 2) * tower.size("hidden_size") * textWidth,
};

/** Aya Vision: SigLIP, and a gated projector from merged patches. */
const AYA_VISION: Tower = {
  kind: "vision",
  defaults: { hidden_size: 1152, intermediate_size: 4304, num_hidden_layers: 27, patch_size: 14, image_size: 384 },
  count: (tower, outer, textWidth) => {
    const merged = tower.size("hidden_size") * square(outer.optionalSize("downsample_factor") ?? 2);
    const middle = outer.optionalSize("alignment_intermediate_size") ?? 36_864;
    return siglip(tower) + layerNorm(merged) + linear(merged, middle) + linear(Math.floor(middle / 2), textWidth);
  },
};

/** Gemma 4 unified: one matrix for joined patches between norms, positions in two tables, a projection. */
const GEMMA4_UNIFIED: Tower = {
  kind: "vision",
  defaults: { patch_size: 16, pooling_kernel_size: 3, mm_embed_dim: 3840, mm_posemb_size: 1120 },
  count: (tower, _outer, textWidth) => {
    const width = tower.size("mm_embed_dim");
    const values = patchValues(tower) * square(tower.size("pooling_kernel_size"));
    return (
      layerNorm(values) +
      linear(values, width) +
      2 * layerNorm(width) +
      2 * tower.size("mm_posemb_size") * width +
      (tower.optionalSize("output_proj_dims") ?? width) * textWidth
    );
  },
};

/** Its frames of sound: a projection alone. */
const GEMMA4_UNIFIED_AUDIO: Tower = {
  kind: "audio",
  defaults: { audio_embed_dim: 640 },
  count: (tower, _outer, textWidth) => tower.size("audio_embed_dim") * textWidth,
};

/** Gemma 3n's way into the text: embeddings of the tower's own tokens, two norms, a projection. */
const gemma3nEmbedder = (tower: ConfigReader, width: number, textWidth: number): number =>
  tower.size("vocab_size") * width + 2 * width + width * textWidth;

/** MobileNetV5-300M's encoder (timm gives 294.13 M): what Gemma 3n's published counts hold beside all other modules. */
const MOBILENET_V5_PARAMETERS = 294_125_376;

const GEMMA3N: Tower = {
  kind: "vision",
  defaults: { hidden_size: 2048, vocab_size: 128, architecture: "mobilenetv5_300m_enc" },
  count: (tower, _outer, textWidth) => {
    if (tower.optionalText("architecture") !== "mobilenetv5_300m_enc") return undefined;
    return MOBILENET_V5_PARAMETERS + gemma3nEmbedder(tower, tower.size("hidden_size"), textWidth);
  },
};

/** Gemma 3n's conformer: Gemma 4's, with scales in the convolutions' norms and positions in every layer. */
const GEMMA3N_AUDIO: Tower = {
  kind: "audio",
  defaults: {
    hidden_size: 1536,
    vocab_size: 128,
    input_feat_size: 128,
    conf_num_hidden_layers: 12,
    conf_num_attention_heads: 8,
    conf_conv_kernel_size: 5,
    sscp_conv_channel_size: [128, 32],
  },
  count: (tower, _outer, textWidth) => {
    const width = tower.size("hidden_size");
    const [first = 1, second = 1] = tower.optionalWholes(["sscp_conv_channel_size"], { min: 1 }) ?? [];
    const taps = square(GEMMA4_KERNEL);
    const inputs = second * Math.floor(tower.size("input_feat_size") / GEMMA4_NARROWING);
    const subsampling = taps * first + first + taps * first * second + second + linear(inputs, width);
    const feedForward = 2 * width * 4 * width + 2 * width;
    const attention = 5 * square(width) + Math.floor(width / tower.size("conf_num_attention_heads")) + 2 * width;
    const convolution = 3 * square(width) + tower.size("conf_conv_kernel_size") * width + 2 * width;
    return (
      tower.size("conf_num_hidden_layers") * (2 * feedForward + attention + convolution + width) +
      subsampling +
      gemma3nEmbedder(tower, width, textWidth)
    );
  },
};

/** The fields that Whisper's encoder has in the Qwen Omni models. */
const WHISPER_DEFAULTS = { d_model: 1280, encoder_ffn_dim: 5120, encoder_layers: 32, num_mel_bins: 128 };

/** Qwen2.5-Omni: Whisper's encoder without a table of positions, two marks and a projection. */
const QWEN2_5_OMNI_AUDIO: Tower = {
  kind: "audio",
  defaults: { ...WHISPER_DEFAULTS, output_dim: 3584 },
  count: (tower) => {
    const width = tower.size("d_model");
    const output = tower.size("output_dim");
    return (
      tower.size("encoder_layers") * (biasedLayer(width, tower.size("encoder_ffn_dim")) - width) +
      linear(WHISPER_KERNEL * tower.size("num_mel_bins"), width) +
      linear(WHISPER_KERNEL * width, width) +
      layerNorm(width) +
      2 * output +
      linear(width, output)
    );
  },
};

/** Side of the kernels of Qwen3-Omni's convolutions over time and frequency, of which each halves both. */
const QWEN3_OMNI_KERNEL = 3;
const QWEN3_OMNI_CONVOLUTIONS = 3;

/** Qwen3-Omni: three convolutions over time and frequency, biased layers, two projections. */
const QWEN3_OMNI_AUDIO: Tower = {
  kind: "audio",
  defaults: { ...WHISPER_DEFAULTS, downsample_hidden_size: 480, output_dim: 2048 },
  count: (tower) => {
    const width = tower.size("d_model");
    const channels = tower.size("downsample_hidden_size");
    const taps = square(QWEN3_OMNI_KERNEL);
    const frequencies = Math.ceil(tower.size("num_mel_bins") / 2 ** QWEN3_OMNI_CONVOLUTIONS);
    return (
      linear(taps, channels) +
      (QWEN3_OMNI_CONVOLUTIONS - 1) * linear(taps * channels, channels) +
      channels * frequencies * width +
      tower.size("encoder_layers") * biasedLayer(width, tower.size("encoder_ffn_dim")) +
      layerNorm(width) +
      twoLayers(width, width, tower.size("output_dim"))
    );
  },
};

/** Janus: SigLIP-L with its pooling head, as its own code builds it, and two layers. Its image generator is no tower. */
const JANUS: Tower = {
  kind: "vision",
  part: "params",
  defaults: { model_name: "siglip_large_patch16_384", image_size: 384, patch_size: 16 },
  count: (tower, _outer, textWidth) => {
    if (tower.optionalText("model_name") !== "siglip_large_patch16_384") return undefined;
    const large = tower.withDefaults({ hidden_size: 1024, intermediate_size: 4096, num_hidden_layers: 24 });
    const width = large.size("hidden_size");
    return siglip(large) + poolingHead(width, large.size("intermediate_size")) + twoLayers(width, textWidth, textWidth);
  },
};

/** Janus by transformers' names: the same tower without the pooling head. */
const JANUS_HF: Tower = {
  kind: "vision",
  defaults: { hidden_size: 1024, num_hidden_layers: 24, mlp_ratio: 4, image_size: 384, patch_size: 16, depth: 2 },
  count: (tower) => {
    const width = tower.size("hidden_size");
    const output = tower.optionalSize("projection_dim") ?? 2048;
    const size = Math.floor(width * (tower.optionalNumber("mlp_ratio") ?? 4));
    return (
      siglip(tower.withDefaults({ intermediate_size: size })) +
      linear(width, output) +
      (tower.size("depth") - 1) * linear(output, output)
    );
  },
};

/** Width, layers and feed forward of the sizes of a vision transformer, by the names that RADIO's configs have. */
const VIT_SIZES: Readonly<Record<string, { width: number; layers: number; size: number }>> = {
  vit_small_patch16_224: { width: 384, layers: 12, size: 1536 },
  vit_base_patch16_224: { width: 768, layers: 12, size: 3072 },
  vit_large_patch16_224: { width: 1024, layers: 24, size: 4096 },
  vit_huge_patch16_224: { width: 1280, layers: 32, size: 5120 },
};

/** C-RADIO: patches without a bias, a large table of positions, class tokens filled up with registers. */
function radio(tower: ConfigReader, outer: ConfigReader): { width: number; parameters: number } | undefined {
  const stated = tower.optionalObject("args") ?? tower;
  const name = stated.optionalText("model") ?? "vit_huge_patch16_224";
  const vit = Object.hasOwn(VIT_SIZES, name) ? VIT_SIZES[name] : undefined;
  if (!vit) return undefined;
  const patch = tower.optionalSize("patch_size") ?? outer.optionalSize("patch_size") ?? 16;
  const side = Math.ceil((stated.optionalSize("cpe_max_size") ?? 2048) / patch);
  const tokens = stated.optionalSize("register_multiple") ?? RADIO_TOKENS;
  const frames = outer.optionalSize("video_temporal_patch_size") ?? 1;
  const values = 3 * square(patch) * vit.width;
  const parameters =
    vit.layers * biasedLayer(vit.width, vit.size) +
    values +
    (frames > 1 ? frames * values : 0) +
    square(side) * vit.width +
    tokens * vit.width;
  return { width: vit.width, parameters };
}

/** Class tokens and registers together. */
const RADIO_TOKENS = 16;

/** Width of the patches that Nemotron's projectors join, by the share of the sides that is left. */
function joinedWidth(outer: ConfigReader, width: number): number {
  const share = outer.optionalNumber("downsample_ratio") ?? 0.5;
  if (share < SMALLEST_SHARE || share > 1) {
    throw outer.invalid("downsample_ratio", `must be from ${SMALLEST_SHARE} to 1, but is ${share}`);
  }
  return Math.round(width / square(share));
}

/** Sides are shrunk to no less than a hundredth. */
const SMALLEST_SHARE = 0.01;

/** Nemotron Nano VL of the second generation: a scale, then two matrices without biases. */
const NEMOTRON_VL: Tower = {
  kind: "vision",
  count: (tower, outer, textWidth) => {
    const vit = radio(tower, outer);
    if (!vit) return undefined;
    const joined = joinedWidth(outer, vit.width);
    const middle = outer.optionalSize("projector_hidden_size") ?? joined;
    return vit.parameters + joined + joined * middle + middle * textWidth;
  },
};

/** Llama Nemotron Nano VL: a norm, then two layers. */
const LLAMA_NEMOTRON_VL: Tower = {
  kind: "vision",
  count: (tower, outer, textWidth) => {
    const vit = radio(tower, outer);
    if (!vit) return undefined;
    const joined = joinedWidth(outer, vit.width);
    return vit.parameters + layerNorm(joined) + twoLayers(joined, textWidth, textWidth);
  },
};

/** Command A Vision: SigLIP, and Aya's gated projector without a norm. */
const COHERE2_VISION: Tower = {
  kind: "vision",
  defaults: { hidden_size: 1152, intermediate_size: 4304, num_hidden_layers: 27, patch_size: 16, image_size: 512 },
  count: (tower, outer, textWidth) => {
    const merged = tower.size("hidden_size") * square(outer.optionalSize("downsample_factor") ?? 2);
    const middle = outer.optionalSize("alignment_intermediate_size") ?? 36_864;
    return siglip(tower) + linear(merged, middle) + linear(Math.floor(middle / 2), textWidth);
  },
};

/** Phi-4-reasoning-vision: SigLIP 2 with its pooling head and a table of 256 positions, and two layers. */
const PHI4_SIGLIP: Tower = {
  kind: "vision",
  defaults: {
    hidden_size: 1152,
    intermediate_size: 4304,
    num_hidden_layers: 27,
    patch_size: 16,
    num_patches: 256,
  },
  count: (tower, _outer, textWidth) => {
    const width = tower.size("hidden_size");
    return siglip(tower) + poolingHead(width, tower.size("intermediate_size")) + twoLayers(width, textWidth, textWidth);
  },
};

/** Vectors of the text's width that stand around an image in Hunyuan's vision models. */
const HUNYUAN_MARKS = 3;

/** Hunyuan's vision models: patches merged by two convolutions that widen, marks, and norms before and after. */
const HUNYUAN_VL: Tower = {
  kind: "vision",
  defaults: {
    hidden_size: 1152,
    intermediate_size: 4304,
    num_hidden_layers: 27,
    patch_size: 16,
    max_image_size: 2048,
    spatial_merge_size: 2,
  },
  count: (tower, _outer, textWidth) => {
    const width = tower.size("hidden_size");
    const output = tower.optionalSize("out_hidden_size") ?? textWidth;
    const positions = square(Math.floor(tower.size("max_image_size") / tower.size("patch_size"))) + 1;
    const merged = width * square(tower.size("spatial_merge_size"));
    return (
      tower.size("num_hidden_layers") * biasedLayer(width, tower.size("intermediate_size")) +
      linear(patchValues(tower), width) +
      positions * width +
      twoLayers(merged, 2 * width, 4 * width) +
      linear(4 * width, output) +
      4 * width +
      HUNYUAN_MARKS * output +
      width +
      output
    );
  },
};

/** By `model_type` of the whole config: a tower's projector depends on the model it is for. */
const TOWERS: ReadonlyMap<string, readonly Tower[]> = new Map([
  ["qwen2_vl", [QWEN2_VL]],
  ["qwen2_5_vl", [QWEN2_5_VL]],
  ["qwen3_vl", [QWEN3_VL]],
  ["qwen3_vl_moe", [QWEN3_VL]],
  ["qwen3_5", [QWEN3_VL]],
  ["qwen3_5_moe", [QWEN3_VL]],
  ["gemma3", [GEMMA3]],
  ["gemma3n", [GEMMA3N, GEMMA3N_AUDIO]],
  ["gemma4", [GEMMA4, GEMMA4_AUDIO]],
  ["gemma4_unified", [GEMMA4_UNIFIED, GEMMA4_UNIFIED_AUDIO]],
  ["qwen2_5_omni", [QWEN2_5_VL, QWEN2_5_OMNI_AUDIO]],
  ["qwen2_5_omni_thinker", [QWEN2_5_VL, QWEN2_5_OMNI_AUDIO]],
  ["qwen3_omni_moe", [QWEN3_VL, QWEN3_OMNI_AUDIO]],
  ["qwen3_omni_moe_thinker", [QWEN3_VL, QWEN3_OMNI_AUDIO]],
  ["multi_modality", [JANUS]],
  ["janus", [JANUS_HF]],
  ["NemotronH_Nano_VL_V2", [NEMOTRON_VL]],
  ["Llama_Nemotron_Nano_VL", [LLAMA_NEMOTRON_VL]],
  ["llava", [LLAVA]],
  ["llava_next", [LLAVA_NEXT]],
  ["llava_onevision", [LLAVA_NEXT]],
  ["internvl", [INTERNVL]],
  ["internvl_chat", [INTERNVL_CHAT]],
  ["idefics3", [IDEFICS3]],
  ["smolvlm", [IDEFICS3]],
  ["aya_vision", [AYA_VISION]],
  ["cohere2_vision", [COHERE2_VISION]],
  ["hunyuan_vl", [HUNYUAN_VL]],
  ["phi4-siglip", [PHI4_SIGLIP]],
  ["llama4", [LLAMA4]],
  ["mllama", [MLLAMA]],
  ["mistral3", [PIXTRAL]],
  ["glm4v", [GLM4V]],
  ["glm4v_moe", [GLM4V]],
  ["chatglm", [GLM4V_9B]],
  ["kimi_vl", [MOONVIT]],
  ["kimi_k25", [MOONVIT]],
  ["kimi_k3", [MOONVIT_K3]],
  ["lfm2_vl", [LFM2_VL]],
  ["voxtral", [VOXTRAL]],
  ["exaone4_5", [EXAONE4_5]],
  ["muse_glimmer", [MUSE_GLIMMER]],
  ["minimax_m3_vl", [MINIMAX_M3]],
  ["minicpmv4_6", [MINICPM_V4_6]],
  ["deepseek_vl_v2", [DEEPSEEK_VL2]],
  ["phi3_v", [PHI3_V]],
  ["phi4mm", [PHI4_VISION, PHI4_AUDIO]],
  ["phi4_multimodal", [PHI4_VISION, PHI4_AUDIO]],
  ["ernie4_5_moe_vl", [ERNIE_VL]],
  ["ernie4_5_vl_moe", [ERNIE_VL]],
]);

const TOWER_FIELDS: Readonly<Record<Encoder["kind"], string>> = { vision: "vision_config", audio: "audio_config" };

/** The part of an Omni model that takes in images and sound; beside it stand those that speak. */
const THINKER = "thinker_config";

/** The towers of a multimodal config that can be counted exactly. @throws ConfigError for fields that are wrong. */
export function readEncoders(config: ConfigReader, textWidth: number): Encoder[] {
  const modelType = config.optionalText("model_type") ?? "";
  const towers = TOWERS.get(modelType) ?? [];
  const owner = (towers.length > 0 ? config.optionalObject(THINKER) : undefined) ?? config;
  return towers.flatMap((tower) => {
    const stated = owner.optionalObject(TOWER_FIELDS[tower.kind]);
    const described = (tower.part === undefined ? undefined : stated?.optionalObject(tower.part)) ?? stated;
    if (!described && !tower.isFixed) return [];
    const reader = (described ?? ConfigReader.of({}, config.path)).withDefaults(tower.defaults ?? {});
    const parameters = tower.count(reader, config, textWidth);
    if (parameters === undefined) return [];
    const injectedLayers = reader.optionalWholes(["deepstack_visual_indexes"])?.length ?? 0;
    return [{ kind: tower.kind, parameters, modelType, ...(injectedLayers > 0 && { injectedLayers }) }];
  });
}
