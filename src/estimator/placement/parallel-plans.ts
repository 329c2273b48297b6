import type { Architecture, Attention, Block, Experts, Recurrent, TensorRole } from "../architecture/architecture.js";
import type { QuantScheme, ScaleLayout, UniformStorage } from "../quantization/scheme.js";

/** How a serving engine spreads a model: `tensorParallel` x `pipelineParallel` devices. */
export interface ParallelPlan {
  tensorParallel: number;
  pipelineParallel: number;
  /** Experts stay whole and are dealt to the tensor-parallel devices. */
  expertParallel: boolean;
  /**
   * Attention is whole on every device, which serves its own sequences (SGLang, `--enable-dp-attention`). With expert
   * parallelism what is not a routed expert is whole, too.
   */
  wholeAttention?: boolean;
}

export type ServingEngine = "vllm" | "sglang" | "tensorrt-llm";

/** Why a plan is refused: one sentence, and the setting that would have to change. */
interface IllegalSplit {
  message: string;
  path: ["runtime", "tensorParallel" | "pipelineParallel" | "expertParallel"];
}

/** vLLM and SGLang pad the vocabulary to this many tokens before they split it (DEFAULT_VOCAB_PADDING_SIZE). */
const VOCABULARY_PADDING = 64;
/** Wider groups than this are not searched: no interconnect reaches as far. */
const MOST_TENSOR_PARALLEL = 1024;
/** Rows of a 4-bit matrix on one device come in multiples of this (Marlin, min_thread_n). */
const MARLIN_ROWS = 64;
const MARLIN_BITS = 4;
/** Microscaling groups: engines pad experts in such a format to whole groups instead of refusing. */
const MICROSCALING = { groupSize: 32, scaleBits: 8 };

/**
 * Why an engine refuses to spread a model this way; null when it accepts.
 *
 * Sources: vLLM, config/model.py (verify_with_parallel_config), layers/linear.py (QKVParallelLinear,
 * MergedColumnParallelLinear), layers/vocab_parallel_embedding.py, quantization/fp8.py (validate_fp8_block_shape),
 * quantization/utils/marlin_utils.py; SGLang keeps the same checks; TensorRT-LLM, mapping.py.
 */
export function explainIllegal(
  architecture: Architecture,
  scheme: QuantScheme,
  plan: ParallelPlan,
  engine: ServingEngine = "vllm",
): IllegalSplit | null {
  for (const setting of ["tensorParallel", "pipelineParallel"] as const) {
    const value = plan[setting];
    if (!Number.isSafeInteger(value) || value < 1) {
      return { message: `${setting} must be a whole number of at least 1, not ${value}.`, path: ["runtime", setting] };
    }
  }
  if (plan.pipelineParallel > architecture.layers.length) {
    return {
      message: `The model has ${architecture.layers.length} layers, too few for ${plan.pipelineParallel} pipeline stages.`,
      path: ["runtime", "pipelineParallel"],
    };
  }
  const message = refusal(architecture, scheme, plan, engine);
  if (message === null) {
    return null;
  }
  return { message, path: ["runtime", "tensorParallel"] };
}

/**
 * Every legal way to spread a model over exactly `deviceCount` devices, best first: the widest tensor-parallel split,
 * which shares the work on every token, before pipeline stages; experts split by width before whole ones. Empty when
 * the engine takes none.
 */
export function legalPlans(
  architecture: Architecture,
  scheme: QuantScheme,
  deviceCount: number,
  engine: ServingEngine = "vllm",
  { wholeAttention = false }: Pick<ParallelPlan, "wholeAttention"> = {},
): ParallelPlan[] {
  const hasExperts = Object.values(architecture.blocks).some((block) => block.experts !== undefined);
  const plans: ParallelPlan[] = [];
  if (!Number.isSafeInteger(deviceCount)) {
    return plans;
  }
  for (let tensorParallel = Math.min(deviceCount, MOST_TENSOR_PARALLEL); tensorParallel >= 1; tensorParallel -= 1) {
    if (deviceCount % tensorParallel !== 0) {
      continue;
    }
    const pipelineParallel = deviceCount / tensorParallel;
    for (const expertParallel of hasExperts && tensorParallel > 1 ? [false, true] : [false]) {
      const plan = { tensorParallel, pipelineParallel, expertParallel };
      if (explainIllegal(architecture, scheme, { ...plan, wholeAttention }, engine) === null) {
        plans.push(plan);
      }
    }
  }
  return plans;
}

