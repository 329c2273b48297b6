import {
  type DocumentNode,
  type FieldNode,
  type FragmentDefinitionNode,
  type GraphQLCompositeType,
  type GraphQLField,
  type GraphQLInputType,
  type GraphQLSchema,
  getNamedType,
  getNullableType,
  isCompositeType,
  isInputObjectType,
  isInputType,
  isInterfaceType,
  isListType,
  isObjectType,
  Kind,
  type ObjectValueNode,
  type OperationDefinitionNode,
  type SelectionSetNode,
  type TypeNode,
  typeFromAST,
  type ValueNode,
} from "graphql";
import { DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE } from "../services/connections/connection.js";

/** How large an operation is once its fragments are put in. */
export interface QueryMeasure {
  /** Fields within fields. */
  depth: number;
  /** Fields that are given another name. */
  aliases: number;
  /** Directives such as `@include`, each fragment counted wherever it is used. */
  directives: number;
  /** Items of all lists in the variables together, lists within lists too; free JSON is not looked into. */
  items: number;
  /** Fields written, each fragment counted wherever it is used. */
  fields: number;
  /** Work of the whole in units of one plain object: page sizes multiply what stands below them. */
  cost: number;
}

/**
 * Work of fields that do more than look something up, in units of one object. An estimate lists all tensors of a
 * model, a search of hardware repeats the estimate for every card and system of the catalogue.
 */
export const fieldCosts: Readonly<Record<string, number>> = {
  "Query.estimate": 10,
  "Query.estimates": 10,
  "Model.estimate": 10,
  "Scenario.estimate": 10,
  "Scenario.answer": 10,
  "Scenario.explanation": 10,
  "Scenario.verdict": 10,
  "Scenario.faq": 10,
  "Measurement.estimate": 10,
  "Measurement.comparisons": 10,
  "Measurement.error": 10,
  // Every measurement of memory, compared once per version of the catalogue.
  "Query.accuracy": 500,
  // All rows, some megabytes.
  "Query.catalogExport": 1_000,
  // The history is in the database only.
  "Query.catalogChanges": 10,
  "Estimate.accuracy": 2,
  "Scenario.hardware": 200,
  "Estimate.hardware": 200,
  "Query.hardware": 210,
  // Each set that is too small is estimated once more.
  "HardwareFitConnection.nearest": 100,
  "HardwareFitConnection.reason": 100,
  // Every format that the runtime loads, until one fits.
  "Estimate.bestQuantFormat": 50,
  // Every model in every format; what is asked of an item beyond its size takes an estimate of its own.
  "Query.runnable": 1_000,
  "Runnable.estimate": 10,
  "Runnable.maxContext": 10,
  "Runnable.maxSequences": 10,
  "Runnable.plan": 10,
  "Runnable.speed": 10,
  "Runnable.cost": 10,
  // For each cell.
  "Query.compare": 10,
};

/** Fields of any type that ask the database, whatever the row. */
const HISTORY_FIELD = "history";
const HISTORY_COST = 10;

/** Arguments whose length multiplies their field: one result for each item. */
const multiplyingArguments = new Set(["inputs", "ids"]);

/** Lists within an argument that multiply their field: one result for each combination. */
const multiplyingLists: Readonly<Record<string, { argument: string; lists: readonly string[] }>> = {
  "Query.compare": { argument: "input", lists: ["models", "quants", "contexts", "hardware", "runtimes"] },
};

type Variables = Readonly<Record<string, unknown>>;

/** How often the fields of a selection are resolved: those that hold the items of a page more often than the rest. */
interface Times {
  fields: number;
  items: number;
}

const ONCE: Times = { fields: 1, items: 1 };

/** Fields of a connection that stand for each item of the page. */
const itemFields = new Set(["nodes", "edges"]);

interface Walk {
  schema: GraphQLSchema;
  fragments: ReadonlyMap<string, FragmentDefinitionNode>;
  read: (value: ValueNode) => unknown;
  /** The walk ends when there are more fields than this: fragments can multiply them without end. */
  maxFields: number;
  measure: QueryMeasure;
}

/**
 * Measures an operation of a valid document. Introspection counts for nothing: it has limits of its own.
 * @param maxFields the measure is not exact beyond this many fields, only too large
 */
export function measureQuery(
  schema: GraphQLSchema,
  document: DocumentNode,
  operation: OperationDefinitionNode,
  variables: Variables,
  maxFields: number,
): QueryMeasure {
  const walk: Walk = {
    schema,
    fragments: new Map(
      document.definitions.flatMap((definition) =>
        definition.kind === Kind.FRAGMENT_DEFINITION ? [[definition.name.value, definition]] : [],
      ),
    ),
    read: (value) => plainValue(value, variables, operation),
    maxFields,
    measure: {
      depth: 0,
      aliases: 0,
      directives: 0,
      fields: 0,
      items: countItems(schema, operation, variables),
      cost: 0,
    },
  };
  const root = schema.getRootType(operation.operation);
  if (root != null) measureSelections(walk, operation.selectionSet, root, 1, ONCE);
  return walk.measure;
}

function measureSelections(
  walk: Walk,
  { selections }: SelectionSetNode,
  parent: GraphQLCompositeType,
  depth: number,
  times: Times,
): void {
  for (const selection of selections) {
    if (walk.measure.fields > walk.maxFields) return;
    walk.measure.directives += selection.directives?.length ?? 0;
    switch (selection.kind) {
      case Kind.FIELD:
        measureField(walk, selection, parent, depth, times);
        break;
      case Kind.INLINE_FRAGMENT:
        measureSelections(
          walk,
          selection.selectionSet,
          typeNamed(walk, selection.typeCondition?.name.value, parent),
          depth,
          times,
        );
        break;
      case Kind.FRAGMENT_SPREAD: {
        const fragment = walk.fragments.get(selection.name.value);
        if (fragment === undefined) break;
        // A spread is counted too: fragments of nothing but spreads multiply as well.
        walk.measure.fields += 1;
        measureSelections(
          walk,
          fragment.selectionSet,
          typeNamed(walk, fragment.typeCondition.name.value, parent),
          depth,
          times,
        );
        break;
      }
    }
  }
}

