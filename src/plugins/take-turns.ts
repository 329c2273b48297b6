import { defaultFieldResolver, type GraphQLFieldResolver } from "graphql";
import type { Context } from "../context.js";
import { isTurnOver, nextTurn } from "../services/turns.js";
import { fieldCosts } from "./measure-query.js";

type Resolve = GraphQLFieldResolver<unknown, Context>;

/**
 * Has every field that computes something let other requests in before it begins, in operations of many such fields,
 * and begin no more once nobody waits for the answer.
 */
export function takeTurns<Resolvers extends object>(resolvers: Resolvers): Resolvers {
  const turned = { ...resolvers } as Record<string, Record<string, Resolve>>;
  for (const name of Object.keys(fieldCosts)) {
    const [type = "", field = ""] = name.split(".");
    const resolve = turned[type]?.[field] ?? defaultFieldResolver;
    turned[type] = { ...turned[type], [field]: inTurn(resolve) };
  }
  return turned as Resolvers;
}

function inTurn(resolve: Resolve): Resolve {
  return (parent, args, context, info) => {
    const { work } = context;
    if (!work.isHeavy) return resolve(parent, args, context, info);
    if (isTurnOver()) return nextTurn(work.signal).then(() => resolve(parent, args, context, info));
    work.signal.throwIfAborted();
    return resolve(parent, args, context, info);
  };
}
