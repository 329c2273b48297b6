import type { Case } from "./draw-cases.js";

/** What is compared of one case. */
export type Part = "weights" | "kv" | "compute";

/**
 * A difference that is shown with its reason and does not fail: either the package's llama.cpp (v0.5.0, September 2026)
 * is not the one that the estimator describes (July 2026), or the estimator is known to be off.
 */
export interface KnownDifference {
  cause: "newer llama.cpp" | "estimator";
  part: Part;
  /** GGUF names of the architectures concerned; all if absent. */
  architectures?: readonly string[];
  /** Only where this holds of the case; always if absent. */
  when?: (subject: Case) => boolean;
  /** How far the estimate may be below and above llama.cpp's figure (shares of it). */
  below: number;
  above: number;
  reason: string;
}

/** An architecture that llama.cpp does not load from a file written here. */
export interface KnownRefusal {
  architecture: string;
  when?: (subject: Case) => boolean;
  reason: string;
}

const NO_PREDICTION = "prediction blocks are loaded and cached only for a context that predicts";
const RUNS_INDEXER = "the indexer of GLM is run and its keys are cached";
/** Architectures whose figures are exact against the July build on other rows. */
const OTHER_GRAPH = "the graph has other intermediate results; exact against the build of July";

export const KNOWN_DIFFERENCES: readonly KnownDifference[] = [
  {
    cause: "newer llama.cpp",
    part: "weights",
    architectures: ["qwen35", "qwen35moe"],
    below: 0,
    above: 0.06,
    reason: NO_PREDICTION,
  },
  {
    cause: "newer llama.cpp",
    part: "kv",
    architectures: ["deepseek32", "mimo2", "glm4moe", "exaone-moe"],
    below: 0,
    above: 0.1,
    reason: NO_PREDICTION,
  },
  { cause: "newer llama.cpp", part: "kv", architectures: ["glm-dsa"], below: 0.25, above: 0.02, reason: RUNS_INDEXER },
  {
    cause: "newer llama.cpp",
    part: "compute",
    architectures: ["glm-dsa"],
    below: 0.7,
    above: 0.05,
    reason: RUNS_INDEXER,
  },
  {
    cause: "newer llama.cpp",
    part: "compute",
    architectures: ["gpt-oss", "qwen3next", "nemotron_h", "nemotron_h_moe", "granitehybrid", "minicpm3"],
    below: 0.15,
    above: 0.1,
    reason: OTHER_GRAPH,
  },
  {
    cause: "newer llama.cpp",
    part: "kv",
    architectures: ["minimax-m3"],
    below: 0.1,
    above: 0.6,
    reason: "index keys are stored in the type of the cache, not in single precision",
  },
];

export const KNOWN_REFUSALS: readonly KnownRefusal[] = [
  { architecture: "kimi-k3", reason: "tensors of its linear layers have other names in this release" },
  {
    architecture: "phi3",
    when: ({ run }) => run.cacheType.startsWith("Q"),
    reason: "this release counts too few graph nodes for small microbatches with a quantized cache",
  },
];

/** Why an estimate of `ours` for `theirs` is no error; undefined where it is one. */
export function knownReason(subject: Case, part: Part, ours: number, theirs: number): string | undefined {
  const name = subject.architecture.ggufArchitecture ?? "";
  const share = ours / theirs - 1;
  const known = KNOWN_DIFFERENCES.find(
    (known) =>
      known.part === part &&
      (known.architectures?.includes(name) ?? true) &&
      (known.when?.(subject) ?? true) &&
      share >= -known.below &&
      share <= known.above,
  );
  return known && `${known.cause}: ${known.reason}`;
}

export function knownRefusal(subject: Case): string | undefined {
  return KNOWN_REFUSALS.find(
    ({ architecture, when }) => architecture === subject.architecture.ggufArchitecture && (when?.(subject) ?? true),
  )?.reason;
}
