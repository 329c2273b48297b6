import type {
  Architecture,
  Attention,
  Block,
  CompressedAttention,
  Experts,
  FeedForward,
  GroupedAttention,
  Indexer,
  LatentAttention,
  PlainTensor,
  Recurrent,
  TensorRole,
} from "../architecture/architecture.js";
import { onceFor } from "../once-for.js";
import { membersOf, type Tensor, type TensorGroup } from "./tensor.js";

/**
 * Tensors that a GGUF file of this architecture holds, those of a block that layers share once for all of them: first
 * those outside the layers, then block by block in the order in which layers use them, by name within each. Prediction
 * blocks (MTP) come after the last layer where the usual conversion keeps them in the file.
 *
 * Names and shapes are those of llama.cpp's converters (`gguf-py/gguf/constants.py`, `convert_hf_to_gguf.py`):
 * `[ne0, ne1, ne2]`, the input width first, stacked experts last. Listed once per architecture.
 */
export const groupTensors: (architecture: Architecture) => readonly TensorGroup[] = onceFor((architecture) => [
  ...groupModelTensors(architecture),
  ...groupBlockTensors(architecture, architecture.layers, 0, isInGguf),
  ...(architecture.nextTokenPrediction?.inGguf ? groupPredictionBlocks(architecture, isInGguf) : []),
]);

/** Tensors of the prediction blocks (MTP), whether or not a GGUF file keeps them; empty where there are none. */
export const groupPredictionTensors: (architecture: Architecture) => readonly TensorGroup[] = onceFor((architecture) =>
  groupPredictionBlocks(architecture, () => true),
);

/** Every tensor of a GGUF file, one by one in the order in which llama.cpp walks them: layer by layer, by name in each. */
export function listTensors(architecture: Architecture): Tensor[] {
  return inFileOrder(
    groupTensors(architecture).flatMap((group) => membersOf(group)),
    (tensor) => tensor,
  );
}

/** Sorts entries by the layer of their tensor, those outside the layers first, and then by its name. */
export function inFileOrder<Entry>(entries: readonly Entry[], tensorOf: (entry: Entry) => Tensor): Entry[] {
  return [...entries].sort((a, b) => {
    const first = tensorOf(a);
    const second = tensorOf(b);
    return (first.layer ?? -1) - (second.layer ?? -1) || byName(first, second);
  });
}

function groupPredictionBlocks(
  architecture: Architecture,
  isListed: (tensor: PlainTensor) => boolean,
): readonly TensorGroup[] {
  const blocks = architecture.nextTokenPrediction?.layers ?? [];
  return groupBlockTensors(architecture, blocks, architecture.layers.length, isListed).map(({ first, layers }) => ({
    first: { ...first, role: "NEXT_TOKEN_PREDICTION" },
    layers,
  }));
}

const isInGguf = (tensor: PlainTensor): boolean => !tensor.isLeftOutOfGguf;

function groupModelTensors(architecture: Architecture): TensorGroup[] {
  const { vocabularySize, hiddenSize } = architecture;
  const tensors: PlainTensor[] = [
    {
      name: "token_embd.weight",
      shape: [hiddenSize, vocabularySize],
      role: "TOKEN_EMBEDDING",
      isInputTable: true,
    },
    ...architecture.tensors,
  ];
  if (architecture.hasOutput && !architecture.tiedEmbeddings) {
    tensors.push({ name: "output.weight", shape: [hiddenSize, vocabularySize], role: "OUTPUT" });
  }
  return tensors
    .filter(isInGguf)
    .map((tensor) => toTensor(tensor, null))
    .sort(byName)
    .map((first) => ({ first, layers: null }));
}

/** Tensors of a run of layers, the first of them numbered `firstLayer`. */
function groupBlockTensors(
  architecture: Architecture,
  blockNames: readonly string[],
  firstLayer: number,
  isListed: (tensor: PlainTensor) => boolean,
): TensorGroup[] {
  const layersOf = new Map<string, number[]>();
  blockNames.forEach((name, index) => {
    const layers = layersOf.get(name);
    if (layers === undefined) layersOf.set(name, [firstLayer + index]);
    else layers.push(firstLayer + index);
  });
  return [...layersOf].flatMap(([name, layers]) => {
    const [layer = 0] = layers;
    const block = architecture.blocks[name];
    if (!block) throw new RangeError(`Layer ${layer} names the block "${name}", which is not described.`);
    return describeBlockTensors(block, architecture.hiddenSize)
      .filter(isListed)
      .map((tensor) => toTensor(tensor, layer))
      .sort(byName)
      .map((first) => ({ first, layers }));
  });
}

