import { type ASTNode, GraphQLError, type GraphQLFormattedError, Kind } from "graphql";
import { argumentPathOf, argumentPathOfVariable } from "./argument-path.js";
import { maskError } from "./errors.js";
import type { Log } from "./log.js";

/** Code that errors without one of their own have got by the time they are formatted. */
const UNEXPECTED = "INTERNAL_SERVER_ERROR";

/** Apollo's code of requests that are not sound as HTTP. */
const BAD_REQUEST = "BAD_REQUEST";
const BAD_REQUEST_STATUS = 400;

/** V8's words for a parser that ran out of stack before it ran out of tokens. */
const STACK_OVERFLOW = "Maximum call stack size exceeded";
const PARSE_FAILED = "GRAPHQL_PARSE_FAILED";

/** Longest message: graphql-js repeats the value it refuses, which may be a whole config.json. */
const MAX_MESSAGE_LENGTH = 1_000;

/** Kinds of nodes that graphql-js blames for a value of the wrong type. */
const valueKinds = new Set<string>([
  Kind.INT,
  Kind.FLOAT,
  Kind.STRING,
  Kind.BOOLEAN,
  Kind.NULL,
  Kind.ENUM,
  Kind.LIST,
  Kind.OBJECT,
  Kind.OBJECT_FIELD,
]);

/** The name of a variable and the path below it, in graphql-js's message: `at "input.inputs[1].quant"`. */
const variablePath = /^Variable "\$(\w+)" got invalid value .* at "\1([^"]*)"/s;

/**
 * Makes an error fit for the client: wrong values of arguments get the code BAD_USER_INPUT and the argument's
 * path, whether they stand in the document or in a variable; what nobody foresaw is logged and masked.
 */
export function formatError(formatted: GraphQLFormattedError, error: unknown, log: Log): GraphQLFormattedError {
  if (formatted.message === STACK_OVERFLOW && formatted.extensions?.code === PARSE_FAILED) {
    return { ...formatted, message: "The document is nested too deeply." };
  }
  const blamed = blamedArgument(formatted, error);
  if (blamed !== null) {
    const message = shorten(formatted.message);
    return { ...formatted, message, extensions: { ...formatted.extensions, code: "BAD_USER_INPUT", argument: blamed } };
  }
  // A kind of operation that the schema does not have.
  if (firstNode(error)?.kind === Kind.OPERATION_DEFINITION) {
    return { ...formatted, extensions: { ...formatted.extensions, code: "GRAPHQL_VALIDATION_FAILED" } };
  }
  // Apollo's own refusals of automatic persisted queries have a status and no code.
  if (isBadRequest(error) && formatted.extensions?.code === UNEXPECTED) {
    return { message: `extensions.persistedQuery: ${formatted.message}.`, extensions: { code: BAD_REQUEST } };
  }
  if (formatted.extensions?.code !== UNEXPECTED) return { ...formatted, message: shorten(formatted.message) };
  const masked = maskError();
  log.error(`${masked.id}: ${formatted.message}`, rootOf(error));
  return {
    message: masked.message,
    ...(formatted.path === undefined ? {} : { path: formatted.path }),
    ...(formatted.locations === undefined ? {} : { locations: formatted.locations }),
    extensions: { code: UNEXPECTED, id: masked.id },
  };
}

/** A message with its middle left out when it is long; the reason stands at its end. */
function shorten(message: string): string {
  if (message.length <= MAX_MESSAGE_LENGTH) return message;
  const half = MAX_MESSAGE_LENGTH / 2;
  return `${message.slice(0, half)} ... ${message.slice(-half)}`;
}

/** Whether whoever raised an error takes the client's request for its cause. */
function isBadRequest(error: unknown): boolean {
  const http = error instanceof GraphQLError ? (error.extensions.http as { status?: number } | undefined) : undefined;
  return http?.status === BAD_REQUEST_STATUS;
}

function rootOf(error: unknown): unknown {
  return error instanceof GraphQLError && error.originalError !== undefined ? error.originalError : error;
}

/** What an error blames: a resolver's own error stands at a field, graphql-js refusing a value names the value. */
function firstNode(error: unknown): ASTNode | undefined {
  return error instanceof GraphQLError ? error.nodes?.[0] : undefined;
}

/** The path of the argument whose value graphql-js refused; null for any other error. */
function blamedArgument(formatted: GraphQLFormattedError, error: unknown): string[] | null {
  const node = firstNode(error);
  if (node === undefined) return null;
  if (node.kind === Kind.VARIABLE_DEFINITION) {
    const name = node.variable.name.value;
    const argument = argumentPathOfVariable(node, name) ?? [name];
    const rest = variablePath.exec(formatted.message)?.[2] ?? "";
    return [...argument, ...rest.split(/[.[\]]+/).filter((segment) => segment !== "")];
  }
  return valueKinds.has(node.kind) || node.kind === Kind.VARIABLE ? argumentPathOf(node) : null;
}
