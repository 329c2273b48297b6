import { type DocumentNode, Kind, type ObjectTypeDefinitionNode } from "graphql";
import type { Context } from "../context.js";
import { type Role, requireRole, roles } from "../services/access/viewer.js";

/** Name of the directive in the schema. */
const DIRECTIVE = "auth";

type Resolve = (parent: unknown, args: unknown, context: Context, info: unknown) => unknown;

/**
 * Has every field that the schema marks with `@auth(requires:)` ask for the role before its resolver runs: the one
 * place where rights are enforced.
 * @throws Error for a mutation without the directive, so that none can be left open by oversight, and for a marked
 * field without a resolver
 */
export function enforceRoles<Resolvers extends object>(resolvers: Resolvers, schema: DocumentNode): Resolvers {
  const guarded = { ...resolvers } as Record<string, unknown>;
  for (const definition of schema.definitions) {
    if (definition.kind !== Kind.OBJECT_TYPE_DEFINITION) continue;
    const type = definition.name.value;
    const required = rolesOf(definition);
    if (required.size === 0) continue;
    const fields = { ...(guarded[type] as Record<string, Resolve>) };
    for (const [field, role] of required) {
      const resolve = fields[field];
      if (resolve === undefined) throw new Error(`${type}.${field} has no resolver`);
      fields[field] = async (parent, args, context, info) => {
        requireRole(await context.viewer(), role);
        return resolve(parent, args, context, info);
      };
    }
    guarded[type] = fields;
  }
  return guarded as Resolvers;
}

/** The roles that a type's fields are marked with. */
function rolesOf({ name, fields = [] }: ObjectTypeDefinitionNode): Map<string, Role> {
  const found = new Map<string, Role>();
  for (const { name: field, directives } of fields) {
    const directive = directives?.find((candidate) => candidate.name.value === DIRECTIVE);
    const value = directive?.arguments?.find((argument) => argument.name.value === "requires")?.value;
    const role = roles.find((candidate) => value?.kind === Kind.ENUM && value.value === candidate);
    if (role !== undefined) found.set(field.value, role);
    else if (name.value === "Mutation") throw new Error(`the mutation ${field.value} does not say who may use it`);
  }
  return found;
}