/** The tensors of one block by their names within it; `hiddenSize` is the width of the residual stream. */
export function describeBlockTensors(block: Block, hiddenSize: number): PlainTensor[] {
  return [
    ...(block.attention ? attentionTensors(block.attention, hiddenSize) : []),
    ...(block.recurrent ? recurrentTensors(block.recurrent, hiddenSize) : []),
    ...(block.feedForward ? feedForwardTensors(block.feedForward, hiddenSize) : []),
    ...(block.experts ? expertTensors(block.experts, hiddenSize) : []),
    ...block.tensors,
  ];
}

function attentionTensors(attention: Attention, hiddenSize: number): PlainTensor[] {
  switch (attention.kind) {
    case "grouped":
      return groupedAttentionTensors(attention, hiddenSize);
    case "latent":
      return latentAttentionTensors(attention, hiddenSize);
    case "compressed":
      return compressedAttentionTensors(attention, hiddenSize);
  }
}

function groupedAttentionTensors(attention: GroupedAttention, hiddenSize: number): PlainTensor[] {
  const { heads, kvHeads, keyDim, valueDim } = attention;
  const queryWidth = heads * keyDim * (attention.gatedQuery ? 2 : 1);
  const keyWidth = kvHeads * keyDim;
  const valueWidth = kvHeads * valueDim;
  const tensors = [matrix("attn_output", heads * valueDim, hiddenSize, "ATTENTION")];
  if (attention.outputGate) tensors.push(matrix("attn_gate", hiddenSize, heads * valueDim, "ATTENTION"));
  if (attention.fusedQkv) {
    return [matrix("attn_qkv", hiddenSize, queryWidth + keyWidth + valueWidth, "ATTENTION"), ...tensors];
  }
  tensors.push(...queryTensors(hiddenSize, attention.queryRank ?? null, queryWidth));
  if (!attention.ownsNoKeys) {
    tensors.push(matrix("attn_k", hiddenSize, keyWidth, "ATTENTION"));
    if (!attention.valueIsKey) tensors.push(matrix("attn_v", hiddenSize, valueWidth, "ATTENTION"));
  }
  if (attention.indexer) tensors.push(...blockIndexerTensors(attention.indexer, hiddenSize));
  return tensors;
}

/** The query projection: one matrix, or two around a norm of the narrower width `rank`. */
function queryTensors(hiddenSize: number, rank: number | null, width: number): PlainTensor[] {
  if (rank === null) return [matrix("attn_q", hiddenSize, width, "ATTENTION")];
  return [
    matrix("attn_q_a", hiddenSize, rank, "ATTENTION"),
    vector("attn_q_a_norm.weight", rank, "NORM"),
    matrix("attn_q_b", rank, width, "ATTENTION"),
  ];
}

/** The key index of block-sparse attention (MiniMax-M3): projections from the residual stream with norms. */
function blockIndexerTensors(indexer: Indexer, hiddenSize: number): PlainTensor[] {
  return [
    matrix("indexer.q_proj", hiddenSize, indexer.heads * indexer.keyDim, "INDEXER"),
    matrix("indexer.k_proj", hiddenSize, indexer.keyDim, "INDEXER"),
    vector("indexer.q_norm.weight", indexer.keyDim, "NORM"),
    vector("indexer.k_norm.weight", indexer.keyDim, "NORM"),
  ];
}

