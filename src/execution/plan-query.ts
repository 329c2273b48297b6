import {
  type DocumentNode,
  defaultTypeResolver,
  type FieldNode,
  type FragmentDefinitionNode,
  type FragmentSpreadNode,
  GraphQLError,
  type GraphQLField,
  GraphQLIncludeDirective,
  type GraphQLLeafType,
  type GraphQLObjectType,
  type GraphQLOutputType,
  type GraphQLResolveInfo,
  type GraphQLSchema,
  GraphQLSkipDirective,
  getArgumentValues,
  getDirectiveValues,
  type InlineFragmentNode,
  isAbstractType,
  isLeafType,
  isListType,
  isNonNullType,
  isObjectType,
  Kind,
  locatedError,
  type OperationDefinitionNode,
  SchemaMetaFieldDef,
  type SelectionSetNode,
  TypeMetaFieldDef,
  TypeNameMetaFieldDef,
  typeFromAST,
  type ValueNode,
} from "graphql";

/**
 * Execution of queries as graphql-js does it, with everything that depends on the document alone worked out once: which
 * fields there are, their types, where their values come from, arguments without variables. What graphql-js does anew for
 * every object of every list costs more than most resolvers.
 *
 * Results and errors are the same as graphql-js's, in the same order (GraphQL specification, October 2021, sections 6.2
 * to 6.4); test/execution compares them.
 */

/** Values of variables, coerced. */
export type Variables = Readonly<Record<string, unknown>>;

/** What one execution of a plan brought. */
export interface Outcome {
  data: Record<string, unknown> | null;
  errors: readonly GraphQLError[];
}

/** A query made ready for a schema, with `@skip` and `@include` decided. */
export interface QueryPlan {
  /** @param root what root fields without a resolver are properties of */
  run(context: unknown, variables: Variables, root?: unknown): Outcome | Promise<Outcome>;
}

/** Where a value stands in the result. */
interface Place {
  readonly prev: Place | undefined;
  readonly key: string | number;
  readonly typename: string | undefined;
}

interface Run {
  readonly sources: Sources;
  readonly context: unknown;
  readonly root: unknown;
  readonly variables: Variables;
  /** Arguments of fields that take variables, by the field's number: the same for every object of a list. */
  readonly args: (Readonly<Record<string, unknown>> | undefined)[];
  readonly errors: GraphQLError[];
  /** Places that were set to null for an error; undefined stands for the whole result. */
  readonly nulled: Set<Place | undefined>;
}

/**
 * Turns what a resolver returned into what is sent, or into the promise of it.
 * @param place absent for leaves, which have nothing below them
 * @throws what is wrong with the value
 */
type Complete = (run: Run, value: unknown, place: Place | undefined, info: GraphQLResolveInfo) => unknown;

interface PlannedField {
  readonly responseName: string;
  readonly nodes: readonly [FieldNode, ...FieldNode[]];
  readonly definition: GraphQLField<unknown, unknown>;
  readonly parentType: GraphQLObjectType;
  /** Null where the value is a property of the parent. */
  readonly resolve: GraphQLField<unknown, unknown>["resolve"] | null;
  /** Arguments that are the same for all requests; null where they take variables. */
  readonly constantArgs: Readonly<Record<string, unknown>> | null;
  readonly number: number;
  /** Nothing stands below it: its place is made only when something is wrong. */
  readonly isLeaf: boolean;
  readonly isNullable: boolean;
  readonly complete: Complete;
}

type Selection = readonly PlannedField[];

/** What a plan is made of. */
interface Sources {
  readonly schema: GraphQLSchema;
  readonly operation: OperationDefinitionNode;
  readonly fragments: Readonly<Record<string, FragmentDefinitionNode>>;
  /** Those of the request the plan is made for; of later ones only the same where `@skip` and `@include` take them. */
  readonly variables: Variables;
  /** Fields planned so far. */
  count: number;
}

