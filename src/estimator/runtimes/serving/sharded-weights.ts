import type { Architecture, Block, TensorRole } from "../../architecture/architecture.js";
import type { WeightsBreakdown } from "../../estimate.types.js";
import { onceOnly, oncePerPair } from "../../once-for.js";
import { keepsDenseWhole, type ParallelPlan } from "../../placement/parallel-plans.js";
import type { QuantScheme, StoredGroup, UniformScheme } from "../../quantization/scheme.js";
import { summarizeWeights } from "../../quantization/summarize-weights.js";
import type { Tensor } from "../../tensors/tensor.js";
import { plainBits } from "../loadable-formats.js";
import { loadedTensors } from "../loaded-tensors.js";
import { allocatedBytes } from "./caching-allocator.js";

const BITS_PER_BYTE = 8;
/** Vision and audio towers are left unquantized by the checkpoints that engines load. */
const ENCODER_BYTES_PER_PARAMETER = 2;
const ENCODER_TYPE = "bf16";

/** Tensors of a checkpoint as serving engines load and divide them. */
interface LoadedModel {
  tensors: readonly StoredGroup[];
  /** Nothing is quantized. */
  isPlain: boolean;
}

/** The same with what is told of its weights. */
interface ShardableModel extends LoadedModel {
  /** Towers included. Summed up when it is first asked for. */
  readonly weights: WeightsBreakdown;
}

/** The tensors that serving engines load of a model in a format. */
export function loadModel(architecture: Architecture, scheme: QuantScheme): LoadedModel {
  return { tensors: loadedTensors(architecture, asCheckpoint(scheme)), isPlain: isPlain(scheme) };
}

/** The same with its weights summed up; computed once per pair of objects. */
export const shardableModel: (architecture: Architecture, scheme: QuantScheme) => ShardableModel =
  oncePerPair(describeModel);

function describeModel(architecture: Architecture, scheme: QuantScheme): ShardableModel {
  const model = loadModel(architecture, scheme);
  const encoderParameters = (architecture.encoders ?? []).reduce((sum, encoder) => sum + encoder.parameters, 0);
  const encoderBytes = encoderParameters * ENCODER_BYTES_PER_PARAMETER;
  const weights = onceOnly(() =>
    addEncoders(summarizeWeights(architecture, model.tensors), encoderParameters, encoderBytes),
  );
  return {
    ...model,
    get weights() {
      return weights();
    },
  };
}

const isPlain = (scheme: QuantScheme): boolean =>
  plainBits(scheme) !== null || (scheme.kind === "uniform" && scheme.weightBits >= scheme.restBits);

function addEncoders(text: WeightsBreakdown, parameters: number, bytes: number): WeightsBreakdown {
  if (parameters === 0) {
    return text;
  }
  const byTensorType = [...text.byTensorType];
  const index = byTensorType.findIndex(({ type }) => type === ENCODER_TYPE);
  const share = byTensorType[index];
  if (share === undefined) {
    byTensorType.push({ type: ENCODER_TYPE, tensors: 1, bytes });
  } else {
    byTensorType[index] = { ...share, tensors: share.tensors + 1, bytes: share.bytes + bytes };
  }
  const byRole = text.byRole.filter(({ role }) => role !== "OTHER");
  const other = text.byRole.find(({ role }) => role === "OTHER");
  byRole.push({
    role: "OTHER",
    parameters: (other?.parameters ?? 0) + parameters,
    bytes: (other?.bytes ?? 0) + bytes,
  });
  const total = text.bytes + bytes;
  const allParameters = text.parameters + parameters;
  return {
    ...text,
    bytes: total,
    parameters: allParameters,
    bitsPerWeight: (total * BITS_PER_BYTE) / allParameters,
    byTensorType: byTensorType.sort((a, b) => b.bytes - a.bytes),
    byRole: byRole.sort((a, b) => b.bytes - a.bytes),
  };
}