/** Multi-head latent attention, with `kv_b_proj` split into its key and value halves. */
function latentAttentionTensors(attention: LatentAttention, hiddenSize: number): PlainTensor[] {
  const { heads, queryRank, kvRank, ropeDim, nopeDim, valueDim } = attention;
  const queryWidth = heads * (nopeDim + ropeDim);
  const expansion = attention.cachesExpanded
    ? [matrix("attn_kv_b", kvRank, heads * (nopeDim + valueDim), "ATTENTION")]
    : [stack("attn_k_b", nopeDim, kvRank, heads, "ATTENTION"), stack("attn_v_b", kvRank, valueDim, heads, "ATTENTION")];
  return [
    ...queryTensors(hiddenSize, queryRank, queryWidth),
    matrix("attn_kv_a_mqa", hiddenSize, kvRank + ropeDim, "ATTENTION"),
    vector("attn_kv_a_norm.weight", kvRank, "NORM"),
    ...expansion,
    matrix("attn_output", heads * valueDim, hiddenSize, "ATTENTION"),
    ...(attention.outputGate ? [matrix("attn_gate", hiddenSize, heads * valueDim, "ATTENTION")] : []),
    ...(attention.indexer ? sparseIndexerTensors(attention.indexer, hiddenSize, queryRank ?? hiddenSize) : []),
  ];
}

/** DeepSeek sparse attention's "lightning" indexer. */
function sparseIndexerTensors(indexer: Indexer, hiddenSize: number, queryRank: number): PlainTensor[] {
  return [
    matrix("indexer.attn_q_b", queryRank, indexer.heads * indexer.keyDim, "INDEXER"),
    matrix("indexer.attn_k", hiddenSize, indexer.keyDim, "INDEXER"),
    matrix("indexer.proj", hiddenSize, indexer.heads, "INDEXER"),
    vector("indexer.k_norm.weight", indexer.keyDim, "NORM"),
    vector("indexer.k_norm.bias", indexer.keyDim, "NORM"),
  ];
}

/** Tokens per entry at which the compressor works on overlapping windows and so projects twice the width. */
const OVERLAPPING_COMPRESS_RATIO = 4;

/** DeepSeek-V4's attention: one latent that is key and value, and compressors over the tokens before the window. */
function compressedAttentionTensors(attention: CompressedAttention, hiddenSize: number): PlainTensor[] {
  const { heads, keyDim, queryRank, outputGroups, outputRank, compressRatio, indexer } = attention;
  const tensors = [
    matrix("attn_q_a", hiddenSize, queryRank, "ATTENTION"),
    vector("attn_q_a_norm.weight", queryRank, "NORM"),
    matrix("attn_q_b", queryRank, heads * keyDim, "ATTENTION"),
    matrix("attn_kv", hiddenSize, keyDim, "ATTENTION"),
    vector("attn_kv_a_norm.weight", keyDim, "NORM"),
    vector("attn_sinks.weight", heads, "ATTENTION"),
    matrix("attn_output_a", (heads * keyDim) / outputGroups, outputGroups * outputRank, "ATTENTION"),
    matrix("attn_output_b", outputGroups * outputRank, hiddenSize, "ATTENTION"),
  ];
  if (compressRatio > 0) tensors.push(...compressorTensors("attn_compressor", hiddenSize, keyDim, compressRatio));
  if (indexer) {
    tensors.push(
      matrix("indexer.attn_q_b", queryRank, indexer.heads * indexer.keyDim, "INDEXER"),
      matrix("indexer.proj", hiddenSize, indexer.heads, "INDEXER"),
      ...compressorTensors("indexer_compressor", hiddenSize, indexer.keyDim, compressRatio),
    );
  }
  return tensors;
}

function compressorTensors(prefix: string, hiddenSize: number, width: number, ratio: number): PlainTensor[] {
  const role: TensorRole = prefix.startsWith("indexer") ? "INDEXER" : "ATTENTION";
  const projected = ratio === OVERLAPPING_COMPRESS_RATIO ? 2 * width : width;
  return [
    matrix(`${prefix}_kv`, hiddenSize, projected, role),
    matrix(`${prefix}_gate`, hiddenSize, projected, role),
    matrix(`${prefix}_ape`, projected, ratio, role),
    vector(`${prefix}_norm.weight`, width, "NORM"),
  ];
}

