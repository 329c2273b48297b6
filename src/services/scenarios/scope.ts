import type { ModelRow, QuantFormatRow, ScenarioRow } from "../../data/rows.js";
import type { Architecture, Attention, Block, TensorRole } from "../../estimator/architecture/architecture.js";
import type { KvCacheKind } from "../../estimator/estimate.types.js";
import type { EstimateModel, HardwareFitModel, RuntimeInput } from "../estimation/types.js";
import type { TemplateScope } from "./templates.js";

/** What the scope of a scenario's templates is made from. Functions are called only when a template asks. */
export interface ScenarioFacts {
  scenario: ScenarioRow;
  model: ModelRow;
  quantFormat: QuantFormatRow;
  estimate(): EstimateModel;
  /** Fewest cards first. */
  hardware(): readonly HardwareFitModel[];
}

/** llama.cpp's defaults with one of them changed; the service fills in the rest. */
type ChangedRuntime = { llamaCpp: Partial<NonNullable<RuntimeInput["llamaCpp"]>> } | Pick<RuntimeInput, "ruleOfThumb">;

/** The share that rules of thumb commonly add to weights and cache. */
const COMMON_RULE_OF_THUMB_OVERHEAD = 0.1;

/**
 * Runtimes for comparisons, as values of the filter `estimate`:
 * `{% assign rough = "slug" | estimate: runtime: runtimes.ruleOfThumb %}`.
 */
function describeRuntimes(model: ModelRow): Readonly<Record<string, ChangedRuntime>> {
  return {
    ruleOfThumb: { ruleOfThumb: { overhead: COMMON_RULE_OF_THUMB_OVERHEAD } },
    withoutFlashAttention: { llamaCpp: { flashAttention: false } },
    fullSizeWindows: { llamaCpp: { swaFull: true } },
    expertsOnHost: { llamaCpp: { cpuMoeLayers: model.architecture.layers.length } },
  };
}

/**
 * The words a scenario's templates can use. Sizes are bytes and counts are numbers, to be written with the
 * filters of format.ts.
 */
export function createScope(facts: ScenarioFacts): TemplateScope {
  const { scenario, model, quantFormat } = facts;
  const estimate = once(() => describeEstimate(facts.estimate()));
  const hardware = once(() => facts.hardware().map(describeFit));
  const cache = once(() => describeCache(model.architecture));
  return {
    context: scenario.context,
    sequences: scenario.sequences,
    settings: scenario.settings,
    model: describeModel(model),
    runtimes: describeRuntimes(model),
    quant: { name: quantFormat.name, slug: quantFormat.slug, bitsPerWeight: quantFormat.bitsPerWeight },
    get cache() {
      return cache();
    },
    get estimate() {
      return estimate();
    },
    get hardware() {
      return hardware();
    },
  };
}

function once<Value>(compute: () => Value): () => Value {
  let result: { value: Value } | undefined;
  return () => {
    result ??= { value: compute() };
    return result.value;
  };
}

function describeModel(model: ModelRow): object {
  const experts = Object.values(model.architecture.blocks).find((block) => block.experts)?.experts;
  return {
    name: model.name,
    family: model.family,
    vendor: model.vendor,
    parameters: model.parameters,
    activeParameters: model.activeParameters,
    activeShare: model.activeParameters / model.parameters,
    contextLength: model.contextLength,
    layers: model.architecture.layers.length,
    experts: experts?.count ?? 0,
    expertsUsed: experts?.used ?? 0,
    expertLayers: model.architecture.layers.filter((name) => model.architecture.blocks[name]?.experts).length,
  };
}

