import type { ApolloServerPlugin } from "@apollo/server";
import { GraphQLError } from "graphql";
import type { Context } from "../context.js";
import { measureQuery, type QueryMeasure } from "./measure-query.js";

/**
 * What one operation may ask for. Deeper or larger queries have no use that several small ones do not serve, and
 * would let one client keep the others waiting, since estimates are computed on the thread that answers everybody.
 */
export const queryLimits: Readonly<QueryMeasure> = {
  /** The longest path that carries news, scenario to its hardware's devices and their cards' systems, has 12. */
  depth: 16,
  /** A table of ten formats at ten contexts is one query of 100 aliased estimates. */
  aliases: 120,
  /** Conditions on every field of a page; each is looked at again wherever its fragment is used. */
  directives: 200,
  /** A thousand rows of a bulk edit, with up to nine sources, prices or questions each. */
  items: 10_000,
  /** Every field of every type, written once, is under 400. */
  fields: 2_000,
  /** 100 estimates, or 20 scenarios with texts and hardware (20 x 250), with room; a few seconds of computing. */
  cost: 8_000,
};

const words: Record<keyof QueryMeasure, string> = {
  depth: "levels deep",
  aliases: "aliases",
  directives: "directives, those of fragments counted wherever they are used",
  items: "items in the lists of the variables",
  fields: "fields, those of fragments counted wherever they are used",
  cost: "units of work, page sizes multiplying what stands below them",
};

/** Header of requests that want to see what their query costs, in `extensions.cost`. */
const COST_HEADER = "x-query-cost";

/**
 * Refuses operations beyond the limits before they run, has the others wait for their turn, and tells the cost to those
 * who ask.
 */
export const queryLimitsPlugin: ApolloServerPlugin<Context> = {
  async requestDidStart() {
    let measure: QueryMeasure | null = null;
    return {
      async didResolveOperation({ schema, document, operation, request, contextValue }) {
        if (operation === undefined) return;
        measure = measureQuery(schema, document, operation, request.variables ?? {}, queryLimits.fields);
        contextValue.operation.cost = measure.cost;
        requireWithinLimits(measure);
        await contextValue.work.admit({ cost: measure.cost, isMutation: operation.operation === "mutation" });
      },
      async willSendResponse({ request, response }) {
        if (measure === null || response.body.kind !== "single" || !request.http?.headers.get(COST_HEADER)) return;
        const { singleResult } = response.body;
        singleResult.extensions = { ...singleResult.extensions, cost: { ...measure, limit: queryLimits.cost } };
      },
    };
  },
};

/**
 * Looks whether an operation may be answered at all.
 * @throws GraphQLError QUERY_TOO_COMPLEX beyond the limits
 */
export function requireWithinLimits(measure: QueryMeasure): void {
  for (const [key, limit] of Object.entries(queryLimits) as [keyof QueryMeasure, number][]) {
    if (measure[key] > limit) throw tooComplex(key, measure[key], limit);
  }
}

function tooComplex(key: keyof QueryMeasure, actual: number, limit: number): GraphQLError {
  const size = key === "fields" ? `more than ${limit}` : String(actual);
  return new GraphQLError(
    `The query is too large: ${size} ${words[key]}, and ${limit} are allowed. Ask for less, or in several queries.`,
    { extensions: { code: "QUERY_TOO_COMPLEX", [key]: actual, limit, http: { status: 400 } } },
  );
}