/** An unquantized file keeps every tensor at its precision in a checkpoint; GGUF widens norms to 32 bits. */
function asCheckpoint(scheme: QuantScheme): QuantScheme {
  const bits = plainBits(scheme);
  if (scheme.kind !== "ggml" || bits === null) {
    return scheme;
  }
  const type = scheme.fileType.toLowerCase();
  const plain: UniformScheme = {
    kind: "uniform",
    type,
    weightBits: bits,
    scales: [],
    quantizedRoles: [],
    restBits: bits,
    restType: type,
  };
  return plain;
}

/** Multiples that the kernels for experts in microscaling formats ask of both widths of their matrices. */
export interface ExpertPadding {
  width: number;
  inputWidth: number;
}

/** What an engine holds beside the weights from the moment it has loaded them; it counts as weights. */
export interface BufferHabits {
  /** Bytes of a cosine or sine in rotary tables. */
  rotaryValueBytes: number;
  /** Times that a table with sections is longer than the positions of text. */
  sectionedStretch: number;
  /** Rows that wait in front of each text layer that takes a tower's inner results; 0 if none do. */
  injectedTokens: number;
}

/** What an engine's own habits change about the split. */
interface ShardingHabits {
  /** The vocabulary is padded to a multiple of this many tokens. */
  vocabularyPadding: number;
  /** Layers left over by the division go to the first stages, or to those before the last. */
  spareLayers: "first" | "before-last";
  /** Experts in microscaling formats are stored with both widths rounded up to these. */
  microscalingPadding?: ExpertPadding;
  /** Towers that every device holds whole, by the checkpoint's model type; all of them if absent. */
  wholeEncoders?: readonly string[];
  /** The same, but only of checkpoints that nobody has quantized: those come in a format of their publisher. */
  wholePlainEncoders?: readonly string[];
  /** Shared experts are cloned once per device into the routed ones where there are so many of those. */
  clonedSharedExperts?: number;
  buffers?: BufferHabits;
}

/** The layers of one pipeline stage. */
export interface Stage {
  firstLayer: number;
  layers: number;
}

/** One pipeline stage; all its tensor-parallel devices hold the same bytes. */
export interface StageWeights extends Stage {
  /** Bytes on one device, as the allocator counts them. */
  bytes: number;
}

/** Where a stage starts and how many layers it has. Source: vLLM, distributed/utils.py (get_pp_indices). */
function splitStages(layerCount: number, stages: number, spareLayers: ShardingHabits["spareLayers"]): Stage[] {
  const least = Math.floor(layerCount / stages);
  const spare = layerCount % stages;
  let firstLayer = 0;
  return Array.from({ length: stages }, (_, stage) => {
    const takesSpare = spareLayers === "first" ? stage < spare : stage < stages - 1 && stage >= stages - 1 - spare;
    const layers = least + (takesSpare ? 1 : 0);
    const start = firstLayer;
    firstLayer += layers;
    return { firstLayer: start, layers };
  });
}

/** Bytes that one tensor-parallel device holds of a model, as the allocator counts them. */
interface DeviceShare {
  layers: readonly number[];
  /** Embeddings, of the first stage. */
  input: number;
  /** What follows the last layer, of the last stage. */
  output: number;
  /** A tied output matrix, where the last stage is another than the first. */
  tiedOutput: number;
  /** Rotary tables, of every stage. */
  rotary: number;
  /** Towers, of the first stage. */
  encoders: number;
}

/** How a legal plan divides a model, whatever its weights are stored as. */
export interface Sharding {
  stages: readonly Stage[];
  /** The stages with what each of their devices holds of the model in a format. */
  weigh(model: LoadedModel): StageWeights[];
}

export function createSharding(architecture: Architecture, plan: ParallelPlan, habits: ShardingHabits): Sharding {
  const stages = splitStages(architecture.layers.length, plan.pipelineParallel, habits.spareLayers);
  const last = stages.length - 1;
  const shareOf = createShares(architecture, plan, habits);
  return {
    stages,
    weigh(model) {
      const share = shareOf(model);
      return stages.map(({ firstLayer, layers }, index) => {
        let bytes = (index === 0 ? share.input : 0) + (index === last ? share.output : 0);
        if (index === last && last > 0) bytes += share.tiedOutput;
        for (let layer = firstLayer; layer < firstLayer + layers; layer += 1) {
          bytes += share.layers[layer] ?? 0;
        }
        return { firstLayer, layers, bytes: bytes + share.rotary + (index === 0 ? share.encoders : 0) };
      });
    },
  };
}

