import { makeExecutableSchema } from "@graphql-tools/schema";
import { type ExecutionResult, execute, getOperationAST, parse, validate } from "graphql";
import { describe, expect, it } from "vitest";
import { executePlanned } from "../../src/execution/execute-planned.js";

/** A schema with every way of having, lacking, promising and refusing a value. */
const schema = makeExecutableSchema({
  typeDefs: `
    scalar Odd
    enum Colour { RED GREEN }
    interface Named { name: String! }
    union Thing = Cat | Stone
    type Cat implements Named { name: String! lives: Int! kittens: [Cat!] wild: Boolean weight(unit: String = "kg"): Float }
    type Stone implements Named { name: String! weight: Float }
    input Range { gte: Int = 1 lte: Int }
    input Pick @oneOf { id: Int slug: String }
    type Query {
      cat: Cat
      sureCat: Cat!
      slowCat: Cat
      things(kind: String): [Thing]
      named: [Named!]
      sure: [Thing!]!
      echo(text: String, range: Range, pick: Pick, colours: [Colour!], number: Int! = 7, odd: Odd): Odd
      needs(number: Int!): Int
      colour(of: String): Colour
      fails: String
      failsLate: String
      failsSurely: String!
      failsLateSurely: Cat!
      noList: [Int]
      list: [Int]
      sureList: [Int!]
      lateList: [Int]
      matrix: [[Int!]]
      method(times: Int = 2): Int
      getter: Cat
      throwingGetter: Int
      errorAsValue: Int
      notANumber: Int
      where: [String!]
    }
  `,
  resolvers: {
    Odd: { __serialize: (value: unknown) => (value === "nothing" ? null : value) },
    Named: { __resolveType: ({ kind }: { kind: string }) => kind },
    Thing: {
      __resolveType: ({ kind }: { kind: string }) => {
        if (kind === "bad") throw new Error("no idea what this is");
        return kind === "late" ? Promise.resolve("Stone") : kind;
      },
    },
    Cat: {
      lives: async ({ lives }: { lives: number | null }) => lives,
      weight: ({ weight }: { weight: number }, { unit }: { unit: string }) => (unit === "kg" ? weight : weight * 1_000),
    },
    Query: {
      cat: () => cat("Tom"),
      sureCat: () => null,
      slowCat: async () => cat("Slow"),
      things: () => [
        cat("Tom"),
        { kind: "Stone", name: "flint", weight: 2 },
        null,
        { kind: "bad" },
        { kind: "late", name: "late" },
        { kind: "Query" },
        { kind: "Nobody" },
        { kind: 3 },
      ],
      named: () => [cat("Tom"), Promise.resolve({ kind: "Stone", name: "flint" })],
      sure: () => [cat("Tom"), Promise.reject(new Error("gone"))],
      echo: (_: unknown, args: unknown) => JSON.stringify(args),
      needs: (_: unknown, { number }: { number: number }) => number,
      colour: (_: unknown, { of }: { of: string }) => of,
      fails: () => {
        throw new Error("failed at once");
      },
      failsLate: async () => {
        throw Object.assign(new Error("failed late"), { extensions: { code: "LATE" } });
      },
      failsSurely: () => {
        throw new Error("failed surely");
      },
      failsLateSurely: async () => cat(null),
      noList: () => 5,
      list: () => [1, null, 2.5, Promise.resolve(4), Promise.reject(new Error("item"))],
      sureList: () => [1, null],
      lateList: async () => new Set([1, 2]),
      matrix: () => [[1, 2], [3, null], null],
      where: (
        _: unknown,
        __: unknown,
        ___: unknown,
        info: { path: { key: string }; fieldName: string; parentType: object; variableValues: object },
      ) => [info.path.key, info.fieldName, String(info.parentType), JSON.stringify(info.variableValues)],
    },
  },
});

function cat(name: string | null): object {
  return {
    kind: "Cat",
    name,
    lives: name === "Dead" ? null : 9,
    weight: 4.5,
    wild: "perhaps",
    get kittens() {
      return name === "Tom" ? [cat("Kit"), cat("Dead")] : null;
    },
  };
}