function refusal(
  architecture: Architecture,
  scheme: QuantScheme,
  plan: ParallelPlan,
  engine: ServingEngine,
): string | null {
  const devices = plan.tensorParallel;
  if (devices === 1) {
    return null;
  }
  for (const name of new Set(architecture.layers)) {
    const block = architecture.blocks[name];
    const message =
      block === undefined ? null : (shapeRefusal(block, plan, engine) ?? formatRefusal(block, scheme, plan));
    if (message !== null) {
      return message;
    }
  }
  // TensorRT-LLM pads the vocabulary to a multiple of the devices.
  const padded = Math.ceil(architecture.vocabularySize / VOCABULARY_PADDING) * VOCABULARY_PADDING;
  return engine === "tensorrt-llm" || padded % devices === 0
    ? null
    : `A vocabulary of ${architecture.vocabularySize} tokens, padded to ${padded}, does not divide over ${devices} devices.`;
}

/** Heads, widths and experts of one block. */
function shapeRefusal(block: Block, plan: ParallelPlan, engine: ServingEngine): string | null {
  const devices = plan.tensorParallel;
  const { attention, recurrent, feedForward, experts } = block;
  const isWhole = plan.wholeAttention === true;
  return (
    (attention === undefined || isWhole ? null : headRefusal(attention, devices)) ??
    (recurrent === undefined || isWhole ? null : recurrentRefusal(recurrent, devices)) ??
    (feedForward === undefined || keepsDenseWhole(plan)
      ? null
      : indivisible(feedForward.size, devices, `The feed-forward width of ${feedForward.size}`)) ??
    (experts === undefined ? null : expertRefusal(experts, plan, engine))
  );
}

/** Whether feed-forward layers outside of the routed experts are whole on every device. */
export function keepsDenseWhole(plan: ParallelPlan): boolean {
  return plan.wholeAttention === true && plan.expertParallel;
}

function headRefusal(attention: Attention, devices: number): string | null {
  const message = indivisible(attention.heads, devices, `${attention.heads} attention heads`, "do");
  if (message !== null || attention.kind !== "grouped") {
    return message;
  }
  const { kvHeads } = attention;
  if (kvHeads >= devices) {
    return indivisible(kvHeads, devices, `${kvHeads} key/value heads`, "do");
  }
  return devices % kvHeads === 0
    ? null
    : `${kvHeads} key/value heads cannot be repeated evenly over ${devices} devices: ${devices} is no multiple of ${kvHeads}.`;
}

function recurrentRefusal(recurrent: Recurrent, devices: number): string | null {
  switch (recurrent.kind) {
    case "gated-delta-net":
      return (
        indivisible(recurrent.keyHeads, devices, `${recurrent.keyHeads} linear-attention key heads`, "do") ??
        indivisible(recurrent.valueHeads, devices, `${recurrent.valueHeads} linear-attention value heads`, "do")
      );
    case "kimi-delta-attention":
    case "lightning":
    case "mamba2":
      return indivisible(recurrent.heads, devices, `${recurrent.heads} heads of the recurrent layers`, "do");
    case "mamba1":
      return indivisible(recurrent.innerSize, devices, `The recurrent width of ${recurrent.innerSize}`);
    case "short-convolution":
      return null;
  }
}

function expertRefusal(experts: Experts, plan: ParallelPlan, engine: ServingEngine): string | null {
  const devices = plan.tensorParallel;
  const shared =
    experts.shared === undefined || plan.wholeAttention === true
      ? null
      : indivisible(experts.shared.size, devices, `The shared experts' width of ${experts.shared.size}`);
  if (shared !== null) {
    return shared;
  }
  if (!plan.expertParallel) {
    return indivisible(experts.size, devices, `The expert width of ${experts.size}`);
  }
  // vLLM deals experts unevenly where they do not divide; the others do not.
  return engine === "vllm" && experts.count >= devices
    ? null
    : indivisible(experts.count, devices, `${experts.count} experts`, "do");
}

function indivisible(count: number, devices: number, subject: string, verb: "do" | "does" = "does"): string | null {
  if (count % devices === 0) {
    return null;
  }
  const legal = divisorsUpTo(count, Math.max(devices, 8)).filter((divisor) => divisor !== devices);
  return `${subject} ${verb} not divide over ${devices} devices; tensor parallel sizes of ${legal.join(", ")} do.`;
}

function divisorsUpTo(count: number, most: number): number[] {
  const divisors: number[] = [];
  for (let candidate = 1; candidate <= Math.min(count, most); candidate += 1) {
    if (count % candidate === 0) {
      divisors.push(candidate);
    }
  }
  return divisors;
}

// Quantized formats: scales are not cut through