function recurrentTensors(recurrent: Recurrent, hiddenSize: number): PlainTensor[] {
  switch (recurrent.kind) {
    case "gated-delta-net": {
      const { keyHeads, keyDim, valueHeads, valueDim, convKernel, fusedRates } = recurrent;
      const valueWidth = valueHeads * valueDim;
      const mixedWidth = 2 * keyHeads * keyDim + valueWidth;
      const rates = fusedRates
        ? [matrix("ssm_ba", hiddenSize, 2 * valueHeads, "RECURRENT")]
        : [
            matrix("ssm_alpha", hiddenSize, valueHeads, "RECURRENT"),
            matrix("ssm_beta", hiddenSize, valueHeads, "RECURRENT"),
          ];
      return [
        matrix("attn_qkv", hiddenSize, mixedWidth, "RECURRENT"),
        matrix("attn_gate", hiddenSize, valueWidth, "RECURRENT"),
        matrix("ssm_conv1d", convKernel, mixedWidth, "RECURRENT"),
        ...rates,
        vector("ssm_a", valueHeads, "RECURRENT"),
        vector("ssm_dt.bias", valueHeads, "RECURRENT"),
        vector("ssm_norm.weight", valueDim, "NORM"),
        matrix("ssm_out", valueWidth, hiddenSize, "RECURRENT"),
      ];
    }
    case "kimi-delta-attention": {
      const { heads, headDim, convKernel } = recurrent;
      const width = heads * headDim;
      return [
        ...["q", "k", "v"].flatMap((part) => [
          matrix(`attn_${part}`, hiddenSize, width, "RECURRENT"),
          matrix(`ssm_conv1d_${part}`, convKernel, width, "RECURRENT"),
        ]),
        ...(recurrent.fullRankDecay
          ? [matrix("ssm_f_a", hiddenSize, width, "RECURRENT")]
          : [matrix("ssm_f_a", hiddenSize, headDim, "RECURRENT"), matrix("ssm_f_b", headDim, width, "RECURRENT")]),
        matrix("ssm_beta", hiddenSize, heads, "RECURRENT"),
        table("ssm_a", [1, heads], "RECURRENT"),
        vector("ssm_dt.bias", width, "RECURRENT"),
        ...(recurrent.fullRankGate
          ? [matrix("attn_gate", hiddenSize, width, "RECURRENT")]
          : [matrix("ssm_g_a", hiddenSize, headDim, "RECURRENT"), matrix("ssm_g_b", headDim, width, "RECURRENT")]),
        vector("ssm_norm.weight", headDim, "NORM"),
        matrix("attn_output", width, hiddenSize, "RECURRENT"),
      ];
    }
    case "mamba1": {
      const { innerSize, stateSize, timeStepRank, convKernel, normed } = recurrent;
      return [
        ...(normed
          ? [
              vector("ssm_dt_norm.weight", timeStepRank, "NORM"),
              vector("ssm_b_norm.weight", stateSize, "NORM"),
              vector("ssm_c_norm.weight", stateSize, "NORM"),
            ]
          : []),
        matrix("ssm_in", hiddenSize, 2 * innerSize, "RECURRENT"),
        matrix("ssm_conv1d", convKernel, innerSize, "RECURRENT"),
        vector("ssm_conv1d.bias", innerSize, "RECURRENT"),
        matrix("ssm_x", innerSize, timeStepRank + 2 * stateSize, "RECURRENT"),
        matrix("ssm_dt", timeStepRank, innerSize, "RECURRENT"),
        vector("ssm_dt.bias", innerSize, "RECURRENT"),
        table("ssm_a", [stateSize, innerSize], "RECURRENT"),
        vector("ssm_d", innerSize, "RECURRENT"),
        matrix("ssm_out", innerSize, hiddenSize, "RECURRENT"),
      ];
    }
    case "mamba2": {
      const { innerSize, stateSize, heads, groups, convKernel } = recurrent;
      const convWidth = innerSize + 2 * groups * stateSize;
      return [
        matrix("ssm_in", hiddenSize, innerSize + convWidth + heads, "RECURRENT"),
        matrix("ssm_conv1d", convKernel, convWidth, "RECURRENT"),
        ...(recurrent.convBias === false ? [] : [vector("ssm_conv1d.bias", convWidth, "RECURRENT")]),
        vector("ssm_dt.bias", heads, "RECURRENT"),
        table("ssm_a", [1, heads], "RECURRENT"),
        table("ssm_d", [1, heads], "RECURRENT"),
        ...(recurrent.normed === false ? [] : [table("ssm_norm.weight", [innerSize / groups, groups], "NORM")]),
        matrix("ssm_out", innerSize, hiddenSize, "RECURRENT"),
      ];
    }
    case "short-convolution":
      return [
        matrix("shortconv.in_proj", hiddenSize, 3 * hiddenSize, "RECURRENT"),
        matrix("shortconv.conv", recurrent.convKernel, hiddenSize, "RECURRENT"),
        matrix("shortconv.out_proj", hiddenSize, hiddenSize, "RECURRENT"),
      ];
    case "lightning": {
      const width = recurrent.heads * recurrent.headDim;
      return [
        matrix("attn_qkv", hiddenSize, 3 * width, "RECURRENT"),
        matrix("attn_gate", hiddenSize, width, "RECURRENT"),
        vector("ssm_norm.weight", width, "NORM"),
        matrix("attn_output", width, hiddenSize, "RECURRENT"),
      ];
    }
  }
}