const root = () => ({
  method: ({ times }: { times: number }) => times * 2,
  get getter() {
    return cat("Got");
  },
  get throwingGetter() {
    throw new Error("the getter fails");
  },
  errorAsValue: new Error("returned, not thrown"),
  notANumber: "many",
});

const documents: [name: string, query: string, variables?: Record<string, unknown>][] = [
  [
    "fields, aliases and the type's name",
    "{ a: cat { __typename name n: name weight(unit: $u) } __typename }".replace("$u", '"g"'),
  ],
  ["promises among values", "{ cat { name lives } slowCat { name lives kittens { name } } }"],
  ["null where it must not be", "{ sureCat { name } cat { name } }"],
  ["null deep within lists", "{ cat { kittens { name lives } } }"],
  ["errors of all kinds", '{ fails failsLate noList list sureList matrix colour(of: "BLUE") }'],
  ["an error that takes the whole", "{ cat { name } fails failsLate failsSurely }"],
  ["a late error that takes the whole", "{ fails failsLateSurely { name } list }"],
  ["lists that come late", "{ lateList matrix }"],
  ["unions", "{ things { ... on Cat { name lives } ... on Stone { name heavy: weight } __typename } }"],
  ["interfaces", "{ named { name ... on Cat { lives } ... on Named { name } } }"],
  ["promises that fail within a list", "{ sure { ... on Cat { name } } }"],
  [
    "fragments that overlap",
    "{ cat { ...a ...b name } } fragment a on Cat { name kittens { name } ...b } fragment b on Named { name ... on Cat { kittens { lives } } }",
  ],
  ["a wrong boolean and the same field twice", "{ cat { wild name } cat { weight } }"],
  [
    "introspection",
    '{ __schema { queryType { name } types { name kind fields(includeDeprecated: true) { name args { defaultValue } } } } __type(name: "Cat") { name interfaces { name } } }',
  ],
  ["where a resolver is", "query ($v: Int = 3) { here: where needs(number: $v) }"],
  [
    "arguments without variables",
    '{ echo(text: "t", range: { lte: 3 }, pick: { id: 1 }, colours: RED, odd: { a: [1, 2.5, null, RED] }) }',
  ],
  ["no arguments", "{ echo }"],
  [
    "variables",
    "query ($t: String, $r: Range, $p: Pick, $c: [Colour!], $n: Int) { echo(text: $t, range: $r, pick: $p, colours: $c, number: $n) }",
    { t: "x", r: { gte: null }, p: { slug: "s" }, c: "GREEN", n: 1 },
  ],
  [
    "variables left out",
    "query ($t: String, $r: Range, $c: [Colour!], $n: Int = 4) { echo(text: $t, range: $r, colours: $c, number: $n) }",
  ],
  [
    "null for a variable that may not be null where it stands",
    "query ($n: Int = 4) { needs(number: $n) cat { name } }",
    { n: null },
  ],
  [
    "variables within objects",
    "query ($a: Int, $s: String!) { echo(range: { lte: $a }) b: echo(pick: { slug: $s }) c: echo(odd: { x: [$a] }) }",
    { a: 5, s: "s" },
  ],
  [
    "variables within objects that are left out",
    'query ($a: Int, $s: String! = "d") { echo(range: { gte: $a, lte: $a }) b: echo(pick: { slug: $s }) c: echo(odd: { x: [$a] }) }',
  ],
  [
    "wrong variables",
    "query ($r: Range!, $p: Pick, $c: [Colour!]) { echo(range: $r, pick: $p, colours: $c) }",
    { r: { gte: "a", other: 1 }, p: { id: 1, slug: "s" }, c: ["BLUE"] },
  ],
  ["too many wrong variables", "query ($c: [Colour!]) { echo(colours: $c) }", { c: new Array(99).fill("BLUE") }],
  ["a missing variable", "query ($r: Range!) { echo(range: $r) }"],
  [
    "names of prototypes",
    "query ($constructor: String) { constructor: echo(text: $constructor) toString: cat { name } then: echo hasOwnProperty: fails }",
    { constructor: "c" },
  ],
  ["the prototype itself as an alias", "{ __proto__: cat { name } cat { __proto__: name } }"],
  [
    "methods, getters, errors and wrong values as properties",
    "{ method t: method(times: 5) getter { name } errorAsValue notANumber }",
  ],
  ["a getter that throws", "{ throwingGetter cat { name } }"],
  ["an operation of several", "query A { cat { name } } query B { fails }"],
  ["deeply nested", `{ cat { ${"kittens { ".repeat(12)} name ${"}".repeat(12)} } }`],
];

