import type { Architecture, Block, GroupedAttention } from "../architecture/architecture.js";
import { EstimateError } from "../estimate-error.js";
import { matrixRole } from "../quantization/matrix-role.js";
import { countText, sizeText } from "../size-text.js";
import { groupTensors } from "../tensors/list-tensors.js";
import type { Tensor } from "../tensors/tensor.js";
import type { Consumer, ConsumerPlace, LoraAdapters, LoraMatrices } from "./consumers.types.js";
import { placeByLayer } from "./place-shares.js";

/** A matrix that has factors, with how many equal ones there are in its layer. */
interface AdaptedMatrix {
  inputs: number;
  outputs: number;
  copies: number;
  /** Cut by its inputs where a matrix is shared: its results are summed (output and down projections). */
  isCutByInputs: boolean;
}

const ROLES: Readonly<Record<LoraMatrices, ReadonlySet<string>>> = {
  QUERY_VALUE: new Set(["ATTENTION"]),
  ATTENTION: new Set(["ATTENTION"]),
  DENSE: new Set(["ATTENTION", "RECURRENT", "FEED_FORWARD", "SHARED_EXPERTS"]),
  ALL_LINEAR: new Set(["ATTENTION", "RECURRENT", "FEED_FORWARD", "SHARED_EXPERTS", "EXPERTS"]),
};

const QUERY_OR_VALUE = /\.attn_(q|v|q_b|v_b)\.weight$/;
const CUT_BY_INPUTS = /\.(attn_output|ffn_down|ffn_down_exps|ffn_down_shexp|ssm_out)\.weight$/;

/**
 * Factors of LoRA adapters: rank x (inputs + outputs) values for each matrix (Hu et al., LoRA, 2021). Matrices that
 * join queries, keys and values, or gate and up, have factors for each part (vLLM, `lora/layers`, n_slices). vLLM
 * allocates them for all adapters it may hold when it starts, llama.cpp for each file it is given: the same sum.
 *
 * @throws EstimateError for a rank, a number of adapters or a size of value that makes no sense.
 */
export function layOutLora(architecture: Architecture, lora: LoraAdapters, place: ConsumerPlace): Consumer {
  const ranks = lora.tensorParallel ?? place.tensorParallel ?? 1;
  checkLora(lora);
  requirePositive(ranks, "tensorParallel", true);
  const values = listAdaptedMatrices(architecture, lora.matrices).map((matrices) =>
    matrices.reduce((sum, matrix) => sum + factorValues(matrix, lora.rank, ranks), 0),
  );
  const bytes = values.map((count) => count * lora.adapters * lora.bytesPerValue);
  const total = values.reduce((sum, count) => sum + count, 0);
  return {
    kind: "LORA",
    ...placeByLayer(bytes, place.layersByDevice, ranks),
    step: {
      title: "LoRA adapters",
      formula: `${lora.adapters} adapters x ${countText(total)} values (rank ${lora.rank} x inputs and outputs of each matrix${ranks > 1 ? `, shared by ${ranks} devices` : ""}) x ${lora.bytesPerValue} bytes`,
      result: sizeText(total * lora.adapters * lora.bytesPerValue),
      source: "Hu et al., LoRA (2021); vLLM, lora/layers: factors are allocated for max_loras x max_lora_rank",
    },
  };
}

/** @throws EstimateError for a rank, a number of adapters or a size of value that makes no sense. */
export function checkLora({ rank, adapters, bytesPerValue }: LoraAdapters): void {
  requirePositive(rank, "rank", true);
  requirePositive(adapters, "adapters", true);
  requirePositive(bytesPerValue, "bytesPerValue", false);
}

/** Parameters of one adapter. */
export function countLoraParameters(architecture: Architecture, rank: number, matrices: LoraMatrices): number {
  return listAdaptedMatrices(architecture, matrices)
    .flat()
    .reduce((sum, matrix) => sum + factorValues(matrix, rank, 1), 0);
}

function factorValues(matrix: AdaptedMatrix, rank: number, ranks: number): number {
  const inputs = matrix.isCutByInputs ? Math.ceil(matrix.inputs / ranks) : matrix.inputs;
  const outputs = matrix.isCutByInputs ? matrix.outputs : Math.ceil(matrix.outputs / ranks);
  return rank * (inputs + outputs) * matrix.copies;
}

function listAdaptedMatrices(architecture: Architecture, matrices: LoraMatrices): AdaptedMatrix[][] {
  const layers: AdaptedMatrix[][] = architecture.layers.map(() => []);
  for (const { first, layers: ownLayers } of groupTensors(architecture)) {
    const block = architecture.blocks[architecture.layers[first.layer ?? -1] ?? ""];
    const role = matrixRole(first);
    if (block !== undefined && role !== null && ROLES[matrices].has(role)) {
      const adapted = adaptTensor(first, block, matrices);
      for (const layer of ownLayers ?? []) layers[layer]?.push(...adapted);
    }
  }
  return layers;
}

/** The parts of a matrix that have factors of their own. */
function adaptTensor(tensor: Tensor, block: Block, matrices: LoraMatrices): AdaptedMatrix[] {
  const [inputs = 1, outputs = 1, copies = 1] = tensor.shape;
  const { attention, feedForward, experts } = block;
  const isCutByInputs = CUT_BY_INPUTS.test(tensor.name);
  const parts = (widths: readonly number[]) =>
    widths.map((width) => ({ inputs, outputs: width, copies, isCutByInputs }));
  if (tensor.name.endsWith(".attn_qkv.weight") && attention?.kind === "grouped") {
    const [query, key, value] = joinedWidths(attention);
    return parts(matrices === "QUERY_VALUE" ? [query, value] : [query, key, value]);
  }
  if (matrices === "QUERY_VALUE") {
    return QUERY_OR_VALUE.test(tensor.name) ? parts([outputs]) : [];
  }
  const isJoined =
    (feedForward?.fusedGateUp && tensor.name.endsWith(".ffn_up.weight")) ||
    (experts?.fusedGateUp && tensor.name.endsWith(".ffn_gate_up_exps.weight"));
  return parts(isJoined ? [outputs / 2, outputs / 2] : [outputs]);
}

function joinedWidths({ heads, kvHeads, keyDim, valueDim }: GroupedAttention): [number, number, number] {
  return [heads * keyDim, kvHeads * keyDim, kvHeads * valueDim];
}

function requirePositive(value: number, name: string, isWhole: boolean): void {
  if (!Number.isFinite(value) || value <= 0 || value > 2 ** 31 || (isWhole && !Number.isInteger(value))) {
    throw new EstimateError(`${name} must be a ${isWhole ? "whole " : ""}number above zero, not ${value}.`, [
      "lora",
      name,
    ]);
  }
}