/**
 * Plans a query of a valid document. Selections are planned when they are first reached.
 * @param variables coerced; those that `@skip` and `@include` take must be the same whenever the plan runs
 * @returns null for what is no query
 */
export function planQuery(
  schema: GraphQLSchema,
  document: DocumentNode,
  operation: OperationDefinitionNode,
  variables: Variables,
): QueryPlan | null {
  const type = schema.getQueryType();
  if (type == null || operation.operation !== "query") return null;
  const fragments: Record<string, FragmentDefinitionNode> = Object.create(null);
  for (const definition of document.definitions) {
    if (definition.kind === Kind.FRAGMENT_DEFINITION) fragments[definition.name.value] = definition;
  }
  const sources: Sources = { schema, operation, fragments, variables, count: 0 };
  const selection = planSelection(sources, type, [operation.selectionSet]);
  return {
    run(context, given, root) {
      const run: Run = { sources, context, root, variables: given, args: [], errors: [], nulled: new Set() };
      const succeed = (data: unknown) => ({ data: data as Record<string, unknown>, errors: run.errors });
      const fail = (error: unknown) => {
        noteError(run, error as GraphQLError, undefined);
        return { data: null, errors: run.errors };
      };
      try {
        const data = executeSelection(run, selection, root, undefined);
        return isPromise(data) ? data.then(succeed, fail) : succeed(data);
      } catch (error) {
        return fail(error);
      }
    },
  };
}

function planSelection(sources: Sources, type: GraphQLObjectType, sets: readonly SelectionSetNode[]): Selection {
  const fields = new Map<string, [FieldNode, ...FieldNode[]]>();
  const visited = new Set<string>();
  for (const set of sets) collectFields(sources, type, set, fields, visited);
  return [...fields].flatMap(([responseName, nodes]) => planField(sources, type, responseName, nodes) ?? []);
}

function collectFields(
  sources: Sources,
  type: GraphQLObjectType,
  { selections }: SelectionSetNode,
  fields: Map<string, [FieldNode, ...FieldNode[]]>,
  visited: Set<string>,
): void {
  for (const selection of selections) {
    if (!isIncluded(sources, selection)) continue;
    if (selection.kind === Kind.FIELD) {
      const name = (selection.alias ?? selection.name).value;
      const nodes = fields.get(name);
      if (nodes === undefined) fields.set(name, [selection]);
      else nodes.push(selection);
      continue;
    }
    if (selection.kind === Kind.FRAGMENT_SPREAD) {
      const name = selection.name.value;
      if (visited.has(name)) continue;
      visited.add(name);
    }
    const fragment = selection.kind === Kind.INLINE_FRAGMENT ? selection : sources.fragments[selection.name.value];
    if (fragment === undefined || !isOfType(sources, fragment, type)) continue;
    collectFields(sources, type, fragment.selectionSet, fields, visited);
  }
}

function isIncluded({ variables }: Sources, node: FieldNode | FragmentSpreadNode | InlineFragmentNode): boolean {
  if (node.directives === undefined || node.directives.length === 0) return true;
  if (getDirectiveValues(GraphQLSkipDirective, node, variables)?.if === true) return false;
  return getDirectiveValues(GraphQLIncludeDirective, node, variables)?.if !== false;
}

function isOfType(
  { schema }: Sources,
  { typeCondition }: FragmentDefinitionNode | InlineFragmentNode,
  type: GraphQLObjectType,
): boolean {
  if (typeCondition === undefined) return true;
  const condition = typeFromAST(schema, typeCondition);
  return condition === type || (isAbstractType(condition) && schema.isSubType(condition, type));
}

