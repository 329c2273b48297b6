import type { GpuRow, RuntimeRow } from "../../data/rows.js";
import type { EstimateRequest, EstimateWarning } from "../../estimator/estimate.types.js";
import { EstimateError } from "../../estimator/estimate-error.js";
import { onceFor } from "../../estimator/once-for.js";
import { type KernelRule, kernelRulesFor, kernelStorage, readKernelRules } from "../../estimator/runtimes/kernels.js";
import { isOwnVersion } from "./runtimes.js";

const rulesOf = onceFor((runtime: RuntimeRow) => readKernelRules(runtime.name, runtime.constants));

type Run = Pick<EstimateRequest, "architecture" | "scheme" | "runtime" | "cacheTypeK" | "cacheTypeV">;

/**
 * What the engine's kernels make of a run on a card: what is missing comes first. Nothing is said of other versions of
 * the engine than the newest that the row describes.
 */
export function kernelsOn(gpu: GpuRow, run: Run, runtime: RuntimeRow): KernelRule[] {
  const rules = rulesOf(runtime);
  if (rules.length === 0 || !isOwnVersion(run.runtime, runtime)) return [];
  const cache = [run.cacheTypeK, run.cacheTypeV].flatMap((type) => type?.slug ?? []);
  const use = { storage: kernelStorage(run.scheme, run.architecture), cache };
  return kernelRulesFor(rules, gpu, use).sort((a, b) => Number(isMissing(b)) - Number(isMissing(a)));
}

/** The first rule by which a run does not work on a card; null where none says so. */
export function missingKernel(gpu: GpuRow, run: Run, runtime: RuntimeRow): KernelRule | null {
  return kernelsOn(gpu, run, runtime).find(isMissing) ?? null;
}

/** @throws EstimateError where the engine has no kernels for the run on one of the cards. */
export function requireKernels(gpus: readonly GpuRow[], run: Run, runtime: RuntimeRow): void {
  for (const gpu of new Set(gpus)) {
    const rule = missingKernel(gpu, run, runtime);
    if (rule !== null) throw new EstimateError(describe(rule, gpu, runtime), ["hardware"], "KERNEL_MISSING");
  }
}

/** Warnings of an estimate on cards, each once. */
export function kernelWarnings(gpus: readonly GpuRow[], run: Run, runtime: RuntimeRow): EstimateWarning[] {
  return [...new Set(gpus)].flatMap((gpu) =>
    kernelsOn(gpu, run, runtime).map((rule) => ({
      code: isMissing(rule) ? ("KERNEL_MISSING" as const) : ("KERNEL_FALLBACK" as const),
      message: describe(rule, gpu, runtime),
    })),
  );
}

function isMissing({ verdict }: KernelRule): boolean {
  return verdict === "MISSING";
}

function describe(rule: KernelRule, gpu: GpuRow, { name }: RuntimeRow): string {
  return `${name} has no kernels${isMissing(rule) ? "" : " of its own"} for ${rule.what} on ${gpu.name}: ${rule.note}.`;
}