/** An estimate in a template's words, all sizes bytes; `maxContext` and `capacity` are null without hardware. */
export function describeEstimate(estimate: EstimateModel): object {
  const { devices, weights, kvCache } = estimate;
  const fullest = devices.reduce((most, device) => Math.max(most, device.total), 0);
  const ofRole = (role: TensorRole) => weights.byRole.find((share) => share.role === role);
  const cacheOf = (...kinds: KvCacheKind[]) =>
    kvCache.layers.filter(({ kind }) => kinds.includes(kind)).reduce((sum, { size }) => sum + size, 0);
  return {
    total: estimate.total,
    weights: weights.size,
    weightsOnDevices: devices.reduce((sum, device) => sum + device.weights, 0),
    expertWeights: ofRole("EXPERTS")?.size ?? 0,
    expertShare: (ofRole("EXPERTS")?.size ?? 0) / weights.size,
    bitsPerWeight: weights.bitsPerWeight,
    parameters: weights.parameters,
    kvCache: kvCache.size,
    kvShare: estimate.total > 0 ? kvCache.size / estimate.total : 0,
    kvBytesPerToken: kvCache.bytesPerToken,
    windowedCache: cacheOf("SLIDING_WINDOW", "CHUNKED"),
    indexerCache: cacheOf("INDEXER"),
    stateCache: cacheOf("RECURRENT"),
    compute: estimate.compute,
    overhead: estimate.overhead,
    host: estimate.host.total,
    hostWeights: estimate.host.weights,
    fullest,
    devices: devices.length,
    capacity: devices.reduce<number | null>(
      (sum, { capacity }) => (sum === null || capacity === null ? null : sum + capacity),
      0,
    ),
    fits: estimate.fits,
    get maxContext() {
      return estimate.maxContext;
    },
  };
}

/** A set of cards in a template's words, all sizes bytes. */
export function describeFit(fit: HardwareFitModel): object {
  const device = fit.devices[0];
  return {
    name: fit.gpu.name,
    slug: fit.gpu.slug,
    vendor: fit.gpu.vendor,
    system: fit.system?.name ?? null,
    count: fit.count,
    label: fit.count === 1 ? `one ${fit.gpu.name}` : `${fit.count} x ${fit.gpu.name}`,
    isOne: fit.count === 1,
    capacity: device?.capacity ?? 0,
    fullest: fit.devices.reduce((most, each) => Math.max(most, each.total), 0),
    headroom: fit.headroom,
    usdPerHour: fit.usdPerHour,
    get maxContext() {
      return fit.maxContext;
    },
  };
}

/** What one layer keeps of a token, for the kind of layer that keeps it longest, and how many layers of which reach. */
function describeCache(architecture: Architecture): object {
  const blocks = architecture.layers
    .map((name) => architecture.blocks[name])
    .filter((block): block is Block => block !== undefined);
  const attentions = blocks.flatMap((block) => block.attention ?? []);
  const widest = attentions.find((attention) => windowOf(attention) === undefined) ?? attentions[0];
  const windowed = attentions.filter((attention) => windowOf(attention) !== undefined);
  return {
    layers: attentions.length,
    fullLayers: attentions.length - windowed.length,
    windowedLayers: windowed.length,
    recurrentLayers: blocks.filter((block) => block.recurrent).length,
    windowTokens: windowed.reduce((most, attention) => Math.max(most, windowOf(attention) ?? 0), 0),
    heads: widest?.heads ?? 0,
    kvHeads: widest?.kind === "grouped" ? widest.kvHeads : 1,
    valuesPerTokenAndLayer: widest ? cachedValues(widest) : 0,
    valuesPerTokenAndLayerUncompressed: widest ? uncompressedValues(widest) : 0,
  };
}

function windowOf(attention: Attention): number | undefined {
  return "window" in attention ? attention.window?.size : undefined;
}

/** Values one layer caches for one token. */
function cachedValues(attention: Attention): number {
  switch (attention.kind) {
    case "grouped":
      return attention.kvHeads * (attention.keyDim + attention.valueDim);
    case "latent":
      return attention.kvRank + attention.ropeDim;
    case "compressed":
      return attention.keyDim;
  }
}

/** Values one layer would cache if every query head kept keys and values of its own. */
function uncompressedValues(attention: Attention): number {
  switch (attention.kind) {
    case "grouped":
      return attention.heads * (attention.keyDim + attention.valueDim);
    case "latent":
      return attention.heads * (attention.nopeDim + attention.ropeDim + attention.valueDim);
    case "compressed":
      return attention.heads * attention.keyDim * 2;
  }
}