/** How a tensor is divided, whatever it is stored as. */
interface TensorShare {
  /** Of its bytes, that one device holds. */
  share: number;
  /** The matrix that it is held as a part of. */
  module: string;
  block: Block;
}

const NO_BLOCK: Block = { tensors: [] };

/** What one device holds of a model in a format; what it holds of each tensor is decided once for all formats. */
function createShares(
  architecture: Architecture,
  plan: ParallelPlan,
  habits: ShardingHabits,
): (model: LoadedModel) => DeviceShare {
  const known = new Map<Tensor, TensorShare>();
  const shareOf = (tensor: Tensor): TensorShare => {
    let share = known.get(tensor);
    if (share === undefined) {
      share = shareTensor(tensor, architecture, plan, habits);
      known.set(tensor, share);
    }
    return share;
  };
  const rotary = rotaryBytes(architecture, habits);
  return ({ tensors, isPlain }) => {
    let input = 0;
    let output = 0;
    let tiedOutput = 0;
    /** Bytes of each matrix that is held as one, by the layers that have one like it. */
    const modulesOf = new Map<readonly number[], Map<string, number>>();
    for (const { first, layers, type, bytes } of withoutOverlap(architecture, tensors)) {
      const { share, module, block } = shareOf(first);
      if (layers === null) {
        const size = allocatedBytes(bytes * share);
        if (first.isInputTable || INPUT_TENSORS.test(first.name)) input += size;
        else output += size;
        if (first.name === "token_embd.weight" && architecture.tiedEmbeddings && architecture.hasOutput)
          tiedOutput = size;
        continue;
      }
      const size = bytes * share * paddingOf(type, first.role, architecture.hiddenSize, block, plan, habits);
      const modules = modulesOf.get(layers) ?? new Map<string, number>();
      modulesOf.set(layers, modules);
      modules.set(module, (modules.get(module) ?? 0) + size);
    }
    const byLayer = new Array<number>(architecture.layers.length).fill(0);
    for (const [layers, modules] of modulesOf) {
      let bytes = 0;
      for (const size of modules.values()) bytes += allocatedBytes(size);
      for (const layer of layers) byLayer[layer] = bytes;
    }
    const encoders = encoderBytes(architecture, isPlain, plan, habits);
    return { layers: byLayer, input, output, tiedOutput, rotary, encoders };
  };
}

function shareTensor(
  { layer, name, role }: Tensor,
  architecture: Architecture,
  plan: ParallelPlan,
  habits: ShardingHabits,
): TensorShare {
  if (layer === null) {
    return { share: shareOfModelTensor(role, architecture, plan, habits), module: name, block: NO_BLOCK };
  }
  const block = architecture.blocks[architecture.layers[layer] ?? ""] ?? NO_BLOCK;
  const stem = name.slice(name.indexOf(".", "blk.".length) + 1);
  return { share: shareOfBlockTensor(stem, role, block, plan, habits), module: fusedModule(stem), block };
}

/**
 * Tensors that stand for whole blocks, as formats store them that do not tell layers apart. Where one does, its tensors
 * are taken apart layer by layer: then, too, those of a layer have the same list of layers.
 */
function withoutOverlap(architecture: Architecture, tensors: readonly StoredGroup[]): readonly StoredGroup[] {
  const layersOf = new Map<string, readonly number[]>();
  const areWhole = tensors.every(({ first, layers }) => {
    if (first.layer === null || layers === null) return true;
    const name = architecture.layers[first.layer] ?? "";
    const known = layersOf.get(name) ?? layers;
    layersOf.set(name, known);
    return known === layers;
  });
  if (areWhole) return tensors;
  const alone = architecture.layers.map((_, layer) => [layer]);
  return tensors.flatMap((stored): StoredGroup[] => {
    const { layers } = stored;
    return layers === null ? [stored] : layers.map((layer) => ({ ...stored, layers: alone[layer] ?? [] }));
  });
}

