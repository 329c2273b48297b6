import type { Order, SortKey } from "../connections/connection.js";
import type { Candidate } from "./model-fits.js";
import type { RunnableSort } from "./types.js";

/**
 * Bits per weight below which a larger model is as a rule no better than a smaller one of the same size in bytes
 * (Dettmers and Zettlemoyer, "The case for 4-bit precision: k-bit inference scaling laws", arXiv 2212.09720).
 */
const WORTHWHILE_BITS = 4;

/** A candidate that fits, with the figures that orders need. */
export interface RunnableRow extends Candidate {
  /** Longest context that is both possible and trained for; computed only for the order that asks for it. */
  usableContext?: number;
  /** Tokens per second of all sequences together, null where not known; computed only for the order that asks for it. */
  throughput?: number | null;
}

type Key = Omit<SortKey<RunnableRow>, "field">;

const parameters: Key = { direction: "DESC", read: ({ model }) => model.parameters };
const quality: Key = { direction: "DESC", read: ({ quantFormat }) => quantFormat.qualityRank };
const largestModel = [parameters, quality];

const sorts: Readonly<Record<RunnableSort, readonly Key[]>> = {
  BALANCED: [
    { direction: "DESC", read: ({ quantFormat }) => Number(quantFormat.bitsPerWeight >= WORTHWHILE_BITS) },
    ...largestModel,
  ],
  LARGEST_MODEL: largestModel,
  BEST_QUALITY: [quality, parameters],
  MOST_CONTEXT: [{ direction: "DESC", read: ({ usableContext }) => usableContext ?? null }, ...largestModel],
  MOST_HEADROOM: [{ direction: "DESC", read: ({ headroom }) => headroom }, ...largestModel],
  SMALLEST: [{ direction: "ASC", read: ({ total }) => total }, ...largestModel],
  FASTEST: [{ direction: "DESC", read: ({ throughput }) => throughput ?? null }, ...largestModel],
  NEWEST: [{ direction: "DESC", read: ({ model }) => model.releasedOn }, ...largestModel],
};

/** The order of a sort; by slugs where its keys are equal. */
export function orderOf(sort: RunnableSort): Order<RunnableRow> {
  return {
    list: "runnable",
    keys: sorts[sort].map((key, index) => ({ ...key, field: `${sort}.${index}` })),
    idOf: ({ model, quantFormat }) => `${model.slug}/${quantFormat.slug}`,
  };
}
