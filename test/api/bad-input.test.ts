import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { queryLimits } from "../../src/plugins/query-limits.js";
import { smallCatalogue } from "./setup/small-catalogue.js";
import { startServer, type TestServer } from "./setup/start-server.js";

let server: TestServer;
beforeAll(async () => {
  server = await startServer(smallCatalogue);
});
afterAll(() => server.stop());

/** The first error of a query that must fail, with its code and the argument it blames. */
async function failure(query: string, variables: Record<string, unknown> = {}) {
  const { errors, status } = await server.query(query, variables);
  const error = errors?.[0];
  if (error === undefined) throw new Error("the query succeeded");
  expect(error.extensions).not.toHaveProperty("stacktrace");
  return { status, message: error.message, ...error.extensions };
}

describe("values that make no sense are BAD_USER_INPUT with the argument's path", () => {
  it.each<[string, Record<string, unknown>, string[]]>([
    ["{ models(first: -1) { totalCount } }", {}, ["first"]],
    ["{ models(first: 101) { totalCount } }", {}, ["first"]],
    ["{ models(first: 2147483647) { totalCount } }", {}, ["first"]],
    ["{ models(first: 2147483648) { totalCount } }", {}, ["first"]],
    ["{ models(first: 1.5) { totalCount } }", {}, ["first"]],
    [`{ models(first: "1") { totalCount } }`, {}, ["first"]],
    ["{ models(first: 1, last: 1) { totalCount } }", {}, ["last"]],
    ["query ($n: Int) { models(first: $n) { totalCount } }", { n: 1e10 }, ["first"]],
    ["query ($n: Int) { models(first: $n) { totalCount } }", { n: "1" }, ["first"]],
    [`{ models(after: "garbage") { totalCount } }`, {}, ["after"]],
    [`{ models(before: "") { totalCount } }`, {}, ["before"]],
    [
      "{ models(filter: { parameters: { gte: 9007199254740992 } }) { totalCount } }",
      {},
      ["filter", "parameters", "gte"],
    ],
    ["{ models(filter: { parameters: { gte: 1.5 } }) { totalCount } }", {}, ["filter", "parameters", "gte"]],
    [`{ models(filter: { parameters: { gte: "1" } }) { totalCount } }`, {}, ["filter", "parameters", "gte"]],
    ["{ models(filter: { nope: 1 }) { totalCount } }", {}, ["filter", "nope"]],
    ["{ models(filter: { __proto__: 1 }) { totalCount } }", {}, ["filter", "__proto__"]],
    ["{ models(filter: { attention: [LATENT, NOPE] }) { totalCount } }", {}, ["filter", "attention", "1"]],
    ["{ models(sort: [{ field: NAME }, { field: NOPE }]) { totalCount } }", {}, ["sort", "1", "field"]],
    ["query ($f: ModelFilter) { models(filter: $f) { totalCount } }", { f: { nope: 1 } }, ["filter"]],
    [
      "query ($f: ModelFilter) { models(filter: $f) { totalCount } }",
      { f: { parameters: { gte: 2 ** 53 } } },
      ["filter", "parameters", "gte"],
    ],
    [
      "query ($f: ModelFilter) { models(filter: $f) { totalCount } }",
      { f: { parameters: { gte: Number.MAX_VALUE } } },
      ["filter", "parameters", "gte"],
    ],
    [
      "query ($s: [ModelSort!]) { models(sort: $s) { totalCount } }",
      { s: [{ field: "NAME" }, { field: "NOPE" }] },
      ["sort", "1", "field"],
    ],
    [`{ models(filter: { search: "${"x".repeat(201)}" }) { totalCount } }`, {}, ["filter", "search"]],
    [`{ systems(filter: { gpu: ["nvidia-h100-80gb-sxm", "h1000"] }) { totalCount } }`, {}, ["filter", "gpu", "1"]],
    [`{ nodes(ids: [${'"x",'.repeat(101)}]) { id } }`, {}, ["ids"]],
    [`{ estimate(input: { model: {}, quant: "q4_k_m" }) { fits } }`, {}, ["input", "model"]],
    [`{ estimate(input: { model: { slug: "a", id: "b" }, quant: "q4_k_m" }) { fits } }`, {}, ["input", "model"]],
    [
      `{ estimate(input: { model: { slug: "a" }, quant: "q4_k_m", context: 2147483648 }) { fits } }`,
      {},
      ["input", "context"],
    ],
    [
      `query ($c: Int) { estimate(input: { model: { slug: "a" }, quant: "q4_k_m", context: $c }) { fits } }`,
      { c: null },
      ["input"],
    ],
    [
      "query ($i: EstimateInput!) { estimate(input: $i) { fits } }",
      { i: { model: { slug: "a" }, quant: "q", context: 2 ** 31 } },
      ["input", "context"],
    ],
    ["query ($i: EstimateInput!) { estimate(input: $i) { fits } }", {}, ["input"]],
    [
      "query ($i: [EstimateInput!]!) { estimates(inputs: $i) { __typename } }",
      { i: [{ model: { slug: "a" }, quant: "q" }, { quant: "q" }] },
      ["inputs", "1"],
    ],
  ])("%s %o", async (query, variables, argument) => {
    expect(await failure(query, variables)).toMatchObject({ code: "BAD_USER_INPUT", argument });
  });

  it("names the nearest slugs", async () => {
    const { suggestions, message } = (await failure(
      `{ scenarios(filter: { model: "lama-3.1-8b" }) { totalCount } }`,
    )) as {
      suggestions?: string[];
      message: string;
    };
    expect(suggestions?.[0]).toBe("llama-3.1-8b");
    expect(message).toContain("llama-3.1-8b");
  });

  it("says that a cursor belongs to another sort or list", async () => {
    const { data } = await server.query("{ models(first: 1) { pageInfo { endCursor } } }");
    const after = data.models.pageInfo.endCursor;
    for (const list of ["models(sort: { field: NAME }, after: $after)", "gpus(after: $after)"]) {
      const { code, message } = (await failure(`query ($after: String) { ${list} { totalCount } }`, { after })) as {
        code?: unknown;
        message: string;
      };
      expect(code).toBe("BAD_USER_INPUT");
      expect(message).toMatch(/another list or sort/);
    }
  });

  it("does not send a whole pasted file back", async () => {
    const { message } = await failure("query ($i: EstimateInput!) { estimate(input: $i) { fits } }", {
      i: { model: { slug: "x".repeat(1_000_000), id: "y" }, quant: "q4_k_m" },
    });
    expect(message.length).toBeLessThan(1_100);
    expect(message).toMatch(/one key/);
  });
});

