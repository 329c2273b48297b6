import { GraphQLError, GraphQLScalarType, Kind, type ValueNode, valueFromASTUntyped } from "graphql";

/** Whole numbers that a JSON number carries without loss. */
export const SafeInt = new GraphQLScalarType<number, number>({
  name: "SafeInt",
  serialize: (value) => requireSafeInteger(value),
  parseValue: (value) => requireSafeInteger(value),
  parseLiteral(node) {
    if (node.kind !== Kind.INT) throw new GraphQLError("SafeInt must be a whole number.", { nodes: node });
    return requireSafeInteger(Number(node.value), node);
  },
});

function requireSafeInteger(value: unknown, node?: ValueNode): number {
  if (typeof value === "number" && Number.isSafeInteger(value)) return value;
  const text = typeof value === "number" ? String(value) : typeof value;
  const message = `SafeInt must be a whole number from -(2^53 - 1) to 2^53 - 1, not ${text}.`;
  throw new GraphQLError(message, node === undefined ? {} : { nodes: node });
}

/** Deepest JSON that is taken: a config.json has four levels, and what walks it further on may recurse. */
const MAX_JSON_DEPTH = 100;

/** Any JSON value that is not nested without end. */
export const JsonValue = new GraphQLScalarType({
  name: "JSON",
  parseValue: checkDepth,
  parseLiteral: (node, variables) => checkDepth(valueFromASTUntyped(node, variables)),
});

function checkDepth(value: unknown): unknown {
  if (!isDeeperThan(value, MAX_JSON_DEPTH)) return value;
  throw new GraphQLError(`JSON must not be nested more than ${MAX_JSON_DEPTH} levels deep.`);
}

function isDeeperThan(value: unknown, limit: number): boolean {
  let level: unknown[] = [value];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > limit) return true;
    level = level.flatMap((item) => (typeof item === "object" && item !== null ? Object.values(item) : []));
  }
  return false;
}

/** Moments in UTC. */
export const DateTime = new GraphQLScalarType<Date, string>({
  name: "DateTime",
  serialize(value) {
    if (value instanceof Date) return value.toISOString();
    throw new GraphQLError("DateTime must be a date.");
  },
  parseValue: (value) => parseMoment(value),
  parseLiteral(node) {
    return parseMoment(node.kind === Kind.STRING ? node.value : null, node);
  },
});

/** Date, time and offset of RFC 3339. */
const rfc3339 = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})$/i;

function parseMoment(value: unknown, node?: ValueNode): Date {
  const moment = typeof value === "string" && rfc3339.test(value) ? new Date(value) : null;
  if (moment === null || Number.isNaN(moment.getTime())) {
    const message = "DateTime must be a moment such as 2026-03-01T12:00:00Z.";
    throw new GraphQLError(message, node === undefined ? {} : { nodes: node });
  }
  return moment;
}
