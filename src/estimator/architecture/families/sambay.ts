import type { Block } from "../architecture.js";
import {
  type BlockPart,
  feedForward,
  groupedAttention,
  hiddenSizeOf,
  joinParts,
  norms,
  plain,
  readHeads,
} from "../block-parts.js";
import { type ConfigReader, invalid } from "../config-reader.js";
import { describeDecoder, layerCountOf } from "../decoder.js";
import type { Family } from "../family.js";
import { MAX_CONTEXT_TOKENS } from "../limits.js";

/*
 * SambaY (Phi-4-mini-flash): Mamba and windowed attention in turn in the first half, one full attention after it,
 * whose keys and values all later attention layers read; the later Mamba layers only gate the last state's output.
 */

/** Every such layer is a Mamba layer. */
const MAMBA_EVERY = 2;
/** Hidden sizes to a rank of the time step (Mamba's "auto"). */
const HIDDEN_PER_RANK = 16;
/** Vectors of differential attention: two for queries, two for keys. */
const LAMBDAS = ["lambda_q1", "lambda_k1", "lambda_q2", "lambda_k2"];

/** Differential attention: subtracts pairs of heads, whose difference is normed at twice their width. */
function differentialTensors(keyDim: number): BlockPart {
  return {
    tensors: [
      ...LAMBDAS.map((name) => plain(`attn_${name}`, [keyDim], "ATTENTION")),
      plain("attn_sub_norm.weight", [2 * keyDim], "NORM"),
    ],
  };
}

/** The window of the sliding layers; configs saved by the model's own code list one for each layer. */
function windowSize(config: ConfigReader): number {
  const stated = config.raw("sliding_window");
  if (!Array.isArray(stated)) return config.whole(["sliding_window"], { min: 1, max: MAX_CONTEXT_TOKENS });
  const size = stated.find((value) => value !== null);
  if (typeof size !== "number" || !Number.isInteger(size) || size < 1) {
    throw invalid([...config.path, "sliding_window"], "names no window of at least 1 token");
  }
  return size;
}

/** A Mamba layer of the second half: projections around a product with an earlier layer's output, no state. */
const gatedMemory = (hiddenSize: number, innerSize: number): BlockPart => ({
  tensors: [
    plain("ssm_in.weight", [hiddenSize, innerSize], "RECURRENT"),
    plain("ssm_out.weight", [innerSize, hiddenSize], "RECURRENT"),
  ],
});

export const SAMBAY_FAMILIES: readonly Family[] = [
  {
    modelTypes: ["phi4flash"],
    architectures: ["Phi4FlashForCausalLM"],
    assumed: { mamba_d_state: 16, mamba_d_conv: 4, mamba_expand: 2, mb_per_layer: MAMBA_EVERY },
    describe: (config) => {
      const hiddenSize = hiddenSizeOf(config);
      const layers = layerCountOf(config);
      const half = Math.floor(layers / 2);
      const innerSize = hiddenSize * config.size("mamba_expand");
      const every = config.count("mb_per_layer");
      const { keyDim } = readHeads(config);
      const stated = config.raw("mamba_dt_rank");
      const mamba: BlockPart = {
        recurrent: {
          kind: "mamba1",
          innerSize,
          stateSize: config.size("mamba_d_state"),
          timeStepRank:
            stated === undefined || stated === "auto"
              ? Math.ceil(hiddenSize / HIDDEN_PER_RANK)
              : config.size("mamba_dt_rank"),
          convKernel: config.size("mamba_d_conv"),
        },
      };
      const attention = (index: number): BlockPart => {
        const isCross = index >= half + 2;
        return joinParts(
          groupedAttention(config, {
            biases: isCross ? ["q", "o"] : ["q", "k", "v", "o"],
            shape: {
              noRope: true,
              ...(isCross ? { sharesCache: true, ownsNoKeys: true } : { fusedQkv: true }),
              ...(index < half ? { window: { kind: "sliding", size: windowSize(config) } } : {}),
            },
          }),
          differentialTensors(keyDim),
        );
      };
      const mixer = (index: number): BlockPart => {
        if (every === 0 || index % every !== 0) return attention(index);
        return index >= half + 2 ? gatedMemory(hiddenSize, innerSize) : mamba;
      };
      const block = (index: number): Block =>
        joinParts(
          norms(hiddenSize, ["attn_norm", "ffn_norm"], true),
          mixer(index),
          feedForward(config, { fusedGateUp: true }),
        );
      return describeDecoder(config, { gguf: null, tiedByDefault: true, outputNormBias: true, layer: block });
    },
  },
];