/** Every stage has all tables (vLLM and SGLang, layers/rotary_embedding: one cache for equal layers). */
function rotaryBytes({ rotaryTables = [] }: Architecture, { buffers }: ShardingHabits): number {
  if (buffers === undefined) return 0;
  const { rotaryValueBytes, sectionedStretch } = buffers;
  return rotaryTables.reduce(
    (sum, { width, positions, sectioned }) =>
      sum + allocatedBytes(width * positions * (sectioned ? sectionedStretch : 1) * rotaryValueBytes),
    0,
  );
}

/**
 * Towers on one device, and the buffers for their inner results. Their linear layers are divided as the text model's;
 * what is not, patch projection and positions, is little (vLLM, `mm_encoder_tp_mode` "weights", and its models' vision
 * towers; models/qwen3_vl.py, `deepstack_input_embeds`).
 */
function encoderBytes(
  { encoders = [], hiddenSize }: Architecture,
  isPlain: boolean,
  plan: ParallelPlan,
  { wholeEncoders, wholePlainEncoders = [], buffers }: ShardingHabits,
): number {
  return encoders.reduce((sum, { parameters, modelType = "", injectedLayers = 0 }) => {
    const isWhole =
      wholeEncoders === undefined ||
      wholeEncoders.includes(modelType) ||
      (isPlain && wholePlainEncoders.includes(modelType)) ||
      plan.wholeAttention === true;
    const weights = (parameters * ENCODER_BYTES_PER_PARAMETER) / (isWhole ? 1 : plan.tensorParallel);
    const injected = injectedLayers * (buffers?.injectedTokens ?? 0) * hiddenSize * ENCODER_BYTES_PER_PARAMETER;
    return sum + weights + injected;
  }, 0);
}

/** Formats whose groups share an 8-bit exponent: MXFP4, MXFP8. */
const MICROSCALING_TYPE = /^mxfp/;

/**
 * What padding adds to experts in a microscaling format: their kernels take whole tiles (vLLM,
 * quantization/mxfp4.py: gpt-oss-120b takes 64.4 GiB, not 60.8).
 */
function paddingOf(
  type: string,
  role: TensorRole,
  hiddenSize: number,
  { experts }: Block,
  plan: ParallelPlan,
  { microscalingPadding }: ShardingHabits,
): number {
  if (
    microscalingPadding === undefined ||
    role !== "EXPERTS" ||
    experts === undefined ||
    !MICROSCALING_TYPE.test(type)
  ) {
    return 1;
  }
  const width = plan.expertParallel ? experts.size : experts.size / plan.tensorParallel;
  const inputWidth = experts.latentSize ?? hiddenSize;
  return (
    (roundUp(width, microscalingPadding.width) / width) *
    (roundUp(inputWidth, microscalingPadding.inputWidth) / inputWidth)
  );
}

const roundUp = (value: number, multiple: number): number => Math.ceil(value / multiple) * multiple;

const INPUT_TENSORS = /^(token_embd|token_types|position_embd|per_layer|altup_proj|image_token_embd)/;

/**
 * Tensors that the engines hold as one matrix, by their GGUF names within a layer: it is the whole that the allocator
 * rounds (vLLM, stacked_params_mapping of the models and layers/fused_moe/layer.py).
 */
const FUSED_MODULES: readonly { tensors: RegExp; module: string }[] = [
  { tensors: /^attn_[qkv]\.weight$/, module: "qkv_proj" },
  { tensors: /^attn_(q_a|kv_a_mqa)\.weight$/, module: "fused_qkv_a_proj" },
  { tensors: /^attn_[kv]_b\.weight$/, module: "kv_b_proj" },
  { tensors: /^ffn_(gate|up)\.weight$/, module: "gate_up_proj" },
  { tensors: /^ffn_(gate|up|gate_up)_exps\.weight$/, module: "w13" },
  { tensors: /^ffn_(gate|up)_shexp\.weight$/, module: "shared_gate_up_proj" },
];

function fusedModule(stem: string): string {
  return FUSED_MODULES.find(({ tensors }) => tensors.test(stem))?.module ?? stem;
}