/** What a resolver of types did wrong is told in other words: clients see neither. */
const wrongType = /possible type|no type that|must resolve to an Object type|that does not exist inside/;

const text = (result: ExecutionResult) =>
  JSON.parse(JSON.stringify(result), (key, value) =>
    key === "message" && wrongType.test(value) ? "a wrong type" : value,
  );

/** What both make of a request; the plan runs twice, since the second run finds it made. */
async function both(query: string, variables: Record<string, unknown> | undefined, operationName?: string) {
  const document = parse(query);
  expect(validate(schema, document)).toEqual([]);
  const plain = await execute({
    schema,
    document,
    variableValues: variables ?? null,
    operationName: operationName ?? null,
    rootValue: root(),
  });
  const run = () =>
    executePlanned({
      schema,
      document,
      operation: getOperationAST(document, operationName) ?? undefined,
      operationName,
      variables,
      context: undefined,
      root: root(),
    });
  return { plain: text(plain), first: text(await run()), second: text(await run()) };
}

describe("a planned query answers as graphql-js does:", () => {
  it.each(documents)("%s", async (_, query, variables) => {
    const operationName = query.startsWith("query A") ? "B" : undefined;
    const { plain, first, second } = await both(query, variables, operationName);
    expect(first).toEqual(plain);
    expect(second).toEqual(plain);
  });

  it("@skip and @include, by variables, everywhere and changing", async () => {
    const query = `query ($a: Boolean!, $b: Boolean = true) {
      cat @include(if: $a) { name @skip(if: $b) lives ...more @include(if: $b) }
      x: cat { ... @skip(if: $a) { name kittens { name @include(if: $b) } } ... on Named @include(if: false) { name } weight }
      ...root
    }
    fragment more on Cat { weight wild @skip(if: $a) }
    fragment root on Query { cat { w: weight } fails @include(if: $a) }`;
    const document = parse(query);
    expect(validate(schema, document)).toEqual([]);
    for (const variables of [
      { a: true },
      { a: false },
      { a: true, b: false },
      { a: false, b: false },
      { a: true, b: null },
      { a: null },
      {},
      { a: true },
    ]) {
      const plain = await execute({ schema, document, variableValues: variables });
      const operation = getOperationAST(document) ?? undefined;
      const planned = await executePlanned({
        schema,
        document,
        operation,
        operationName: null,
        variables,
        context: undefined,
      });
      expect(text(planned)).toEqual(text(plain));
    }
  });

  it("more switches than plans are kept for", async () => {
    const names = Array.from({ length: 6 }, (_, index) => `v${index}`);
    const document = parse(
      `query (${names.map((name) => `$${name}: Boolean!`).join()}) { ${names.map((name) => `${name}: method @skip(if: $${name})`).join(" ")} cat { name } }`,
    );
    const operation = getOperationAST(document) ?? undefined;
    for (let bits = 0; bits < 64; bits += 1) {
      const variables = Object.fromEntries(names.map((name, index) => [name, (bits & (1 << index)) !== 0]));
      const plain = await execute({ schema, document, variableValues: variables, rootValue: root() });
      const planned = await executePlanned({
        schema,
        document,
        operation,
        operationName: null,
        variables,
        context: undefined,
        root: root(),
      });
      expect(text(planned)).toEqual(text(plain));
    }
  });
});
