import type { Architecture, Block, PlainTensor } from "../architecture.js";
import {
  type BlockPart,
  expertCountOf,
  feedForward,
  feedForwardBiases,
  groupedAttention,
  headsOf,
  hiddenSizeOf,
  intermediateSizeOf,
  joinParts,
  norms,
  normTensors,
  plain,
  routedExperts,
} from "../block-parts.js";
import type { ConfigReader } from "../config-reader.js";
import { contextLengthOf, describeDecoder, layerCountOf, vocabularySizeOf } from "../decoder.js";
import type { Family } from "../family.js";

/* Encoders: BERT and its kin, nomic-bert, GTE, ModernBERT. They cache nothing. */

interface BertTraits {
  /** Null where llama.cpp does not load the family. */
  gguf: string | null;
  /** First positions that stand for padding and are cut off in GGUF files (RoBERTa: padding id + 1). */
  unusedPositions: number;
  /** False where a bare model has no pooler (DistilBERT). */
  hasPooler?: boolean;
  /** Tensors outside the blocks beside those of all encoders. */
  tensors?: (config: ConfigReader) => PlainTensor[];
}

/** Embeddings besides the words': positions, segments, and their norm. */
function embeddingTensors(config: ConfigReader, positions: number): PlainTensor[] {
  const hiddenSize = hiddenSizeOf(config);
  const segments = config.optionalCount("type_vocab_size") ?? 0;
  return [
    ...(positions > 0 ? [plain("position_embd.weight", [hiddenSize, positions], "OTHER")] : []),
    ...(segments > 0 ? [plain("token_types.weight", [hiddenSize, segments], "OTHER")] : []),
    ...normTensors("token_embd_norm", hiddenSize, true),
  ];
}

const classifies = (config: ConfigReader): boolean =>
  config.optionalTexts("architectures")?.some((name) => name.endsWith("ForSequenceClassification")) === true;

/** A dense layer and a projection onto the labels, where the model classifies; else BERT's pooler, left out of GGUF. */
function headTensors(config: ConfigReader): PlainTensor[] {
  const hiddenSize = hiddenSizeOf(config);
  if (classifies(config)) {
    const labels = config.optionalSize("num_labels") ?? labelCount(config);
    return [
      plain("cls.weight", [hiddenSize, hiddenSize], "OTHER"),
      plain("cls.bias", [hiddenSize], "OTHER"),
      plain("cls.output.weight", [hiddenSize, labels], "OTHER"),
      plain("cls.output.bias", [labels], "OTHER"),
    ];
  }
  return [
    { ...plain("pooler.dense.weight", [hiddenSize, hiddenSize], "OTHER"), isLeftOutOfGguf: true },
    { ...plain("pooler.dense.bias", [hiddenSize], "OTHER"), isLeftOutOfGguf: true },
  ];
}

/** transformers' default is two labels. */
function labelCount(config: ConfigReader): number {
  const labels = config.raw("id2label");
  return typeof labels === "object" && labels !== null ? Math.max(1, Object.keys(labels).length) : 2;
}

function bertBlock(config: ConfigReader): Block {
  const hiddenSize = hiddenSizeOf(config);
  return joinParts(
    groupedAttention(config, { biases: ["q", "k", "v", "o"], shape: { uncached: true } }),
    norms(hiddenSize, ["attn_output_norm", "layer_output_norm"], true),
    ...(positionKind(config) === "alibi"
      ? [feedForward(config), { tensors: [plain("ffn_down.bias", [hiddenSize], "FEED_FORWARD")] }]
      : [feedForward(config, { gated: false }), feedForwardBiases(intermediateSizeOf(config), hiddenSize, false)]),
  );
}

/**
 * How positions are told apart. Jina's embedders have no table of them: the second generation biases the scores and
 * has a gated feed forward, the third rotates.
 */
function positionKind(config: ConfigReader): "absolute" | "alibi" | "rotary" {
  const kind = config.optionalText("position_embedding_type");
  return kind === "alibi" || kind === "rotary" ? kind : "absolute";
}

/** What llama.cpp calls Jina's generations. */
const JINA_GGUF = { alibi: "jina-bert-v2", rotary: "jina-bert-v3" } as const;

/**
 * Low-rank adapters, one for each task, on every matrix and on the embeddings (jina-embeddings-v3). Converters merge
 * one or leave them out.
 */
function taskAdapters(config: ConfigReader): PlainTensor[] {
  const tasks = config.optionalListLength("lora_adaptations") ?? 0;
  if (tasks === 0) return [];
  const width = hiddenSizeOf(config);
  const size = intermediateSizeOf(config);
  const perLayer = width + 3 * width + 2 * width + 2 * (width + size);
  const embeddings = vocabularySizeOf(config) + width + (config.optionalCount("type_vocab_size") ?? 0) + width;
  const sides = layerCountOf(config) * perLayer + embeddings + 2 * width;
  const parameters = tasks * config.size("lora_rank") * sides;
  return [{ ...plain("adapters.weight", [parameters], "OTHER"), isLeftOutOfGguf: true }];
}

/** MPNet's biases by distance, shared by all layers. */
const relativeBiases = (config: ConfigReader): PlainTensor[] => [
  plain(
    "relative_attention_bias.weight",
    [headsOf(config), config.size("relative_attention_num_buckets")],
    "ATTENTION",
  ),
];