function planField(
  sources: Sources,
  parentType: GraphQLObjectType,
  responseName: string,
  nodes: readonly [FieldNode, ...FieldNode[]],
): PlannedField | null {
  const definition = definitionOf(sources.schema, parentType, nodes[0].name.value);
  if (definition === undefined) return null;
  const { type, resolve } = definition;
  return {
    responseName,
    nodes,
    definition,
    parentType,
    resolve: resolve ?? null,
    constantArgs: constantArgsOf(definition, nodes[0]),
    number: sources.count++,
    isLeaf: isLeafType(isNonNullType(type) ? type.ofType : type),
    isNullable: !isNonNullType(type),
    complete: planCompletion(sources, type, nodes, `${parentType.name}.${definition.name}`),
  };
}

/** The fields that a type has, and those that every type or the root has. */
function definitionOf(
  schema: GraphQLSchema,
  parentType: GraphQLObjectType,
  name: string,
): GraphQLField<unknown, unknown> | undefined {
  if (name === TypeNameMetaFieldDef.name) return TypeNameMetaFieldDef;
  if (parentType === schema.getQueryType()) {
    if (name === SchemaMetaFieldDef.name) return SchemaMetaFieldDef;
    if (name === TypeMetaFieldDef.name) return TypeMetaFieldDef;
  }
  return parentType.getFields()[name];
}

const NO_ARGS: Readonly<Record<string, unknown>> = Object.freeze({});

/** Arguments as they are in every request; null where variables make them, or where they cannot be used. */
function constantArgsOf(definition: GraphQLField<unknown, unknown>, node: FieldNode) {
  if (definition.args.length === 0) return NO_ARGS;
  try {
    // Without variables, whatever takes one is either refused or left out.
    return node.arguments?.some(({ value }) => takesVariables(value)) ? null : readArgs(definition, node, {});
  } catch {
    return null;
  }
}

function takesVariables(value: ValueNode): boolean {
  switch (value.kind) {
    case Kind.VARIABLE:
      return true;
    case Kind.LIST:
      return value.values.some(takesVariables);
    case Kind.OBJECT:
      return value.fields.some((field) => takesVariables(field.value));
    default:
      return false;
  }
}

/** Arguments are shared by all calls they are the same for: none may change them. */
function readArgs(definition: GraphQLField<unknown, unknown>, node: FieldNode, variables: Variables) {
  return Object.freeze(getArgumentValues(definition, node, variables));
}

function planCompletion(
  sources: Sources,
  type: GraphQLOutputType,
  nodes: readonly FieldNode[],
  coordinate: string,
): Complete {
  if (isNonNullType(type)) {
    const complete = planCompletion(sources, type.ofType, nodes, coordinate);
    return (run, value, place, info) => {
      // What is not there is known at once; what is promised here is a value.
      const completed = complete(run, value, place, info);
      if (completed === null) throw new Error(`Cannot return null for non-nullable field ${coordinate}.`);
      return completed;
    };
  }
  const complete = planPresent(sources, type, nodes, coordinate);
  return (run, value, place, info) => {
    if (value == null) return null;
    if (value instanceof Error) throw value;
    return complete(run, value, place, info);
  };
}

/** Completion of values that are there. */
function planPresent(
  sources: Sources,
  type: GraphQLOutputType,
  nodes: readonly FieldNode[],
  coordinate: string,
): Complete {
  if (isLeafType(type)) return (_, value) => serialize(type, value);
  if (isListType(type)) return planList(sources, type.ofType, nodes, coordinate);
  const sets = nodes.flatMap(({ selectionSet }) => selectionSet ?? []);
  if (isObjectType(type)) return planObject(sources, type, nodes, sets);
  if (!isAbstractType(type)) throw new Error(`${coordinate} is of no type that can be sent`);
  const ofTypes = new Map<string, Complete>();
  const completeAs = (run: Run, name: unknown, value: unknown, place: Place | undefined, info: GraphQLResolveInfo) => {
    const known = typeof name === "string" ? ofTypes.get(name) : undefined;
    if (known !== undefined) return known(run, value, place, info);
    const found = typeof name === "string" ? sources.schema.getType(name) : undefined;
    if (!isObjectType(found) || !sources.schema.isSubType(type, found)) {
      throw new GraphQLError(`"${String(name)}" is no type that ${coordinate}, which is ${type.name}, can have.`, {
        nodes,
      });
    }
    const complete = planObject(sources, found, nodes, sets);
    ofTypes.set(found.name, complete);
    return complete(run, value, place, info);
  };
  return (run, value, place, info) => {
    const name = (type.resolveType ?? defaultTypeResolver)(value, run.context, info, type);
    return isPromise(name)
      ? name.then((settled) => completeAs(run, settled, value, place, info))
      : completeAs(run, name, value, place, info);
  };
}

