import { AttentionKind } from "../../../data/prisma/enums.js";
import type { Architecture, Attention, Block } from "../../../estimator/architecture/architecture.js";
import { countParameters } from "../../../estimator/tensors/count-parameters.js";

/** Columns of a model that follow from its architecture. */
export interface ModelColumns {
  parameters: number;
  activeParameters: number;
  contextLength: number;
  attention: AttentionKind;
  /** Routed experts in the layer that has most; 0 for a dense model. */
  experts: number;
  architectureVersion: number;
}

/** Computes what a model's row says besides its architecture. */
export function deriveModelColumns(architecture: Architecture): ModelColumns {
  const { total, active } = countParameters(architecture);
  return {
    parameters: total,
    activeParameters: active,
    contextLength: architecture.contextLength,
    attention: classifyAttention(architecture),
    experts: Math.max(0, ...Object.values(architecture.blocks).map((block) => block.experts?.count ?? 0)),
    architectureVersion: architecture.schemaVersion,
  };
}

/**
 * The kind of attention that a model's cache is known by. Models that mix recurrent layers with attention are
 * hybrids, and one windowed, compressed or latent layer names the model; among plain layers the commonest does.
 */
export function classifyAttention(architecture: Architecture): AttentionKind {
  if (!architecture.hasOutput) return AttentionKind.ENCODER;
  const layers = architecture.layers.flatMap((layer) => architecture.blocks[layer] ?? []);
  const attentions = layers.flatMap((layer) => layer.attention ?? []);
  if (layers.some(isRecurrent)) return attentions.length > 0 ? AttentionKind.HYBRID : AttentionKind.RECURRENT;
  if (attentions.some(({ kind }) => kind === "compressed")) return AttentionKind.COMPRESSED;
  const latent = attentions.filter((attention) => attention.kind === "latent");
  if (latent.length > 0) {
    return latent.some(({ indexer }) => indexer) ? AttentionKind.SPARSE_LATENT : AttentionKind.LATENT;
  }
  if (attentions.some((attention) => attention.kind === "grouped" && attention.window)) {
    return AttentionKind.SLIDING_WINDOW;
  }
  return commonest(attentions.map(classifyHeads));
}

function isRecurrent(block: Block): boolean {
  return block.recurrent !== undefined;
}

function classifyHeads(attention: Attention): AttentionKind {
  if (attention.kind !== "grouped" || attention.kvHeads === attention.heads) return AttentionKind.MULTI_HEAD;
  return attention.kvHeads === 1 ? AttentionKind.MULTI_QUERY : AttentionKind.GROUPED_QUERY;
}

function commonest(kinds: readonly AttentionKind[]): AttentionKind {
  const counts = new Map<AttentionKind, number>();
  for (const kind of kinds) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  const [first] = [...counts].sort(([, left], [, right]) => right - left);
  return first?.[0] ?? AttentionKind.RECURRENT;
}
