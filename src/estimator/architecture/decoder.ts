import type { Architecture, Block, Encoder, Multiplier, NextTokenPrediction, PlainTensor } from "./architecture.js";
import { headsOf, hiddenSizeOf, normTensors } from "./block-parts.js";
import { type ConfigReader, LAYER_COUNTS } from "./config-reader.js";
import { MAX_CONTEXT_TOKENS, MAX_LAYERS, MAX_PREDICTION_BLOCKS, MAX_VOCABULARY } from "./limits.js";

/** What a family says of its models beyond the fields that all configs share. */
export interface DecoderTraits {
  /** GGUF `general.architecture`; null where llama.cpp does not load the family. */
  gguf: string | null;
  /** What a config without `tie_word_embeddings` means (the configuration class's default in transformers). */
  tiedByDefault: boolean;
  /** The layer of that number, counted from 0. */
  layer: (index: number) => Block;
  layers?: number;
  /** False where nothing stands between the last layer and the output. */
  hasFinalNorm?: boolean;
  /** Final norm with a bias. */
  outputNormBias?: boolean;
  /** Tensors outside the blocks beside the final norm and rope factors. */
  tensors?: PlainTensor[];
  prediction?: PredictionTraits | undefined;
  vocabularySize?: number;
  contextLength?: number;
  residualStreams?: number;
}

/** Prediction blocks (MTP) and what the runtimes do with them. */
export interface PredictionTraits extends Omit<NextTokenPrediction, "layers"> {
  blocks: Block[];
}

export const layerCountOf = (config: ConfigReader): number => config.whole(LAYER_COUNTS, { min: 1, max: MAX_LAYERS });

export const vocabularySizeOf = (config: ConfigReader): number =>
  config.whole(["vocab_size", "padded_vocab_size"], { min: 1, max: MAX_VOCABULARY });

export const contextLengthOf = (config: ConfigReader): number =>
  config.whole(["max_position_embeddings", "max_sequence_length", "seq_length", "n_positions", "model_max_length"], {
    min: 1,
    max: MAX_CONTEXT_TOKENS,
  });

/** Prediction blocks that the config names; 0 if it does not. */
export const predictionCountOf = (config: ConfigReader, ...names: string[]): number =>
  config.optionalWhole(names, { min: 0, max: MAX_PREDICTION_BLOCKS }) ?? 0;

/** Bytes of a value, by the name that configs give to the precision of recurrent states. */
const STATE_BYTES: Readonly<Record<string, number>> = { float32: 4, bfloat16: 2, float16: 2 };

const MULTIPLIERS: readonly Multiplier[] = ["embedding", "residual"];

/** Puts a decoder together: equal layers share one block, named by what is in it. */
export function describeDecoder(config: ConfigReader, traits: DecoderTraits): Architecture {
  const hiddenSize = hiddenSizeOf(config);
  const naming = new BlockNaming();
  const layers = Array.from({ length: traits.layers ?? layerCountOf(config) }, (_, index) =>
    naming.nameOf(traits.layer(index)),
  );
  const architecture: Architecture = {
    schemaVersion: 1,
    modelType: config.optionalText("model_type") ?? traits.gguf ?? "unknown",
    ggufArchitecture: traits.gguf,
    vocabularySize: traits.vocabularySize ?? vocabularySizeOf(config),
    hiddenSize,
    contextLength: traits.contextLength ?? contextLengthOf(config),
    tiedEmbeddings: config.flag("tie_word_embeddings", traits.tiedByDefault),
    hasOutput: true,
    blocks: naming.blocks,
    layers,
    tensors: [
      ...(traits.hasFinalNorm === false ? [] : normTensors("output_norm", hiddenSize, traits.outputNormBias)),
      ...ropeFactors(config),
      ...(traits.tensors ?? []),
    ],
  };
  if (traits.residualStreams !== undefined) architecture.residualStreams = traits.residualStreams;
  const multipliers = MULTIPLIERS.filter((name) => (config.optionalNumber(`${name}_multiplier`) ?? 0) !== 0);
  if (multipliers.length > 0) architecture.multipliers = multipliers;
  const stateBytes = STATE_BYTES[config.optionalText("mamba_ssm_dtype", "mamba_ssm_cache_dtype") ?? ""];
  if (stateBytes !== undefined) architecture.recurrentStateBytes = stateBytes;
  if (traits.prediction && traits.prediction.blocks.length > 0) {
    const { blocks, ...habits } = traits.prediction;
    architecture.nextTokenPrediction = { layers: blocks.map((block) => naming.nameOf(block)), ...habits };
  }
  return architecture;
}

/**
 * Factors that llama.cpp's converter writes beside the weights: one per rotated pair for Llama 3's scaling
 * (`rope_freqs`), two tables for long rope (`rope_factors_long`, `rope_factors_short`).
 */
function ropeFactors(config: ConfigReader): PlainTensor[] {
  const stated = config.optionalObject("rope_scaling", "rope_parameters");
  // transformers 5 states them by kind of layer where kinds differ.
  const scaling = stated?.optionalObject("full_attention") ?? stated;
  if (!scaling) return [];
  if (scaling.optionalText("rope_type", "type") === "llama3")
    return [ropeFactorTable("rope_freqs", headWidth(config) / 2)];
  return ["long", "short"].flatMap((length) => {
    const factors = scaling.optionalNumbers(`${length}_factor`);
    return factors && factors.length > 0 ? [ropeFactorTable(`rope_factors_${length}`, factors.length)] : [];
  });
}

const headWidth = (config: ConfigReader): number =>
  config.optionalSize("head_dim") ?? Math.floor(hiddenSizeOf(config) / headsOf(config));

/** A table of constants that a converter adds. */
export function ropeFactorTable(name: string, width: number): PlainTensor {
  return { name: `${name}.weight`, shape: [Math.max(1, Math.floor(width))], role: "OTHER", isParameter: false };
}

/** Names blocks by their contents; equal blocks get one name. */
class BlockNaming {
  readonly blocks: Record<string, Block> = {};
  private readonly names = new Map<string, string>();

  nameOf(block: Block): string {
    const key = JSON.stringify(block);
    const known = this.names.get(key);
    if (known !== undefined) return known;
    const base = describeContents(block);
    let name = base;
    for (let number = 2; Object.hasOwn(this.blocks, name); number += 1) name = `${base}-${number}`;
    this.names.set(key, name);
    this.blocks[name] = block;
    return name;
  }
}

function describeContents(block: Block): string {
  const { attention, recurrent, feedForward, experts } = block;
  const words: string[] = [];
  if (attention) words.push(attention.kind === "latent" ? "latent" : windowWord(attention));
  if (recurrent) words.push(recurrent.kind);
  if (experts) words.push("moe");
  else if (feedForward) words.push("dense");
  return words.join("-") || "empty";
}

function windowWord(attention: { window?: { kind: string } }): string {
  return attention.window?.kind ?? "full";
}

/** Encoders of an architecture, left out where there are none. */
export function withEncoders(architecture: Architecture, encoders: readonly Encoder[]): Architecture {
  return encoders.length > 0 ? { ...architecture, encoders: [...encoders] } : architecture;
}
