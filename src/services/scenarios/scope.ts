import type { ModelRow, QuantFormatRow, ScenarioRow } from "../../data/rows.js";
import type { Architecture, Attention, Block } from "../../estimator/architecture/architecture.js";
import type { EstimateModel, HardwareFitModel } from "../estimation/types.js";
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
    model: describeModel(model),
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
  };
}

/** An estimate in a template's words, all sizes bytes. */
export function describeEstimate(estimate: EstimateModel): object {
  const fullest = estimate.devices.reduce((most, device) => Math.max(most, device.total), 0);
  return {
    total: estimate.total,
    weights: estimate.weights.size,
    bitsPerWeight: estimate.weights.bitsPerWeight,
    parameters: estimate.weights.parameters,
    kvCache: estimate.kvCache.size,
    kvBytesPerToken: estimate.kvCache.bytesPerToken,
    compute: estimate.compute,
    overhead: estimate.overhead,
    host: estimate.host.total,
    fullest,
    devices: estimate.devices.length,
    fits: estimate.fits,
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
    capacity: device?.capacity ?? 0,
    fullest: fit.devices.reduce((most, each) => Math.max(most, each.total), 0),
    headroom: fit.headroom,
    usdPerHour: fit.usdPerHour,
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
