import type { EstimateWarning, RuntimeRequest } from "../estimate.types.js";
import type { QuantScheme } from "../quantization/scheme.js";

/** Formats that the same engines load. */
type FormatFamily =
  /** Unquantized, 16 bits a weight. */
  | "HALF"
  /** Unquantized, 32 bits a weight. */
  | "SINGLE"
  /** Quantized GGUF files. */
  | "GGUF"
  /** GPTQ of 4 bits: the one width that every GPTQ kernel takes. */
  | "GPTQ4"
  /** Converted for MLX. */
  | "MLX"
  /** EXL2 and EXL3. */
  | "EXL"
  /** What is left: FP8, AWQ, GPTQ of other widths, NVFP4, bitsandbytes, compressed-tensors and their kin. */
  | "CHECKPOINT";

/** What an engine loads, and what to say of the rest. */
interface Loader {
  loads: ReadonlySet<FormatFamily>;
  advice: string;
  /** Where a family needs another sentence. */
  adviceOn?: Partial<Record<FormatFamily, string>>;
}

/** Engines that load checkpoints; llama.cpp's own rule is with llama.cpp. */
export type CheckpointEngine = Exclude<RuntimeRequest["kind"], "llama-cpp" | "rule-of-thumb">;

const CHECKPOINTS: ReadonlySet<FormatFamily> = new Set(["HALF", "SINGLE", "GPTQ4", "CHECKPOINT"]);

/** What ExLlama and MLX made their own has been asked for, not added (vLLM issues 3203 and 19896, SGLang issue 22). */
const serving = (name: string): Loader => ({
  loads: CHECKPOINTS,
  advice: `${name} loads checkpoints (BF16, FP8, AWQ, GPTQ, NVFP4 ...), not quantized GGUF files, nor what was made for ExLlama or MLX.`,
});

const LOADERS: Readonly<Record<CheckpointEngine, Loader>> = {
  vllm: serving("vLLM"),
  sglang: serving("SGLang"),
  "tensorrt-llm": serving("TensorRT-LLM"),
  transformers: {
    loads: CHECKPOINTS,
    advice:
      "Transformers turns GGUF files back into full precision when it loads them: it needs more memory than this.",
    adviceOn: {
      MLX: "Transformers does not load MLX checkpoints: use MLX, or another format.",
      EXL: "Transformers does not load EXL files: use ExLlama, or another format.",
    },
  },
  mlx: {
    loads: new Set(["HALF", "SINGLE", "MLX"]),
    advice: "MLX loads checkpoints of 16 bits and those converted for MLX: this format has to be converted first.",
  },
  exllama: {
    loads: new Set(["HALF", "GPTQ4", "EXL"]),
    advice: "ExLlama loads EXL2, EXL3 and 4-bit GPTQ files and unquantized checkpoints: this format is none of them.",
  },
};

/** The warning that an engine does not load a format as it is; none where it does. */
export function loadWarnings(scheme: QuantScheme, engine: CheckpointEngine): EstimateWarning[] {
  const { loads, advice, adviceOn } = LOADERS[engine];
  const family = familyOf(scheme);
  return loads.has(family) ? [] : [{ code: "QUANT_FORMAT_NOT_LOADABLE", message: adviceOn?.[family] ?? advice }];
}

/** Whether an engine loads a format as it is. llama.cpp loads GGUF files; the rule of thumb is asked of any format. */
export function isLoadable(scheme: QuantScheme, engine: RuntimeRequest["kind"]): boolean {
  switch (engine) {
    case "llama-cpp":
      return scheme.kind === "ggml";
    case "rule-of-thumb":
      return true;
    default:
      return loadWarnings(scheme, engine).length === 0;
  }
}

const GPTQ_BITS = 4;

function familyOf(scheme: QuantScheme): FormatFamily {
  switch (scheme.kind) {
    case "average":
      return "EXL";
    case "ggml": {
      const bits = plainBits(scheme);
      return bits === null ? "GGUF" : bits === 32 ? "SINGLE" : "HALF";
    }
    case "uniform":
      // MLX alone leaves matrices alone whose rows are no whole groups.
      if (scheme.oddGroups === "leave") {
        return "MLX";
      }
      // Of the formats stored in groups, GPTQ alone has an index of each input row's group.
      return scheme.weightBits === GPTQ_BITS && scheme.scales.some(({ per }) => per === "input-row")
        ? "GPTQ4"
        : "CHECKPOINT";
  }
}

/** Bits of the GGUF file types that are plain copies of a checkpoint. */
const PLAIN_BITS: Readonly<Record<string, number>> = { F32: 32, F16: 16, BF16: 16 };

/** Bits of a weight of a format that is no quantization but a checkpoint by another name; null of every other. */
export function plainBits(scheme: QuantScheme): number | null {
  return scheme.kind === "ggml" && scheme.expertsType === undefined ? (PLAIN_BITS[scheme.fileType] ?? null) : null;
}