describe("queries that make no sense", () => {
  it.each([
    ["{ nope }", "GRAPHQL_VALIDATION_FAILED"],
    ["{ models(nope: 1) { totalCount } }", "GRAPHQL_VALIDATION_FAILED"],
    ["{ __proto__ }", "GRAPHQL_VALIDATION_FAILED"],
    ["{ models }", "GRAPHQL_VALIDATION_FAILED"],
    ["{ models {", "GRAPHQL_PARSE_FAILED"],
    ["mutation { nope }", "GRAPHQL_VALIDATION_FAILED"],
    ["{ ...a } fragment a on Query { ...b } fragment b on Query { ...a }", "GRAPHQL_VALIDATION_FAILED"],
  ])("%s is %s", async (query, code) => {
    expect(await failure(query)).toMatchObject({ code });
  });
});

describe("queries that ask for too much are refused before they run", () => {
  const nested = (depth: number) => {
    const pair = "related { nodes { ";
    return `{ scenarios { nodes { ${pair.repeat(depth)} slug ${"} } ".repeat(depth)} } } }`;
  };

  it("too deep", async () => {
    expect((await server.query(nested(6).replaceAll("related {", "related(first: 1) {"))).errors).toBeUndefined();
    expect(await failure(nested(7).replaceAll("related {", "related(first: 1) {"))).toMatchObject({
      code: "QUERY_TOO_COMPLEX",
      limit: queryLimits.depth,
    });
  });

  it("too many aliases", async () => {
    const aliased = (count: number) =>
      `{ ${Array.from({ length: count }, (_, i) => `a${i}: catalogVersion`).join(" ")} }`;
    expect((await server.query(aliased(queryLimits.aliases))).errors).toBeUndefined();
    expect(await failure(aliased(queryLimits.aliases + 1))).toMatchObject({ code: "QUERY_TOO_COMPLEX" });
  });

  it("too much work, page sizes in variables counted", async () => {
    const query = `query ($n: Int!) { models(first: $n) { nodes { scenarios(first: $n) { nodes { slug } } } } }`;
    expect((await server.query(query, { n: 20 })).errors).toBeUndefined();
    expect(await failure(query, { n: 100 })).toMatchObject({ code: "QUERY_TOO_COMPLEX", limit: queryLimits.cost });
    expect(await failure(`{ scenarios(first: 100) { nodes { hardware { totalCount } } } }`)).toMatchObject({
      code: "QUERY_TOO_COMPLEX",
    });
  });

  it("fragments that multiply each other", async () => {
    const levels = Array.from({ length: 30 }, (_, i) => `fragment f${i} on Query { ...f${i + 1} ...f${i + 1} }`);
    const query = `{ ...f0 } ${levels.join(" ")} fragment f30 on Query { catalogVersion }`;
    const started = performance.now();
    expect(await failure(query)).toMatchObject({ code: "QUERY_TOO_COMPLEX" });
    expect(performance.now() - started).toBeLessThan(2_000);
  });

  it.each([
    ["nested selections", "{a".repeat(100_000)],
    ["nested lists", `{ models(filter: ${"[".repeat(100_000)}`],
    ["many fields", `{ ${"catalogVersion ".repeat(100_000)} }`],
    ["many equal fields within the limit", `{ ${"catalogVersion ".repeat(4_900)} }`],
  ])("%s without end", async (_, query) => {
    const started = performance.now();
    expect((await failure(query)).message).toMatch(/token|too large|nested too deeply|aborted/i);
    expect(performance.now() - started).toBeLessThan(3_000);
  });

  it("multiplies what stands below the items of a page, not what stands beside them", async () => {
    const costOf = async (fields: string) => {
      const query = `{ models(first: 10) { ${fields} } }`;
      return (await server.query(query, {}, { "x-query-cost": "1" })).extensions?.cost;
    };
    expect(await costOf("nodes { slug }")).toMatchObject({ cost: 1 + 10 });
    expect(await costOf("edges { node { slug } }")).toMatchObject({ cost: 1 + 10 + 10 });
    expect(await costOf("totalCount pageInfo { hasNextPage }")).toMatchObject({ cost: 1 + 1 });
  });

  it("tells the cost to those who ask", async () => {
    const query = `{ models(first: 10) { nodes { slug estimate(quant: "q4_k_m") { fits } } } }`;
    const { extensions } = await server.query(query, {}, { "x-query-cost": "1" });
    expect(extensions).toMatchObject({ cost: { cost: 1 + 10 * (1 + 10), limit: queryLimits.cost } });
    expect((await server.query(query)).extensions).toBeUndefined();
  });
});

describe("the server's own faults", () => {
  it("are masked with an id that the log carries too", async () => {
    const broken = await startServer({
      ...smallCatalogue,
      get models(): never {
        throw new TypeError("secret detail");
      },
    });
    try {
      const { errors, data } = await broken.query(`{ catalogVersion model(slug: "x") { slug } }`);
      const error = errors?.[0];
      expect(data).toEqual({ catalogVersion: 7, model: null });
      expect(error?.extensions).toMatchObject({ code: "INTERNAL_SERVER_ERROR", id: expect.any(String) });
      expect(error?.path).toEqual(["model"]);
      expect(JSON.stringify(errors)).not.toMatch(/secret|stack|TypeError/);
      const logged = broken.logged.find((entry) => entry.message.includes(String(error?.extensions.id)));
      expect(logged?.error).toHaveProperty("message", "secret detail");
    } finally {
      await broken.stop();
    }
  });

  it("are not bad input that a resolver was given", async () => {
    await server.query("{ models(first: -1) { totalCount } }");
    expect(server.logged).toEqual([]);
  });
});