function serialize(type: GraphQLLeafType, value: unknown): unknown {
  const serialized = type.serialize(value);
  if (serialized != null) return serialized;
  throw new Error(`A value of ${type.name} must not become ${String(serialized)}.`);
}

function planObject(
  sources: Sources,
  type: GraphQLObjectType,
  nodes: readonly FieldNode[],
  sets: readonly SelectionSetNode[],
): Complete {
  let planned: Selection | undefined;
  const execute: Complete = (run, value, place) => {
    planned ??= planSelection(sources, type, sets);
    return executeSelection(run, planned, value, place);
  };
  const { isTypeOf } = type;
  if (isTypeOf == null) return execute;
  return (run, value, place, info) => {
    const require = (isOfIt: boolean) => {
      if (!isOfIt) throw new GraphQLError(`Expected a value of type "${type.name}".`, { nodes });
      return execute(run, value, place, info);
    };
    const answer = isTypeOf(value, run.context, info);
    return isPromise(answer) ? answer.then(require) : require(answer);
  };
}

function planList(
  sources: Sources,
  itemType: GraphQLOutputType,
  nodes: readonly FieldNode[],
  coordinate: string,
): Complete {
  const complete = planCompletion(sources, itemType, nodes, coordinate);
  const isNullable = !isNonNullType(itemType);
  return (run, list, place, info) => {
    if (typeof list !== "object" || list === null || !(Symbol.iterator in list)) {
      throw new GraphQLError(`Expected Iterable, but did not find one for field "${coordinate}".`);
    }
    const items: unknown[] = [];
    let hasPromise = false;
    for (const item of list as Iterable<unknown>) {
      const itemPlace: Place = { prev: place, key: items.length, typename: undefined };
      const fail = (error: unknown) => failAt(run, error, nodes, itemPlace, isNullable);
      let completed: unknown;
      try {
        completed = isPromise(item)
          ? item.then((settled) => complete(run, settled, itemPlace, info))
          : complete(run, item, itemPlace, info);
        if (isPromise(completed)) {
          hasPromise = true;
          completed = completed.then(undefined, fail);
        }
      } catch (error) {
        completed = fail(error);
      }
      items.push(completed);
    }
    return hasPromise ? Promise.all(items) : items;
  };
}

function executeSelection(run: Run, selection: Selection, source: unknown, place: Place | undefined): unknown {
  const result: Record<string, unknown> = {};
  let hasPromise = false;
  try {
    for (const field of selection) {
      const value = executeField(run, field, source, place);
      result[field.responseName] = value;
      if (isPromise(value)) hasPromise = true;
    }
  } catch (error) {
    if (!hasPromise) throw error;
    // Nothing is left running, and nothing rejects unheard.
    return settleFields(result).finally(() => {
      throw error;
    });
  }
  return hasPromise ? settleFields(result) : result;
}

async function settleFields(result: Record<string, unknown>): Promise<Record<string, unknown>> {
  const names = Object.keys(result);
  const values = await Promise.all(Object.values(result));
  for (const [index, name] of names.entries()) result[name] = values[index];
  return result;
}

