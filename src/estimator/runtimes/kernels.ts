import type { Architecture } from "../architecture/architecture.js";
import type { QuantScheme, UniformStorage } from "../quantization/scheme.js";
import { plainBits } from "./loadable-formats.js";
import { readConstants } from "./version-constants.js";

/**
 * What an engine's kernels make of a storage of weights or cache on a generation of cards: data of the Runtime row
 * (`constants.kernels`), taken from the engine's own tables of supported hardware. What no rule speaks of is not known.
 */
export interface KernelRule {
  /** What it is about, in words: "FP8 weights". Of the rules about one thing the first that holds counts. */
  what: string;
  /** Beginnings of the storage types it is about ("fp8" is fp8-row, too); every run where `cache` is absent as well. */
  storage: readonly string[] | null;
  /** Slugs of the types of cache it is about. */
  cache: readonly string[] | null;
  /** Maker of the cards. */
  vendor: string;
  /** Compute capabilities it holds for, this one not among them; no bound if null. NVIDIA's only. */
  below: number | null;
  /** Least compute capability it holds for. */
  from: number | null;
  /** Chips it holds for, as their maker's compiler names them: "gfx90a". */
  chips: readonly string[] | null;
  /** MISSING: it does not run, or not as it is stored. FALLBACK: it runs, on kernels that are not made for it. */
  verdict: "MISSING" | "FALLBACK";
  /** What it takes to have the kernels, or what becomes of it without: the rest of a sentence. */
  note: string;
}

/** A card as far as kernels go by it. */
export interface KernelCard {
  vendor: string;
  /** "8.9", "gfx942"; null where not known. */
  computeCapability: string | null;
}

/** What of a run kernels have to be for. */
export interface KernelUse {
  /** Storage types of the weights. */
  storage: readonly string[];
  /** Slugs of the types of cache that were asked for. */
  cache: readonly string[];
}

const VERDICTS = ["MISSING", "FALLBACK"] as const;

/**
 * The rules of a Runtime row; none where it has none.
 *
 * @throws EstimateError at `["runtime"]` that names the field at fault.
 */
export function readKernelRules(name: string, constants: unknown): KernelRule[] {
  const row = readConstants({ name, packages: [] }, constants);
  if (!row.has("kernels")) {
    return [];
  }
  return row
    .object("kernels")
    .list("rules")
    .map((rule) => ({
      what: rule.text("what"),
      storage: rule.has("storage") ? rule.texts("storage") : null,
      cache: rule.has("cache") ? rule.texts("cache") : null,
      vendor: rule.text("vendor"),
      below: rule.has("below") ? rule.positive("below") : null,
      from: rule.has("from") ? rule.positive("from") : null,
      chips: rule.has("chips") ? rule.texts("chips") : null,
      verdict: rule.choice("verdict", VERDICTS),
      note: rule.text("note"),
    }));
}

/** The rules that hold for a run on a card, one for each thing that rules speak of. */
export function kernelRulesFor(rules: readonly KernelRule[], card: KernelCard, use: KernelUse): KernelRule[] {
  const found = new Map<string, KernelRule>();
  for (const rule of rules) {
    if (!found.has(rule.what) && isAbout(rule, use) && holdsFor(rule, card)) found.set(rule.what, rule);
  }
  return [...found.values()];
}

function isAbout({ storage, cache }: KernelRule, use: KernelUse): boolean {
  if (storage === null && cache === null) return true;
  const isStored = storage?.some((start) => use.storage.some((type) => type.startsWith(start))) ?? false;
  return isStored || (cache?.some((slug) => use.cache.includes(slug)) ?? false);
}

function holdsFor({ vendor, below, from, chips }: KernelRule, card: KernelCard): boolean {
  if (card.vendor !== vendor || card.computeCapability === null) return false;
  if (chips !== null) return chips.includes(card.computeCapability);
  const capability = Number(card.computeCapability);
  return capability >= (from ?? 0) && capability < (below ?? Number.POSITIVE_INFINITY);
}

/** Storage types that kernels of a serving engine have to be for: those of the quantized matrices the model has. */
export function kernelStorage(scheme: QuantScheme, architecture: Architecture): string[] {
  switch (scheme.kind) {
    case "ggml":
      return plainBits(scheme) === null ? [] : [scheme.fileType.toLowerCase()];
    case "average":
      return [scheme.type];
    case "uniform": {
      const hasExperts = Object.values(architecture.blocks).some(({ experts }) => experts !== undefined);
      const isUsed = (roles: readonly string[]) => hasExperts || roles.some((role) => role !== "EXPERTS");
      const overrides = (scheme.overrides ?? []).filter((one) => !("roles" in one) || isUsed(one.roles));
      const own: UniformStorage[] = isUsed(scheme.quantizedRoles) ? [scheme] : [];
      return [...own, ...overrides].map(({ type }) => type);
    }
  }
}
