import { readFileSync } from "node:fs";
import { CriticalityLevel, diff } from "@graphql-inspector/core";
import {
  buildSchema,
  type DocumentNode,
  type FieldDefinitionNode,
  type GraphQLField,
  getNamedType,
  type InputValueDefinitionNode,
  isInputObjectType,
  isObjectType,
  Kind,
  type ObjectTypeDefinitionNode,
  parse,
  print,
  type TypeDefinitionNode,
  validateSchema,
  visit,
} from "graphql";
import { describe, expect, it } from "vitest";
import { enforceRoles } from "../../src/resolvers/enforce-roles.js";
import { resolvers } from "../../src/resolvers/resolvers.js";

const read = (name: string) => readFileSync(new URL(name, import.meta.url), "utf8");
const current = read("../../schema.graphql");

/**
 * Breaking changes that were decided on: the path in the schema, such as "Gpu.tdpWatts", and why. An entry goes away
 * with the next update of released.graphql.
 */
const acceptedBreakingChanges: Readonly<Record<string, string>> = {};

type Member = FieldDefinitionNode | InputValueDefinitionNode;

/** Every definition of a document in a comparable form: coordinates to what stands there, descriptions left out. */
function definitionsOf(document: DocumentNode): Map<string, string> {
  const found = new Map<string, string>();
  const addValue = (coordinate: string, value: InputValueDefinitionNode) => {
    const fallback = value.defaultValue === undefined ? "" : ` = ${numberText(print(value.defaultValue))}`;
    found.set(coordinate, print(value.type) + fallback);
  };
  const addMember = (type: string, member: Member) => {
    const coordinate = `${type}.${member.name.value}`;
    if (member.kind === Kind.INPUT_VALUE_DEFINITION) return addValue(coordinate, member);
    found.set(coordinate, print(member.type));
    for (const argument of member.arguments ?? []) addValue(`${coordinate}(${argument.name.value})`, argument);
  };
  for (const definition of document.definitions as readonly TypeDefinitionNode[]) {
    const type = definition.name.value;
    const oneOf = definition.directives?.some((directive) => directive.name.value === "oneOf") ? " @oneOf" : "";
    found.set(type, definition.kind + oneOf);
    if ("fields" in definition) for (const field of definition.fields ?? []) addMember(type, field);
    if ("interfaces" in definition) {
      for (const parent of definition.interfaces ?? []) found.set(`${type} implements ${parent.name.value}`, "");
    }
    if (definition.kind === Kind.ENUM_TYPE_DEFINITION) {
      for (const value of definition.values ?? []) found.set(`${type}.${value.name.value}`, "");
    }
    if (definition.kind === Kind.UNION_TYPE_DEFINITION) {
      for (const member of definition.types ?? []) found.set(`${type} | ${member.name.value}`, "");
    }
  }
  return found;
}

/** The fields of an object type of the current schema. */
function schemaType(name: string): readonly FieldDefinitionNode[] {
  const found = parse(current).definitions.find(
    (definition) => definition.kind === Kind.OBJECT_TYPE_DEFINITION && definition.name.value === name,
  );
  return (found as ObjectTypeDefinitionNode | undefined)?.fields ?? [];
}

/** 0.10 and 0.1 are the same default. */
function numberText(text: string): string {
  return text === "" || Number.isNaN(Number(text)) ? text : String(Number(text));
}

describe("schema.graphql", () => {
  it("is a valid schema", () => {
    expect(validateSchema(buildSchema(current))).toEqual([]);
  });

  it("keeps every name and type that clients rely on", () => {
    const shipped = definitionsOf(parse(current));
    const missing = [...definitionsOf(parse(read("shipped-contract.graphql")))].filter(
      ([coordinate, definition]) => shipped.get(coordinate) !== definition,
    );
    expect(missing.map(([at, wanted]) => `${at}: ${wanted}, not ${shipped.get(at)}`)).toEqual([]);
  });

  it("breaks nothing that was released", async () => {
    const changes = await diff(buildSchema(read("released.graphql")), buildSchema(current));
    const breaking = changes.filter((change) => change.criticality.level === CriticalityLevel.Breaking);
    const unexpected = breaking.filter((change) => !Object.hasOwn(acceptedBreakingChanges, change.path ?? ""));
    expect(unexpected.map((change) => change.message)).toEqual([]);
  });

  it("describes everything, without empty words", () => {
    const bare: string[] = [];
    const types: string[] = [];
    const check = (node: { name: { value: string }; description?: { value: string } | undefined }) => {
      if ((node.description?.value.trim().length ?? 0) < 8) bare.push([...types, node.name.value].join("."));
    };
    const enter = (node: TypeDefinitionNode) => {
      check(node);
      types.push(node.name.value);
    };
    const leave = () => void types.pop();
    visit(parse(current), {
      ScalarTypeDefinition: check,
      UnionTypeDefinition: check,
      ObjectTypeDefinition: { enter, leave },
      InterfaceTypeDefinition: { enter, leave },
      InputObjectTypeDefinition: { enter, leave },
      EnumTypeDefinition: { enter, leave },
      FieldDefinition: check,
      InputValueDefinition: check,
      EnumValueDefinition: check,
    });
    expect(bare).toEqual([]);
  });

  it("says what every scalar of its own is", () => {
    for (const definition of parse(current).definitions) {
      if (definition.kind !== Kind.SCALAR_TYPE_DEFINITION) continue;
      expect(definition.directives?.map((directive) => directive.name.value)).toContain("specifiedBy");
    }
  });

  it("says of every mutation who may use it", () => {
    const mutations = schemaType("Mutation");
    expect(mutations.length).toBeGreaterThanOrEqual(50);
    const open = mutations.filter(
      ({ directives }) =>
        !directives?.some((directive) => /^@auth\(requires: (EDITOR|ADMIN)\)$/.test(print(directive))),
    );
    expect(open.map(({ name }) => name.value)).toEqual([]);
  });

  it("has a resolver for every mutation, and none is left without its directive", () => {
    const names = schemaType("Mutation").map(({ name }) => name.value);
    expect(Object.keys(resolvers.Mutation ?? {}).sort()).toEqual(names.toSorted());
    const bare = parse(current.replace(/(createGpu\([^)]*\): GpuPayload!) @auth\(requires: EDITOR\)/, "$1"));
    expect(() => enforceRoles(resolvers, bare)).toThrow(/createGpu/);
  });

  it("lets every list be searched, and archived rows be seen where there are any", () => {
    const schema = buildSchema(current);
    // What is computed (hardware that fits) is not stored, and history and tokens stay as they are.
    const isArchivable = (list: GraphQLField<unknown, unknown>): boolean => {
      const connection = getNamedType(list.type);
      const node = isObjectType(connection) ? connection.getFields().nodes : undefined;
      const item = node && getNamedType(node.type);
      return isObjectType(item) && Object.hasOwn(item.getFields(), "archivedAt");
    };
    const lists = Object.values(schema.getQueryType()?.getFields() ?? {}).filter((field) =>
      field.args.some((argument) => argument.name === "after"),
    );
    expect(lists.length).toBeGreaterThanOrEqual(8);
    for (const list of lists) {
      const filter = list.args.find((argument) => argument.name === "filter")?.type;
      if (!isInputObjectType(filter)) throw new Error(`${list.name} has no filter`);
      const fields = isArchivable(list) ? ["search", "includeArchived"] : ["search"];
      expect(Object.keys(filter.getFields())).toEqual(expect.arrayContaining(fields));
    }
  });
});