function executeField(run: Run, field: PlannedField, source: unknown, parentPlace: Place | undefined): unknown {
  const place = field.isLeaf ? undefined : placeOf(field, parentPlace);
  try {
    const info = new PlannedInfo(run, field, parentPlace, place);
    const value = resolveField(run, field, source, info);
    const completed = isPromise(value)
      ? value.then((settled) => field.complete(run, settled, place, info))
      : field.complete(run, value, place, info);
    if (!isPromise(completed)) return completed;
    return completed.then(undefined, (error: unknown) => failField(run, error, field, place, parentPlace));
  } catch (error) {
    return failField(run, error, field, place, parentPlace);
  }
}

/** What a field's resolver returns; without one, the property of its name, called where it is a method. */
function resolveField(run: Run, field: PlannedField, source: unknown, info: GraphQLResolveInfo): unknown {
  const { resolve, definition } = field;
  if (resolve != null) return resolve(source, argsOf(run, field), run.context, info);
  if ((typeof source !== "object" && typeof source !== "function") || source === null) return undefined;
  const owner = source as Record<string, unknown>;
  const value = owner[definition.name];
  if (typeof value !== "function") return value;
  return value.call(source, argsOf(run, field), run.context, info);
}

function argsOf(run: Run, field: PlannedField): Readonly<Record<string, unknown>> {
  if (field.constantArgs !== null) return field.constantArgs;
  let args = run.args[field.number];
  if (args === undefined) {
    args = readArgs(field.definition, field.nodes[0], run.variables);
    run.args[field.number] = args;
  }
  return args;
}

function placeOf({ responseName, parentType }: PlannedField, prev: Place | undefined): Place {
  return { prev, key: responseName, typename: parentType.name };
}

function failField(run: Run, error: unknown, field: PlannedField, place: Place | undefined, parent: Place | undefined) {
  return failAt(run, error, field.nodes, place ?? placeOf(field, parent), field.isNullable);
}

/**
 * Null for what failed, its error noted; where it must not be null, its parent fails.
 * @throws GraphQLError there
 */
function failAt(run: Run, error: unknown, nodes: readonly FieldNode[], place: Place, isNullable: boolean): null {
  const located = locatedError(error, nodes, keysOf(place));
  if (!isNullable) throw located;
  noteError(run, located, place);
  return null;
}

/** Errors below what has become null already are not told. */
function noteError(run: Run, error: GraphQLError, place: Place | undefined): void {
  if (run.nulled.has(undefined)) return;
  for (let at = place; at !== undefined; at = at.prev) if (run.nulled.has(at)) return;
  run.nulled.add(place);
  run.errors.push(error);
}

function keysOf(place: Place): (string | number)[] {
  const keys: (string | number)[] = [];
  for (let at: Place | undefined = place; at !== undefined; at = at.prev) keys.push(at.key);
  return keys.reverse();
}

function isPromise(value: unknown): value is Promise<unknown> {
  return typeof value === "object" && value !== null && typeof (value as Promise<unknown>).then === "function";
}

/** What resolvers may want to know of where they are called; most do not look, so that it is put together on demand. */
class PlannedInfo implements GraphQLResolveInfo {
  readonly #run: Run;
  readonly #field: PlannedField;
  readonly #parent: Place | undefined;
  #place: Place | undefined;

  constructor(run: Run, field: PlannedField, parent: Place | undefined, place: Place | undefined) {
    this.#run = run;
    this.#field = field;
    this.#parent = parent;
    this.#place = place;
  }

  get fieldName() {
    return this.#field.definition.name;
  }

  get fieldNodes() {
    return this.#field.nodes;
  }

  get returnType() {
    return this.#field.definition.type;
  }

  get parentType() {
    return this.#field.parentType;
  }

  get path() {
    this.#place ??= placeOf(this.#field, this.#parent);
    return this.#place;
  }

  get schema() {
    return this.#run.sources.schema;
  }

  get fragments() {
    return this.#run.sources.fragments;
  }

  get rootValue() {
    return this.#run.root;
  }

  get operation() {
    return this.#run.sources.operation;
  }

  get variableValues() {
    return this.#run.variables;
  }
}