function typeNamed(walk: Walk, name: string | undefined, fallback: GraphQLCompositeType): GraphQLCompositeType {
  const type = name === undefined ? undefined : walk.schema.getType(name);
  return isCompositeType(type) ? type : fallback;
}

function measureField(walk: Walk, node: FieldNode, parent: GraphQLCompositeType, depth: number, times: Times): void {
  const { measure } = walk;
  const name = node.name.value;
  measure.fields += 1;
  if (node.alias !== undefined && node.alias.value !== name) measure.aliases += 1;
  const field = isObjectType(parent) || isInterfaceType(parent) ? parent.getFields()[name] : undefined;
  if (field === undefined) return;
  measure.depth = Math.max(measure.depth, depth);
  const type = getNamedType(field.type);
  const cost =
    fieldCosts[`${parent.name}.${name}`] ??
    (name === HISTORY_FIELD ? HISTORY_COST : undefined) ??
    (isCompositeType(type) ? 1 : 0);
  const own = itemFields.has(name) ? times.items : times.fields;
  const { itself, below } = multipliersOf(walk, node, field, parent);
  measure.cost += cost * own * itself;
  if (node.selectionSet !== undefined && isCompositeType(type)) {
    const isPage = isObjectType(type) && [...itemFields].every((item) => type.getFields()[item] !== undefined);
    const belowIt = isPage ? { fields: own, items: own * below } : { fields: own * below, items: own * below };
    measureSelections(walk, node.selectionSet, type, depth + 1, belowIt);
  }
}

/** How often a field's own work and what stands below it are done. */
function multipliersOf(
  walk: Walk,
  node: FieldNode,
  field: GraphQLField<unknown, unknown>,
  parent: GraphQLCompositeType,
) {
  const given = (name: string) => {
    const argument = node.arguments?.find((candidate) => candidate.name.value === name);
    return argument === undefined ? undefined : walk.read(argument.value);
  };
  const list = field.args.find((argument) => multiplyingArguments.has(argument.name));
  if (list !== undefined) {
    const items = given(list.name);
    const length = Array.isArray(items) ? items.length : 1;
    return { itself: length, below: length };
  }
  const combined = multiplyingLists[`${parent.name}.${field.name}`];
  if (combined !== undefined) {
    const combinations = combined.lists
      .map((name) => readField(walk, given(combined.argument), name))
      .reduce<number>((product, items) => product * (Array.isArray(items) ? items.length : 1), 1);
    return { itself: combinations, below: combinations };
  }
  const isConnection = field.args.some((argument) => argument.name === "first");
  return { itself: 1, below: isConnection ? pageSize(given("first") ?? given("last")) : 1 };
}

/** Items of lists in the values of an operation's variables, as far as their types have lists. */
function countItems(schema: GraphQLSchema, operation: OperationDefinitionNode, variables: Variables): number {
  let items = 0;
  const count = (value: unknown, type: GraphQLInputType): void => {
    const bare = getNullableType(type);
    if (isListType(bare)) {
      const list = Array.isArray(value) ? value : [value];
      items += list.length;
      for (const item of list) count(item, bare.ofType);
    } else if (isInputObjectType(bare) && typeof value === "object" && value !== null) {
      const fields = bare.getFields();
      for (const [name, content] of Object.entries(value)) {
        if (Object.hasOwn(fields, name) && fields[name] !== undefined) count(content, fields[name].type);
      }
    }
  };
  for (const { variable, type } of operation.variableDefinitions ?? []) {
    const inputType = typeFromAST(schema, type as TypeNode);
    const name = variable.name.value;
    if (isInputType(inputType) && Object.hasOwn(variables, name)) count(variables[name], inputType);
  }
  return items;
}

/** A field of an input object, which is a node of the document or comes from a variable. */
function readField(walk: Walk, object: unknown, name: string): unknown {
  if (typeof object !== "object" || object === null) return undefined;
  if (!isObjectNode(object)) return (object as Variables)[name];
  const field = object.fields.find((candidate) => candidate.name.value === name);
  return field === undefined ? undefined : walk.read(field.value);
}

function isObjectNode(value: object): value is ObjectValueNode {
  return (value as Partial<ObjectValueNode>).kind === Kind.OBJECT;
}

function pageSize(value: unknown): number {
  if (value == null) return DEFAULT_PAGE_SIZE;
  return typeof value === "number" ? Math.min(Math.max(value, 0), MAX_PAGE_SIZE) : MAX_PAGE_SIZE;
}

/** A value as far as it matters here: numbers, lists and variables; everything else is an unknown thing. */
function plainValue(value: ValueNode, variables: Variables, operation: OperationDefinitionNode): unknown {
  switch (value.kind) {
    case Kind.INT:
      return Number(value.value);
    case Kind.NULL:
      return null;
    case Kind.LIST:
      return value.values;
    case Kind.VARIABLE: {
      const name = value.name.value;
      if (Object.hasOwn(variables, name)) return variables[name];
      const fallback = operation.variableDefinitions?.find((definition) => definition.variable.name.value === name);
      return fallback?.defaultValue === undefined ? undefined : plainValue(fallback.defaultValue, variables, operation);
    }
    default:
      return value;
  }
}
