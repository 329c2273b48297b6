import type { Encoder } from "./architecture.js";
import type { ConfigReader } from "./config-reader.js";

/*
 * Parameters of the towers that multimodal checkpoints store beside the text model, projector included. Each entry
 * follows the modules of its transformers class; the sums equal the published counts of the models in the tests.
 * A tower that is not here is not counted.
 */

interface Tower {
  kind: Encoder["kind"];
  /** transformers' defaults, which configs leave out. */
  defaults?: Readonly<Record<string, unknown>>;
  /** `tower` is the vision or audio config, `outer` the whole config; `textWidth` the text model's hidden size. */
  count(tower: ConfigReader, outer: ConfigReader, textWidth: number): number;
}

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

const QWEN2_5_VL: Tower = {
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

const LLAVA: Tower = {
  kind: "vision",
  count: (tower, _outer, textWidth) => clip(tower) + twoLayers(tower.size("hidden_size"), textWidth, textWidth),
};

const LLAMA4: Tower = {
  kind: "vision",
  count: (tower, _outer, textWidth) => {
    const output = tower.size("projector_output_dim");
    const adapter = tower.size("intermediate_size") * tower.size("projector_input_dim");
    return clip(tower) + adapter + tower.size("projector_input_dim") * output + output * textWidth;
  },
};

/** Pixtral with Mistral 3's projector: no biases, merged patches. */
const PIXTRAL: Tower = {
  kind: "vision",
  defaults: { hidden_size: 1024, intermediate_size: 4096, num_hidden_layers: 24, patch_size: 16 },
  count: (tower, outer, textWidth) => {
    const width = tower.size("hidden_size");
    const layer = 4 * square(width) + 3 * width * tower.size("intermediate_size") + 2 * width;
    const merged = width * square(outer.optionalSize("spatial_merge_size") ?? 2);
    const bias = outer.flag("multimodal_projector_bias", false) ? 2 * textWidth : 0;
    return (
      tower.size("num_hidden_layers") * layer +
      patchValues(tower) * width +
      width +
      width +
      merged * width +
      width * textWidth +
      square(textWidth) +
      bias
    );
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

/** By `model_type` of the whole config: a tower's projector depends on the model it is for. */
const TOWERS: ReadonlyMap<string, Tower> = new Map([
  ["qwen2_vl", QWEN2_VL],
  ["qwen2_5_vl", QWEN2_5_VL],
  ["qwen3_vl", QWEN3_VL],
  ["qwen3_vl_moe", QWEN3_VL],
  ["qwen3_5", QWEN3_VL],
  ["qwen3_5_moe", QWEN3_VL],
  ["gemma3", GEMMA3],
  ["gemma4", GEMMA4],
  ["llava", LLAVA],
  ["llama4", LLAMA4],
  ["mllama", MLLAMA],
  ["mistral3", PIXTRAL],
  ["glm4v", GLM4V],
  ["glm4v_moe", GLM4V],
  ["kimi_vl", MOONVIT],
  ["kimi_k25", MOONVIT],
  ["lfm2_vl", LFM2_VL],
  ["voxtral", VOXTRAL],
]);

const TOWER_FIELDS: Readonly<Record<Encoder["kind"], string>> = { vision: "vision_config", audio: "audio_config" };

/** The towers of a multimodal config that can be counted exactly. @throws ConfigError for fields that are wrong. */
export function readEncoders(config: ConfigReader, textWidth: number): Encoder[] {
  const tower = TOWERS.get(config.optionalText("model_type") ?? "");
  const described = tower && config.optionalObject(TOWER_FIELDS[tower.kind]);
  if (!tower || !described) return [];
  const parameters = tower.count(described.withDefaults(tower.defaults ?? {}), config, textWidth);
  return [{ kind: tower.kind, parameters }];
}