/** An encoder: no output matrix, no final norm. */
function describeEncoder(
  config: ConfigReader,
  traits: BertTraits,
  block: Block | ((index: number) => Block),
  tensors: PlainTensor[],
): Architecture {
  return {
    ...describeDecoder(config, {
      gguf: traits.gguf,
      tiedByDefault: true,
      hasFinalNorm: false,
      layer: typeof block === "function" ? block : () => block,
      contextLength: contextLengthOf(config) - traits.unusedPositions,
      tensors,
    }),
    hasOutput: false,
  };
}

function bert(modelTypes: string[], architectures: string[], traits: BertTraits): Family {
  return {
    modelTypes,
    architectures,
    describe: (config) => {
      const positions = contextLengthOf(config) - traits.unusedPositions;
      if (positions < 1) throw config.invalid("max_position_embeddings", `leaves no position for a token`);
      const kind = positionKind(config);
      const own = { ...traits, gguf: kind === "absolute" ? traits.gguf : JINA_GGUF[kind] };
      return describeEncoder(config, own, bertBlock(config), [
        ...embeddingTensors(config, kind === "absolute" ? positions : 0),
        ...(traits.hasPooler === false && !classifies(config) ? [] : headTensors(config)),
        ...taskAdapters(config),
        ...(traits.tensors?.(config) ?? []),
      ]);
    },
  };
}

/** Layers per layer with experts in nomic-bert's second generation, the last of each; no experts if 0. */
const mixtureEvery = (config: ConfigReader): number =>
  expertCountOf(config) > 1 ? (config.optionalCount("moe_every_n_layers") ?? 0) : 0;

/** Rotated positions, one QKV matrix, a gated feed forward or experts, biases where the config asks for them. */
function nomicBlock(config: ConfigReader, isMixture: boolean): Block {
  const hiddenSize = hiddenSizeOf(config);
  const size = config.size("n_inner", "intermediate_size");
  const gated = /glu/i.test(config.optionalText("activation_function") ?? "swiglu");
  const parts: BlockPart[] = [
    groupedAttention(config, {
      biases: config.flag("qkv_proj_bias", false) ? ["q", "k", "v", "o"] : [],
      shape: { fusedQkv: true, uncached: true },
    }),
    norms(hiddenSize, ["attn_output_norm", "layer_output_norm"], true),
    isMixture ? routedExperts(config, { size, gated }) : feedForward(config, { size, gated }),
    !isMixture && config.flag("mlp_fc1_bias", false) ? feedForwardBiases(size, hiddenSize, gated) : {},
  ];
  return joinParts(...parts);
}

export const BERT_FAMILIES: readonly Family[] = [
  bert(["bert"], ["BertModel", "BertForMaskedLM", "BertForSequenceClassification", "JinaBertForMaskedLM"], {
    gguf: "bert",
    unusedPositions: 0,
  }),
  bert(
    ["roberta", "xlm-roberta", "camembert"],
    ["RobertaModel", "XLMRobertaModel", "XLMRobertaForSequenceClassification", "RobertaForSequenceClassification"],
    { gguf: "bert", unusedPositions: 2 },
  ),
  {
    modelTypes: ["nomic_bert"],
    architectures: ["NomicBertModel"],
    describe: (config) => {
      const every = mixtureEvery(config);
      return describeEncoder(
        config,
        { gguf: every > 0 ? "nomic-bert-moe" : "nomic-bert", unusedPositions: 0 },
        (index) => nomicBlock(config, every > 0 && (index + 1) % every === 0),
        embeddingTensors(config, 0),
      );
    },
  },
  bert(["distilbert"], ["DistilBertModel", "DistilBertForMaskedLM", "DistilBertForSequenceClassification"], {
    gguf: "bert",
    unusedPositions: 0,
    hasPooler: false,
  }),
  bert(["mpnet"], ["MPNetModel", "MPNetForMaskedLM"], { gguf: null, unusedPositions: 2, tensors: relativeBiases }),
  {
    // GTE: biases of the attention and of the down projection, gate and up together.
    modelTypes: ["new"],
    architectures: ["NewModel", "NewForMaskedLM", "NewForSequenceClassification"],
    describe: (config) => {
      const hiddenSize = hiddenSizeOf(config);
      const isRotated = config.optionalText("position_embedding_type") !== "absolute";
      const block = joinParts(
        groupedAttention(config, { biases: ["q", "k", "v", "o"], shape: { fusedQkv: true, uncached: true } }),
        norms(hiddenSize, ["attn_output_norm", "layer_output_norm"], true),
        feedForward(config, { fusedGateUp: true }),
        { tensors: [plain("ffn_down.bias", [hiddenSize], "FEED_FORWARD")] },
      );
      return describeEncoder(config, { gguf: null, unusedPositions: 0 }, block, [
        ...embeddingTensors(config, isRotated ? 0 : contextLengthOf(config)),
        ...(classifies(config) ? headTensors(config) : []),
      ]);
    },
  },
  {
    modelTypes: ["modernbert"],
    architectures: ["ModernBertModel", "ModernBertForMaskedLM", "ModernBertForSequenceClassification"],
    describe: (config) => {
      const hiddenSize = hiddenSizeOf(config);
      const block = (index: number): Block =>
        joinParts(
          norms(hiddenSize, index === 0 ? ["ffn_norm"] : ["attn_norm", "ffn_norm"]),
          groupedAttention(config, { shape: { fusedQkv: true, uncached: true } }),
          feedForward(config, { fusedGateUp: true }),
        );
      return {
        ...describeDecoder(config, {
          gguf: "modern-bert",
          tiedByDefault: true,
          layer: block,
          tensors: normTensors("token_embd_norm", hiddenSize),
        }),
        hasOutput: false,
      };
    },
  },
];
