import { GraphQLError, GraphQLScalarType, Kind, valueFromASTUntyped } from "graphql";

/** Whole numbers that a JSON number carries without loss. */
export const SafeInt = new GraphQLScalarType<number, number>({
  name: "SafeInt",
  serialize: requireSafeInteger,
  parseValue: requireSafeInteger,
  parseLiteral(node) {
    if (node.kind !== Kind.INT) throw new GraphQLError("SafeInt must be a whole number.", { nodes: node });
    return requireSafeInteger(Number(node.value));
  },
});

function requireSafeInteger(value: unknown): number {
  if (typeof value === "number" && Number.isSafeInteger(value)) return value;
  const text = typeof value === "number" ? String(value) : typeof value;
  throw new GraphQLError(`SafeInt must be a whole number from -(2^53 - 1) to 2^53 - 1, not ${text}.`);
}

/** Any JSON value. */
export const JsonValue = new GraphQLScalarType({
  name: "JSON",
  parseValue: (value: unknown) => value,
  parseLiteral(node, variables) {
    return valueFromASTUntyped(node, variables);
  },
});

/** Moments in UTC. */
export const DateTime = new GraphQLScalarType<Date, string>({
  name: "DateTime",
  serialize(value) {
    if (value instanceof Date) return value.toISOString();
    throw new GraphQLError("DateTime must be a date.");
  },
  parseValue: parseMoment,
  parseLiteral(node) {
    return parseMoment(node.kind === Kind.STRING ? node.value : null);
  },
});

/** Date, time and offset of RFC 3339. */
const rfc3339 = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})$/i;

function parseMoment(value: unknown): Date {
  const moment = typeof value === "string" && rfc3339.test(value) ? new Date(value) : null;
  if (moment === null || Number.isNaN(moment.getTime())) {
    throw new GraphQLError("DateTime must be a moment such as 2026-03-01T12:00:00Z.");
  }
  return moment;
}