function feedForwardTensors(feedForward: FeedForward, hiddenSize: number): PlainTensor[] {
  const { size, gated, fusedGateUp } = feedForward;
  return [
    matrix("ffn_up", hiddenSize, fusedGateUp ? 2 * size : size, "FEED_FORWARD"),
    ...(gated && !fusedGateUp ? [matrix("ffn_gate", hiddenSize, size, "FEED_FORWARD")] : []),
    matrix("ffn_down", size, hiddenSize, "FEED_FORWARD"),
  ];
}

function expertTensors(experts: Experts, hiddenSize: number): PlainTensor[] {
  const { count, size, gated, fusedGateUp, latentSize, latentNorm, shared } = experts;
  const width = latentSize ?? hiddenSize;
  const tensors = [matrix("ffn_gate_inp", hiddenSize, count, "ROUTER")];
  if (fusedGateUp) {
    tensors.push(stack("ffn_gate_up_exps", width, 2 * size, count, "EXPERTS"));
  } else {
    tensors.push(stack("ffn_up_exps", width, size, count, "EXPERTS"));
    if (gated) tensors.push(stack("ffn_gate_exps", width, size, count, "EXPERTS"));
  }
  tensors.push(stack("ffn_down_exps", size, width, count, "EXPERTS"));
  if (latentSize !== undefined) {
    tensors.push(
      matrix("ffn_latent_down", hiddenSize, latentSize, "SHARED_EXPERTS"),
      matrix("ffn_latent_up", latentSize, hiddenSize, "SHARED_EXPERTS"),
    );
    if (latentNorm) tensors.push(vector("ffn_latent_norm.weight", latentSize, "NORM"));
  }
  if (shared) {
    tensors.push(
      matrix("ffn_up_shexp", hiddenSize, shared.size, "SHARED_EXPERTS"),
      matrix("ffn_down_shexp", shared.size, hiddenSize, "SHARED_EXPERTS"),
    );
    if (shared.gated) tensors.push(matrix("ffn_gate_shexp", hiddenSize, shared.size, "SHARED_EXPERTS"));
    if (shared.hasGateVector) tensors.push(vector("ffn_gate_inp_shexp.weight", hiddenSize, "ROUTER"));
  }
  return tensors;
}

function matrix(name: string, inputWidth: number, outputWidth: number, role: TensorRole): PlainTensor {
  return { name: `${name}.weight`, shape: [inputWidth, outputWidth], role };
}

function stack(name: string, inputWidth: number, outputWidth: number, copies: number, role: TensorRole): PlainTensor {
  return { name: `${name}.weight`, shape: [inputWidth, outputWidth, copies], role };
}

function vector(name: string, width: number, role: TensorRole): PlainTensor {
  return table(name, [width], role);
}

function table(name: string, shape: number[], role: TensorRole): PlainTensor {
  return { name, shape, role };
}

function toTensor(plain: PlainTensor, layer: number | null): Tensor {
  return {
    name: layer === null ? plain.name : `blk.${layer}.${plain.name}`,
    shape: plain.shape,
    elements: plain.shape.reduce((product, width) => product * width, 1),
    role: plain.role,
    layer,
    isParameter: plain.isParameter ?? true,
    isInteger: plain.isInteger ?? false,
    isInputTable: plain.isInputTable ?? false,
  };
}

function byName(a: Tensor, b: Tensor): number {
  return a.name < b.name ? -1 : a.name > b.name ? 1 : 0;
}
