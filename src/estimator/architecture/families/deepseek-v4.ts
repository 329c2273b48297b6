import type { Block, CompressedAttention, PlainTensor } from "../architecture.js";
import {
  expertCountOf,
  headsOf,
  hiddenSizeOf,
  joinParts,
  norms,
  plain,
  routedExperts,
  sharedExperts,
} from "../block-parts.js";
import type { ConfigReader } from "../config-reader.js";
import { describeDecoder, layerCountOf, predictionCountOf, vocabularySizeOf } from "../decoder.js";
import type { Family } from "../family.js";
import { MAX_CONTEXT_TOKENS } from "../limits.js";
import { predictionBlock } from "../prediction.js";

/* DeepSeek-V4: compressed attention, hyper-connections, leading layers that route by token id. */

/** Ratio at which the compressed entries are chosen by an indexer. */
const INDEXED_RATIO = 4;

function compressedAttention(config: ConfigReader, compressRatio: number): CompressedAttention {
  const heads = headsOf(config);
  const outputGroups = config.size("o_groups");
  if (heads % outputGroups !== 0) {
    throw config.invalid("o_groups", `is ${outputGroups}, which does not divide the ${heads} attention heads`);
  }
  return {
    kind: "compressed",
    heads,
    keyDim: config.size("head_dim"),
    ropeDim: config.size("qk_rope_head_dim"),
    queryRank: config.size("q_lora_rank"),
    outputGroups,
    outputRank: config.size("o_lora_rank"),
    window: { kind: "sliding", size: config.size("sliding_window") },
    compressRatio,
    ...(compressRatio === INDEXED_RATIO
      ? {
          indexer: {
            heads: config.size("index_n_heads"),
            keyDim: config.size("index_head_dim"),
            topK: config.size("index_topk"),
          },
        }
      : {}),
  };
}

/** Mixing of the residual streams before attention and feed forward: `(2 + n) n` coefficients from all `n` streams. */
function hyperConnections(hiddenSize: number, streams: number): PlainTensor[] {
  const coefficients = (2 + streams) * streams;
  return ["hc_attn", "hc_ffn"].flatMap((name) => [
    plain(`${name}_fn.weight`, [streams * hiddenSize, coefficients], "OTHER"),
    plain(`${name}_base.weight`, [coefficients], "OTHER"),
    plain(`${name}_scale.weight`, [3], "OTHER"),
  ]);
}

/** How the streams are joined after the last layer. */
const hyperConnectionHead = (hiddenSize: number, streams: number): PlainTensor[] => [
  plain("output_hc_fn.weight", [streams * hiddenSize, streams], "OTHER"),
  plain("output_hc_base.weight", [streams], "OTHER"),
  plain("output_hc_scale.weight", [1], "OTHER"),
];

/** Experts by token id in the first layers: a table of `used` expert numbers per token, no score bias. */
const hashTable = (config: ConfigReader, used: number): PlainTensor => ({
  name: "ffn_gate_tid2eid.weight",
  shape: [used, vocabularySizeOf(config)],
  role: "ROUTER",
  isInteger: true,
  isParameter: false,
});

/** Names that transformers 5 has for a layer's attention, with the ratio each stands for. */
const RATIOS = { sliding_attention: 0, compressed_sparse_attention: 4, heavily_compressed_attention: 128 } as const;
type AttentionName = keyof typeof RATIOS;

/** Tokens per compressed entry, layer by layer: as numbers (`compress_ratios`) or as names (`layer_types`). */
function compressRatios(config: ConfigReader, layers: number): number[] {
  const ratios = config.optionalWholes(["compress_ratios"], { max: MAX_CONTEXT_TOKENS });
  if (ratios && ratios.length < layers) {
    throw config.invalid("compress_ratios", `has ${ratios.length} entries, but the model has ${layers} layers`);
  }
  if (ratios) return ratios;
  const names = config.optionalChoicePerLayer(["layer_types"], layers, Object.keys(RATIOS) as AttentionName[]);
  if (!names) throw config.invalid("compress_ratios", "is missing (also read as layer_types)");
  const rates = config.optionalObject("compress_rates");
  return names.map((name) => rates?.optionalCount(name) ?? RATIOS[name]);
}

/** Leading layers that route by token id. */
function hashedLayers(config: ConfigReader, layers: number): number {
  const kinds = config.optionalChoicePerLayer(["mlp_layer_types"], layers, ["hash_moe", "moe", "sparse"]);
  return kinds ? kinds.filter((kind) => kind === "hash_moe").length : (config.optionalCount("num_hash_layers") ?? 0);
}

export const DEEPSEEK_V4_FAMILIES: readonly Family[] = [
  {
    modelTypes: ["deepseek_v4"],
    architectures: ["DeepseekV4ForCausalLM"],
    assumed: {
      head_dim: 512,
      qk_rope_head_dim: 64,
      hc_mult: 4,
      sliding_window: 128,
      o_lora_rank: 1024,
      index_n_heads: 64,
      index_head_dim: 128,
      index_topk: 512,
    },
    describe: (config) => {
      const hiddenSize = hiddenSizeOf(config);
      const layers = layerCountOf(config);
      const streams = config.size("hc_mult");
      const ratios = compressRatios(config, layers);
      const hashed = hashedLayers(config, layers);
      const block = (index: number): Block => {
        const isHashed = index < hashed;
        const experts = routedExperts(config, {
          routerScoreBias: !isHashed,
          shared: sharedExperts(config, "n_shared_experts"),
        });
        return joinParts(
          norms(hiddenSize, ["attn_norm", "ffn_norm"]),
          { attention: compressedAttention(config, ratios[index] ?? 0) },
          experts,
          { tensors: hyperConnections(hiddenSize, streams) },
          isHashed ? { tensors: [hashTable(config, experts.experts?.used ?? expertCountOf(config))] } : {},
        );
      };
      const predicted = predictionCountOf(config, "num_nextn_predict_layers");
      return describeDecoder(config, {
        gguf: "deepseek4",
        tiedByDefault: false,
        residualStreams: streams,
        layer: block,
        tensors: hyperConnectionHead(hiddenSize, streams),
        prediction: {
          blocks: Array.from({ length: predicted }, (_, index) => predictionBlock(block(layers + index), hiddenSize)),
          inGguf: false,
          loadedByLlamaCpp: false,
          cachedByLlamaCpp: false,
        },
      });
    },
  },
];
