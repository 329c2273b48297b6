import {
  type GraphQLArgument,
  type GraphQLField,
  type GraphQLNamedType,
  type GraphQLSchema,
  getNamedType,
  isAbstractType,
  isCompositeType,
  isObjectType,
  isRequiredArgument,
} from "graphql";
import { drawOdd, drawValue, toJson, toLiteral, type ValueOptions } from "./values.js";

export interface DocumentOptions extends ValueOptions {
  schema: GraphQLSchema;
  /** Counts the fields of Query and Mutation that were asked for. */
  onRootField?: (name: string) => void;
}

/** A document with its variables as JSON. */
export interface DrawnDocument {
  query: string;
  variables: string;
}

const MAX_DEPTH = 9;
/** Fields of one document: of larger ones, most cost more than one operation may. */
const MAX_FIELDS = 60;

interface Drawing extends DocumentOptions {
  fields: number;
  names: number;
  declarations: string[];
  variables: [string, unknown][];
  fragments: string[];
}

/** Draws an operation with fields, arguments, variables, fragments and directives of the schema. */
export function drawDocument(options: DocumentOptions, operation: "query" | "mutation"): DrawnDocument {
  const { random, schema } = options;
  const drawing: Drawing = { ...options, fields: 0, names: 0, declarations: [], variables: [], fragments: [] };
  const root = operation === "query" ? schema.getQueryType() : schema.getMutationType();
  if (!root) throw new Error(`no ${operation}`);
  const all = Object.values(root.getFields());
  const count = operation === "mutation" ? 1 : random.pick([1, 1, 1, 2, 3]);
  const depth = random.pick([3, 4, 5, 6, MAX_DEPTH]);
  const fields = Array.from({ length: count }, () => {
    const field = random.pick(all);
    options.onRootField?.(field.name);
    return drawField(drawing, field, depth);
  });
  const declared = drawing.declarations.length === 0 ? "" : `(${drawing.declarations.join(" ")})`;
  return {
    query: [`${operation} Drawn${declared} { ${fields.join(" ")} }`, ...drawing.fragments].join("\n"),
    variables: toJson(Object.fromEntries(drawing.variables)),
  };
}

function drawField(drawing: Drawing, field: GraphQLField<unknown, unknown>, depth: number): string {
  drawing.fields++;
  const { random } = drawing;
  const share = random.pick([0, 0.1, 0.4]);
  const given = field.args.filter((argument) => isRequiredArgument(argument) || random.chance(share));
  const written = given.map((argument) => `${argument.name}: ${drawArgument(drawing, field, argument)}`);
  const args = written.length === 0 ? "" : `(${written.join(", ")})`;
  const directive = random.chance(0.03) ? ` @${random.pick(["include", "skip"])}(if: ${random.chance(0.5)})` : "";
  return `n${drawing.names++}: ${field.name}${args}${directive}${drawSelection(drawing, getNamedType(field.type), depth - 1)}`;
}

function drawArgument(drawing: Drawing, field: GraphQLField<unknown, unknown>, argument: GraphQLArgument): string {
  const { random } = drawing;
  const value = drawValue(drawing, argument.type, [field.name, argument.name]);
  if (random.chance(0.4)) return toLiteral(value);
  const name = `v${drawing.names++}`;
  const wrongType = random.chance(drawing.oddness / 4);
  const type = wrongType ? random.pick(["Int", "String!", "[ID]", "Gpu", "NoSuchType"]) : String(argument.type);
  drawing.declarations.push(`$${name}: ${type}`);
  if (!random.chance(drawing.oddness / 4)) drawing.variables.push([name, value]);
  return `$${name}`;
}

function drawSelection(drawing: Drawing, type: GraphQLNamedType, depth: number): string {
  if (!isCompositeType(type)) return "";
  const { random, schema, oddness } = drawing;
  const parts = ["__typename"];
  if (isAbstractType(type)) {
    for (const possible of schema.getPossibleTypes(type)) {
      if (depth > 0 && drawing.fields < MAX_FIELDS && random.chance(0.4)) {
        parts.push(`... on ${possible.name}${drawSelection(drawing, possible, depth - 1)}`);
      }
    }
  }
  const fields = "getFields" in type ? Object.values(type.getFields()) : [];
  const share = random.pick([0.1, 0.3, 0.6]);
  for (const field of fields) {
    const isLeaf = !isCompositeType(getNamedType(field.type));
    if (drawing.fields >= MAX_FIELDS || (!isLeaf && depth <= 0) || !random.chance(share)) continue;
    // Named apart: in fragments of several types, equal names could stand for unlike types.
    parts.push(drawField(drawing, field, depth));
  }
  if (random.chance(oddness / 8)) parts.push(toName(drawOdd(drawing)));
  const selection = `{ ${parts.join(" ")} }`;
  if (!isObjectType(type) || !random.chance(0.1)) return ` ${selection}`;
  const name = `F${drawing.names++}`;
  drawing.fragments.push(`fragment ${name} on ${type.name} ${selection}`);
  return ` { ...${name} }`;
}

/** Something where a field should stand. */
function toName(value: unknown): string {
  return typeof value === "string" ? value.slice(0, 100) : toLiteral(value);
}