/** A matrix whose rows (outputs) or columns (inputs) are dealt to the devices. */
interface SplitMatrix {
  role: TensorRole;
  label: string;
  /** Outputs of one device where rows are split, per part of a merged matrix; null where they are whole. */
  rows: number | null;
  /** Inputs of one device where columns are split; null where they are whole. */
  columns: number | null;
}

function formatRefusal(block: Block, scheme: QuantScheme, plan: ParallelPlan): string | null {
  if (scheme.kind !== "uniform") {
    return null;
  }
  for (const matrix of splitMatrices(block, plan)) {
    const storage = storageOf(matrix.role, scheme);
    const message = storage === null ? null : scaleRefusal(matrix, storage, plan);
    if (message !== null) {
      return message;
    }
  }
  return null;
}

function splitMatrices(block: Block, plan: ParallelPlan): SplitMatrix[] {
  const devices = plan.tensorParallel;
  const matrices: SplitMatrix[] = [];
  const { attention, feedForward, experts } = block;
  if (attention?.kind === "grouped" && !plan.wholeAttention) {
    matrices.push(
      rowsOf("ATTENTION", "query", (attention.heads * attention.keyDim) / devices),
      columnsOf("ATTENTION", "attention output", (attention.heads * attention.valueDim) / devices),
    );
  } else if (attention?.kind === "latent" && !plan.wholeAttention) {
    matrices.push(
      rowsOf("ATTENTION", "query", (attention.heads * (attention.nopeDim + attention.ropeDim)) / devices),
      columnsOf("ATTENTION", "attention output", (attention.heads * attention.valueDim) / devices),
    );
  }
  if (feedForward !== undefined && !keepsDenseWhole(plan)) {
    const width = feedForward.size / devices;
    matrices.push(
      rowsOf("FEED_FORWARD", "feed-forward up", width),
      columnsOf("FEED_FORWARD", "feed-forward down", width),
    );
  }
  if (experts?.shared !== undefined && !plan.wholeAttention) {
    const width = experts.shared.size / devices;
    matrices.push(
      rowsOf("SHARED_EXPERTS", "shared experts' up", width),
      columnsOf("SHARED_EXPERTS", "shared experts' down", width),
    );
  }
  if (experts !== undefined && !plan.expertParallel) {
    const width = experts.size / devices;
    matrices.push(rowsOf("EXPERTS", "experts' up", width), columnsOf("EXPERTS", "experts' down", width));
  }
  return matrices;
}

const rowsOf = (role: TensorRole, label: string, rows: number): SplitMatrix => ({ role, label, rows, columns: null });
const columnsOf = (role: TensorRole, label: string, columns: number): SplitMatrix => ({
  role,
  label,
  rows: null,
  columns,
});

/** Storage of the matrices of a role. Lists of modules name exceptions, which are stored plainly and always fit. */
function storageOf(role: TensorRole, scheme: QuantScheme & { kind: "uniform" }): UniformStorage | null {
  const override = (scheme.overrides ?? []).find((entry) => "roles" in entry && entry.roles.includes(role));
  return override ?? (scheme.quantizedRoles.includes(role) ? scheme : null);
}

function scaleRefusal(matrix: SplitMatrix, storage: UniformStorage, plan: ParallelPlan): string | null {
  for (const scale of storage.scales) {
    const message = straddled(matrix, scale, storage, plan);
    if (message !== null) {
      return message;
    }
  }
  return null;
}

function straddled(
  matrix: SplitMatrix,
  scale: ScaleLayout,
  storage: UniformStorage,
  { tensorParallel }: ParallelPlan,
): string | null {
  const { rows, columns, label } = matrix;
  const advice = matrix.role === "EXPERTS" ? " Expert parallelism keeps experts whole." : "";
  if (scale.per === "tile") {
    const [width, tile, side] = rows === null ? [columns ?? 0, scale.columns, "inputs"] : [rows, scale.rows, "outputs"];
    return width % tile === 0
      ? null
      : `Over ${tensorParallel} devices the ${label} matrix has ${width} ${side} each, not whole ${storage.type} blocks of ${tile}.${advice}`;
  }
  if (scale.per !== "group" || (scale.groupSize === MICROSCALING.groupSize && scale.bits === MICROSCALING.scaleBits)) {
    return null;
  }
  if (columns !== null && columns % scale.groupSize !== 0) {
    return `Over ${tensorParallel} devices the ${label} matrix has ${columns} inputs each, not whole groups of ${scale.groupSize}.${advice}`;
  }
  return rows !== null && storage.weightBits === MARLIN_BITS && rows % MARLIN_ROWS !== 0
    ? `Over ${tensorParallel} devices the ${label} matrix has ${rows} outputs each; 4-bit kernels take multiples of ${MARLIN_ROWS}.${advice}`
    : null;
}
