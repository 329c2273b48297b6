import { GraphQLError, type GraphQLFormattedError, Kind } from "graphql";
import { argumentPathOf, argumentPathOfVariable } from "./argument-path.js";
import { maskError } from "./errors.js";
import type { Log } from "./log.js";

/** Code that errors without one of their own have got by the time they are formatted. */
const UNEXPECTED = "INTERNAL_SERVER_ERROR";

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
  const blamed = blamedArgument(error);
  if (blamed !== null) {
    return { ...formatted, extensions: { ...formatted.extensions, code: "BAD_USER_INPUT", argument: blamed } };
  }
  if (formatted.extensions?.code !== UNEXPECTED) return formatted;
  const masked = maskError();
  log.error(`${masked.id}: ${formatted.message}`, rootOf(error));
  return {
    message: masked.message,
    ...(formatted.path === undefined ? {} : { path: formatted.path }),
    ...(formatted.locations === undefined ? {} : { locations: formatted.locations }),
    extensions: { code: UNEXPECTED, id: masked.id },
  };
}

function rootOf(error: unknown): unknown {
  return error instanceof GraphQLError && error.originalError !== undefined ? error.originalError : error;
}

/** The path of the argument whose value graphql-js refused; null for any other error. */
function blamedArgument(error: unknown): string[] | null {
  if (!(error instanceof GraphQLError)) return null;
  const { originalError } = error;
  // A resolver's own error stands at a field; graphql-js refusing an argument at run time names its value.
  if (originalError !== undefined && !(originalError instanceof GraphQLError)) return null;
  const node = (originalError ?? error).nodes?.[0];
  if (node === undefined) return null;
  if (node.kind === Kind.VARIABLE_DEFINITION) {
    const name = node.variable.name.value;
    const argument = argumentPathOfVariable(node, name) ?? [name];
    const rest = variablePath.exec(error.message)?.[2] ?? "";
    return [...argument, ...rest.split(/[.[\]]+/).filter((segment) => segment !== "")];
  }
  return valueKinds.has(node.kind) || node.kind === Kind.VARIABLE ? argumentPathOf(node) : null;
}
