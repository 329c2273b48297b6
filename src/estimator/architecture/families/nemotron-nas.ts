import type { Block, PlainTensor } from "../architecture.js";
import {
  type BlockPart,
  feedForward,
  groupedAttention,
  headsOf,
  hiddenSizeOf,
  joinParts,
  norms,
  plain,
} from "../block-parts.js";
import type { ConfigReader } from "../config-reader.js";
import { describeDecoder, layerCountOf } from "../decoder.js";
import type { Family } from "../family.js";

/* Llama-Nemotron (DeciLM): a pruned Llama whose layers each have their own attention and feed forward, or none. */

/** Feed-forward widths are rounded up to a multiple of this. */
const WIDTH_MULTIPLE = 256;

/** Width by DeciLM's rule: two thirds of `mult x hidden size`, rounded up. */
function widthOf(ffn: ConfigReader, hiddenSize: number): number {
  const multiplier = ffn.optionalNumber("ffn_mult");
  if (multiplier === undefined) return ffn.size("intermediate_size");
  if (multiplier <= 0) throw ffn.invalid("ffn_mult", `must be above 0, but is ${multiplier}`);
  return WIDTH_MULTIPLE * Math.ceil(Math.floor((2 * multiplier * hiddenSize) / 3) / WIDTH_MULTIPLE);
}

/** A single matrix in place of attention or feed forward. */
const linear = (name: string, hiddenSize: number, role: PlainTensor["role"]): PlainTensor =>
  plain(name, [hiddenSize, hiddenSize], role);

function attentionPart(config: ConfigReader, attention: ConfigReader, hiddenSize: number): BlockPart {
  if (attention.flag("no_op", false)) return {};
  if (attention.flag("replace_with_linear", false)) {
    return joinParts(norms(hiddenSize, ["attn_norm"]), {
      tensors: [linear("attn_output.weight", hiddenSize, "ATTENTION")],
    });
  }
  const heads = headsOf(config);
  const perGroup = attention.size("n_heads_in_group");
  if (heads % perGroup !== 0) {
    throw attention.invalid("n_heads_in_group", `is ${perGroup}, which does not divide the ${heads} attention heads`);
  }
  return joinParts(
    norms(hiddenSize, ["attn_norm"]),
    groupedAttention(config, { shape: { kvHeads: heads / perGroup } }),
  );
}

function feedForwardPart(config: ConfigReader, ffn: ConfigReader, hiddenSize: number): BlockPart {
  if (ffn.flag("no_op", false)) return {};
  if (ffn.flag("replace_with_linear", false)) {
    return joinParts(norms(hiddenSize, ["ffn_norm"]), {
      tensors: [linear("ffn_down.weight", hiddenSize, "FEED_FORWARD")],
    });
  }
  return joinParts(norms(hiddenSize, ["ffn_norm"]), feedForward(config, { size: widthOf(ffn, hiddenSize) }));
}

export const NEMOTRON_NAS_FAMILIES: readonly Family[] = [
  {
    modelTypes: ["nemotron-nas", "deci"],
    architectures: ["DeciLMForCausalLM", "DeciCoderForCausalLM"],
    describe: (config) => {
      const hiddenSize = hiddenSizeOf(config);
      const layers = layerCountOf(config);
      const described = config.optionalObjects("block_configs");
      if (!described) throw config.invalid("block_configs", "is missing");
      if (described.length < layers) {
        throw config.invalid("block_configs", `has ${described.length} entries, but the model has ${layers} layers`);
      }
      const layer = (index: number): Block => {
        const own = described[index] ?? config;
        return joinParts(
          attentionPart(config, own.object("attention"), hiddenSize),
          feedForwardPart(config, own.object("ffn"), hiddenSize),
        );
      };
      return describeDecoder(config, { gguf: "deci", tiedByDefault: false, layer });
    },
  },
];
