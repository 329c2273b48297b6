import type { Case } from "./draw-cases.js";

/** What is compared of one case. */
export type Part = "weights" | "kv" | "compute";

/**
 * Where the package's llama.cpp (v0.5.0, September 2026) is not the one that the estimator describes (July 2026), and
 * where the estimator is known to be off. Such a difference is shown with its reason and does not fail.
 */
export interface KnownDifference {
  part: Part;
  /** GGUF names of the architectures concerned. */
  architectures: readonly string[];
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
  reason: string;
}

const NO_PREDICTION = "newer than July 2026: prediction blocks are loaded and cached only for a context that predicts";
const RUNS_INDEXER = "newer than July 2026: the indexer of GLM is run and its keys are cached";

export const KNOWN_DIFFERENCES: readonly KnownDifference[] = [
  { part: "weights", architectures: ["qwen35", "qwen35moe"], below: 0, above: 0.06, reason: NO_PREDICTION },
  { part: "kv", architectures: ["deepseek32", "mimo2"], below: 0, above: 0.1, reason: NO_PREDICTION },
  { part: "kv", architectures: ["glm-dsa"], below: 0.2, above: 0.02, reason: RUNS_INDEXER },
  { part: "compute", architectures: ["glm-dsa"], below: 0.6, above: 0.05, reason: RUNS_INDEXER },
];

export const KNOWN_REFUSALS: readonly KnownRefusal[] = [
  { architecture: "kimi-k3", reason: "support came after July 2026 and names tensors otherwise" },
];

/** Why an estimate of `ours` for `theirs` is no error; undefined where it is one. */
export function knownReason(subject: Case, part: Part, ours: number, theirs: number): string | undefined {
  const name = subject.architecture.ggufArchitecture ?? "";
  const share = ours / theirs - 1;
  return KNOWN_DIFFERENCES.find(
    (known) =>
      known.part === part &&
      known.architectures.includes(name) &&
      (known.when?.(subject) ?? true) &&
      share >= -known.below &&
      share <= known.above,
  )?.reason;
}

export function knownRefusal(subject: Case): string | undefined {
  return KNOWN_REFUSALS.find(({ architecture }) => architecture === subject.architecture.ggufArchitecture)?.reason;
}