/** Share of a tensor outside the layers that one device holds. */
function shareOfModelTensor(
  role: TensorRole,
  architecture: Architecture,
  plan: ParallelPlan,
  habits: ShardingHabits,
): number {
  switch (role) {
    case "TOKEN_EMBEDDING":
    case "OUTPUT": {
      const { vocabularySize } = architecture;
      const padded = roundUp(vocabularySize, habits.vocabularyPadding);
      const isWhole = plan.wholeAttention === true && role === "TOKEN_EMBEDDING";
      return padded / vocabularySize / (isWhole ? 1 : plan.tensorParallel);
    }
    case "PER_LAYER_EMBEDDING":
      return 1 / plan.tensorParallel;
    default:
      return 1;
  }
}

/**
 * Whole on every device although the rest of their kind is split: the narrow first half of low-rank projections,
 * compressors and their tables, biases added after the devices' results are summed.
 */
const WHOLE_TENSORS =
  /^(attn_q_a|attn_kv_a_mqa|attn_kv|attn_compressor\w*|ssm_[fg]_a|ffn_latent_\w+|ffn_gate_inp_shexp)\.|^(attn_output|ffn_down|ffn_down_exps)\.bias$/;

/** Key and value projections: split by KV heads, each repeated where there are fewer than devices. */
const KEY_VALUE_TENSORS = /^attn_[kv]\./;

/**
 * Share of a layer's tensor that one device holds. Columns and rows of matrices are divided; norms, routers and
 * indexers are whole everywhere (vLLM, ReplicatedLinear).
 */
function shareOfBlockTensor(
  stem: string,
  role: TensorRole,
  block: Block,
  plan: ParallelPlan,
  { clonedSharedExperts }: ShardingHabits,
): number {
  const devices = plan.tensorParallel;
  switch (role) {
    case "EXPERTS": {
      const count = block.experts?.count ?? 1;
      if (plan.expertParallel) {
        return Math.ceil(count / devices) / count;
      }
      return WHOLE_TENSORS.test(stem) || stem.endsWith(".scale") ? 1 : 1 / devices;
    }
    case "ATTENTION":
      if (plan.wholeAttention) {
        return 1;
      }
      return WHOLE_TENSORS.test(stem) ? 1 : attentionShare(stem, block, devices);
    case "RECURRENT":
      return WHOLE_TENSORS.test(stem) || plan.wholeAttention ? 1 : 1 / devices;
    case "SHARED_EXPERTS":
      if (clonedSharedExperts !== undefined && clonedSharedExperts === block.experts?.count) {
        return 1;
      }
      return WHOLE_TENSORS.test(stem) || keepsDenseWhole(plan) ? 1 : 1 / devices;
    case "FEED_FORWARD":
      return WHOLE_TENSORS.test(stem) || keepsDenseWhole(plan) ? 1 : 1 / devices;
    default:
      return 1;
  }
}

function attentionShare(stem: string, { attention }: Block, devices: number): number {
  // vLLM's and SGLang's sources divide these projections (models/deepseek_v4), but every log of several devices shows at
  // least what whole ones take (vLLM over 2 and 4 GB10, SGLang over 8 H200): counted whole until that is understood.
  if (attention?.kind === "compressed") {
    return 1;
  }
  if (attention?.kind !== "grouped") {
    return 1 / devices;
  }
  const { heads, kvHeads, keyDim, valueDim } = attention;
  const kvShare = keyValueHeads(kvHeads, devices) / kvHeads;
  if (KEY_VALUE_TENSORS.test(stem)) {
    return kvShare;
  }
  if (!stem.startsWith("attn_qkv.")) {
    return 1 / devices;
  }
  const queries = heads * keyDim * (attention.gatedQuery ? 2 : 1);
  const keysAndValues = kvHeads * (keyDim + valueDim);
  return (queries / devices + keysAndValues * kvShare) / (queries + keysAndValues);
}

/** KV heads on one of `devices` tensor-parallel devices: at least one (vLLM, ModelConfig.get_num_kv_heads). */
export function keyValueHeads(kvHeads: number, devices: number): number {
  return Math.max(1, Math.floor(kvHeads / devices));
}
