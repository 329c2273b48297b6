import type { Architecture, Block, PlainTensor } from "../architecture.js";
import {
  type BlockPart,
  feedForward,
  feedForwardBiases,
  groupedAttention,
  hiddenSizeOf,
  intermediateSizeOf,
  joinParts,
  norms,
  normTensors,
  plain,
} from "../block-parts.js";
import type { ConfigReader } from "../config-reader.js";
import { contextLengthOf, describeDecoder } from "../decoder.js";
import type { Family } from "../family.js";

/* Encoders: BERT, RoBERTa, XLM-RoBERTa, nomic-bert, ModernBERT. They cache nothing. */

interface BertTraits {
  gguf: string;
  /** First positions that stand for padding and are cut off in GGUF files (RoBERTa: padding id + 1). */
  unusedPositions: number;
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

/** A dense layer and a projection onto the labels, where the model classifies; else BERT's pooler, left out of GGUF. */
function headTensors(config: ConfigReader): PlainTensor[] {
  const hiddenSize = hiddenSizeOf(config);
  const classifies = config.optionalTexts("architectures")?.some((name) => name.endsWith("ForSequenceClassification"));
  if (classifies) {
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
    ...(isJina(config)
      ? [feedForward(config), { tensors: [plain("ffn_down.bias", [hiddenSize], "FEED_FORWARD")] }]
      : [feedForward(config, { gated: false }), feedForwardBiases(intermediateSizeOf(config), hiddenSize, false)]),
  );
}

/** Jina's embedders of the second generation: BERT with a gated feed forward and without a table of positions. */
const isJina = (config: ConfigReader): boolean => config.optionalText("position_embedding_type") === "alibi";

/** An encoder: no output matrix, no final norm. */
function describeEncoder(config: ConfigReader, traits: BertTraits, block: Block, tensors: PlainTensor[]): Architecture {
  return {
    ...describeDecoder(config, {
      gguf: traits.gguf,
      tiedByDefault: true,
      hasFinalNorm: false,
      layer: () => block,
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
      const own = isJina(config) ? { ...traits, gguf: "jina-bert-v2" } : traits;
      return describeEncoder(config, own, bertBlock(config), [
        ...embeddingTensors(config, isJina(config) ? 0 : positions),
        ...headTensors(config),
      ]);
    },
  };
}

/** Rotated positions, one QKV matrix, a gated feed forward, no biases unless the config asks for them. */
function nomicBlock(config: ConfigReader): Block {
  const hiddenSize = hiddenSizeOf(config);
  const size = config.size("n_inner", "intermediate_size");
  const gated = /glu/i.test(config.optionalText("activation_function") ?? "swiglu");
  const parts: BlockPart[] = [
    groupedAttention(config, {
      biases: config.flag("qkv_proj_bias", false) ? ["q", "k", "v", "o"] : [],
      shape: { fusedQkv: true, uncached: true },
    }),
    norms(hiddenSize, ["attn_output_norm", "layer_output_norm"], true),
    feedForward(config, { size, gated }),
    config.flag("mlp_fc1_bias", false) ? feedForwardBiases(size, hiddenSize, gated) : {},
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
    describe: (config) =>
      describeEncoder(
        config,
        { gguf: "nomic-bert", unusedPositions: 0 },
        nomicBlock(config),
        embeddingTensors(config, 0),
      ),
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
