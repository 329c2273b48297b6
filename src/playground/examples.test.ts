import { readdirSync, readFileSync } from "node:fs";
import { buildSchema, getVariableValues, Kind, type OperationDefinitionNode, parse, validate } from "graphql";
import { describe, expect, it } from "vitest";
import { edits } from "./edits.js";
import { type Example, examples } from "./examples.js";

const schema = buildSchema(readFileSync(new URL("../../schema.graphql", import.meta.url), "utf8"));

/** Each list with the folder of its documents and what they may be. */
const lists = [
  { folder: "examples", list: examples, operations: ["query"] },
  { folder: "edits", list: edits, operations: ["mutation", "query"] },
];

/** Columns of the query editor on a screen of 1440 pixels, beside the buttons. */
const EDITOR_COLUMNS = 58;

function operationsOf({ query }: Example): OperationDefinitionNode[] {
  return parse(query).definitions.filter((definition) => definition.kind === Kind.OPERATION_DEFINITION);
}

function variablesOf({ variables }: Example): Record<string, unknown> {
  return variables === undefined ? {} : JSON.parse(variables);
}

const all = lists.flatMap(({ list, operations }) => list.map((example) => ({ ...example, operations })));

describe.each(all)("example $name", (example) => {
  it("is a valid query of the schema", () => {
    expect(validate(schema, parse(example.query))).toEqual([]);
  });

  it("has one named operation, which titles its tab", () => {
    expect(operationsOf(example).map(({ name }) => typeof name?.value)).toEqual(["string"]);
    expect(example.operations).toContain(operationsOf(example)[0]?.operation);
  });

  it("brings exactly the variables that the query declares, of the right types", () => {
    const [operation] = operationsOf(example);
    const declared = operation?.variableDefinitions ?? [];
    expect(Object.keys(variablesOf(example)).sort()).toEqual(
      declared.map(({ variable }) => variable.name.value).sort(),
    );
    const { errors = [] } = getVariableValues(schema, declared, variablesOf(example));
    expect(errors.map(({ message }) => message)).toEqual([]);
  });

  it("opens with the question as a comment that fits the width of the editor", () => {
    expect(example.query).toMatch(/^# [^?]+\?\n/);
    const comments = example.query.split("\n").filter((line) => line.startsWith("#"));
    expect(comments.filter((line) => line.length > EDITOR_COLUMNS)).toEqual([]);
  });
});

describe("the list of examples", () => {
  it.each(lists)("uses every file of the folder $folder", ({ folder, list }) => {
    const files = readdirSync(new URL(`./${folder}/`, import.meta.url));
    const named = list.flatMap(({ name, variables }) => [
      `${name}.graphql`,
      ...(variables === undefined ? [] : [`${name}.variables.json`]),
    ]);
    expect(named.sort()).toEqual(files.sort());
  });

  it("gives each tab a title of its own", () => {
    const titles = all.flatMap(operationsOf).map(({ name }) => name?.value);
    expect(new Set(titles).size).toBe(all.length);
  });

  it("edits nothing until it is told to: mutations begin as dry runs", () => {
    const mutations = edits.filter((edit) => operationsOf(edit)[0]?.operation === "mutation");
    expect(mutations.map((edit) => variablesOf(edit).dryRun)).toEqual(mutations.map(() => true));
  });

  it("starts with the question that the project exists for, ready to run", () => {
    expect(examples[0]?.query).toContain('slug: "deepseek-v3-671b-q4-k-m-128k"');
    expect(examples[0]?.variables).toBeUndefined();
  });
});
