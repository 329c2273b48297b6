import {
  type DocumentNode,
  type ExecutionResult,
  execute,
  type GraphQLSchema,
  getVariableValues,
  Kind,
  type OperationDefinitionNode,
  visit,
} from "graphql";
import { type Outcome, planQuery, type QueryPlan, type Variables } from "./plan-query.js";

/** What is executed. */
export interface Execution {
  schema: GraphQLSchema;
  document: DocumentNode;
  /** The operation of the document that was asked for; undefined when there is no such one. */
  operation: OperationDefinitionNode | undefined;
  operationName: string | null | undefined;
  variables: Readonly<Record<string, unknown>> | undefined;
  context: unknown;
  /** What root fields without a resolver are properties of. */
  root?: unknown;
}

/** Plans of one operation by what `@skip` and `@include` are given. */
type Plans = Map<string, QueryPlan | null>;

/**
 * Most plans of one operation: five switches, each on and off. Beyond that graphql-js executes, so that nobody fills
 * the memory with switches.
 */
const MAX_PLANS = 32;

/** Wrong values that are told at once, as many as graphql-js tells by itself. */
const MAX_COERCION_ERRORS = 50;

/** Setting it would change the result object itself instead of one of its fields. */
const IMPOSSIBLE_NAME = "__proto__";

/** An operation with what its plans depend on. */
interface Planned {
  /** Variables that `@skip` and `@include` take. */
  switches: readonly string[];
  plans: Plans;
  isPossible: boolean;
}

/** Plans live as long as their document, and documents as long as the bounded store of the server has them. */
const plannedOperations = new WeakMap<OperationDefinitionNode, Planned>();

/**
 * Executes a valid document: queries by a plan that is made once, everything else, and what cannot be planned, by
 * graphql-js. The result is the same.
 */
export function executePlanned(execution: Execution): ExecutionResult | Promise<ExecutionResult> {
  const { schema, operation, variables, context, root } = execution;
  if (operation?.operation !== "query") return executePlainly(execution);
  const planned = plannedOf(execution.document, operation);
  if (!planned.isPossible) return executePlainly(execution);
  const coerced = getVariableValues(schema, operation.variableDefinitions ?? [], variables ?? {}, {
    maxErrors: MAX_COERCION_ERRORS,
  });
  if (coerced.errors !== undefined) return { errors: coerced.errors };
  const plan = planFor(execution.schema, execution.document, operation, planned, coerced.coerced);
  if (plan === null) return executePlainly(execution);
  const outcome = plan.run(context, coerced.coerced, root);
  return outcome instanceof Promise ? outcome.then(describe) : describe(outcome);
}

function describe({ data, errors }: Outcome): ExecutionResult {
  return errors.length === 0 ? { data } : { errors, data };
}

function executePlainly({ schema, document, operationName, variables, context, root }: Execution) {
  return execute({
    schema,
    document,
    operationName: operationName ?? null,
    variableValues: variables ?? null,
    contextValue: context,
    rootValue: root,
  }) as ExecutionResult | Promise<ExecutionResult>;
}

function plannedOf(document: DocumentNode, operation: OperationDefinitionNode): Planned {
  let planned = plannedOperations.get(operation);
  if (planned === undefined) {
    const switches = new Set<string>();
    let isPossible = true;
    visit(document, {
      Directive({ name, arguments: given }) {
        if (name.value !== "skip" && name.value !== "include") return;
        for (const { value } of given ?? []) if (value.kind === Kind.VARIABLE) switches.add(value.name.value);
      },
      Field({ alias }) {
        if (alias?.value === IMPOSSIBLE_NAME) isPossible = false;
      },
    });
    planned = { switches: [...switches], plans: new Map(), isPossible };
    plannedOperations.set(operation, planned);
  }
  return planned;
}

function planFor(
  schema: GraphQLSchema,
  document: DocumentNode,
  operation: OperationDefinitionNode,
  { switches, plans }: Planned,
  variables: Variables,
): QueryPlan | null {
  const key = switches.map((name) => String(variables[name])).join();
  let plan = plans.get(key);
  if (plan === undefined) {
    if (plans.size >= MAX_PLANS) return null;
    plan = planQuery(schema, document, operation, variables);
    plans.set(key, plan);
  }
  return plan;
}
