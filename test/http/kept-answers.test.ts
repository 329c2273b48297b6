import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createKeptAnswers } from "../../src/http/kept-answers.js";
import { smallCatalogue } from "../api/setup/small-catalogue.js";
import { type Editor, startEditors } from "../api/setup/start-editor.js";

const answer = (body: string) => ({
  operation: { name: null, kind: null, persistedQuery: null },
  body,
  headers: [],
  etag: `"${body.length}"`,
});

describe("kept answers", () => {
  it("go with their catalogue, and none is kept for one that has gone", () => {
    const answers = createKeptAnswers();
    expect(answers.find(smallCatalogue, "a")).toBeUndefined();
    answers.keep(smallCatalogue, "a", answer("1"));
    expect(answers.find(smallCatalogue, "a")?.body).toBe("1");
    const next = { ...smallCatalogue, version: smallCatalogue.version + 1 };
    expect(answers.find(next, "a")).toBeUndefined();
    expect(answers.bytes).toBe(0);
    answers.keep(smallCatalogue, "a", answer("late"));
    expect(answers.find(next, "a")).toBeUndefined();
  });

  it("stay below their bound, the ones used longest ago going first, whatever their keys take", () => {
    const most = 100_000;
    const answers = createKeptAnswers(most);
    answers.find(smallCatalogue, "");
    for (let n = 0; n < 1_000; n += 1) {
      answers.keep(smallCatalogue, `${n} ${"k".repeat(500)}`, answer("x".repeat(1_000)));
      answers.find(smallCatalogue, `0 ${"k".repeat(500)}`);
      expect(answers.bytes).toBeLessThanOrEqual(most);
    }
    expect(answers.find(smallCatalogue, `0 ${"k".repeat(500)}`)).toBeDefined();
    expect(answers.find(smallCatalogue, `1 ${"k".repeat(500)}`)).toBeUndefined();
    expect(answers.find(smallCatalogue, `999 ${"k".repeat(500)}`)).toBeDefined();
    answers.keep(smallCatalogue, "large", answer("x".repeat(most)));
    expect(answers.find(smallCatalogue, "large")).toBeUndefined();
  });
});

describe("answers over HTTP", () => {
  let servers: Awaited<ReturnType<typeof startEditors>>;
  let editor: Editor;
  beforeAll(async () => {
    servers = await startEditors("embedded");
    [editor] = servers.editors;
  });
  afterAll(() => servers.stop());

  const QUERY =
    "query Cards($first: Int, $search: String) { gpus(first: $first, filter: { search: $search }) { totalCount nodes { id version name } } }";
  const post = async (body: unknown, headers: Record<string, string> = {}) => {
    const response = await fetch(`${editor.url}/graphql`, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: typeof body === "string" ? body : JSON.stringify(body),
    });
    return { response, text: await response.text() };
  };
  const get = async (
    parts: Record<string, string>,
    headers: Record<string, string> = { "apollo-require-preflight": "1" },
  ) => {
    const response = await fetch(`${editor.url}/graphql?${new URLSearchParams(parts)}`, { headers });
    return { response, text: await response.text() };
  };

  it("are not kept for values nested without end, which are refused as ever", async () => {
    const deep = `${"[".repeat(10_000)}${"]".repeat(10_000)}`;
    const query = `query Deep($config: JSON!) { estimate(input: { model: { huggingFaceConfig: $config }, quant: "f16" }) { fits } }`;
    const { text } = await post(`{"query":${JSON.stringify(query)},"variables":{"config":${deep}}}`);
    expect(JSON.parse(text)).toMatchObject({ errors: [{ extensions: { code: "BAD_USER_INPUT" } }] });
  });

  it("are the same for the same request in any spelling, by POST and GET, with headers of their own", async () => {
    const first = await post({ query: QUERY, variables: { first: 5, search: "" } }, { "x-request-id": "one" });
    const again = await post({ query: QUERY, variables: { first: 5, search: "" } }, { "x-request-id": "two" });
    const turned = await post({ variables: { search: "", first: 5 }, query: QUERY });
    const got = await get({ query: QUERY, variables: '{"first":5,"search":""}' });
    expect(first.text).toMatch(/^\{"data":/);
    expect([again.text, turned.text, got.text]).toEqual([first.text, first.text, first.text]);
    expect([first, again].map(({ response }) => response.headers.get("x-request-id"))).toEqual(["one", "two"]);
    const shared = ["content-type", "x-catalog-version", "vary", "x-content-type-options", "content-security-policy"];
    for (const name of shared) expect(again.response.headers.get(name)).toBe(first.response.headers.get(name));
    expect(again.response.headers.get("cache-control")).toBe("no-store");
    expect(got.response.headers.get("cache-control")).toBe("public, max-age=0, must-revalidate");
    const etag = got.response.headers.get("etag") ?? "";
    const known = await get(
      { query: QUERY, variables: '{"first":5,"search":""}' },
      { "apollo-require-preflight": "1", "if-none-match": etag },
    );
    expect([known.response.status, known.text, known.response.headers.get("etag")]).toEqual([304, "", etag]);
  });

  it("are still refused to a GET that a foreign page could have sent", async () => {
    await get({ query: "{ catalogVersion }" });
    const forged = await get({ query: "{ catalogVersion }" }, {});
    expect(forged.response.status).toBe(400);
    expect(forged.text).toContain("Cross-Site Request Forgery");
  });

  it("come in the type that was asked for", async () => {
    const body = { query: "{ catalogVersion }" };
    const types = ["application/json", "application/graphql-response+json", "text/css"];
    for (const _ of [1, 2]) {
      const answers = [];
      for (const accept of types) answers.push(await post(body, { accept }));
      expect(answers.map(({ response }) => [response.status, response.headers.get("content-type")])).toEqual([
        [200, "application/json; charset=utf-8"],
        [200, "application/graphql-response+json; charset=utf-8"],
        [406, expect.any(String)],
      ]);
    }
  });

  it("tell values of variables apart that look alike", async () => {
    const query = "query ($ids: [ID!]!) { nodes(ids: $ids) { id } }";
    const texts = [];
    for (const ids of [["a"], "a", ["object", ["a", "b"]], { a: "b" }])
      texts.push((await post({ query, variables: { ids } })).text);
    expect(texts[0]).toBe(texts[1]);
    expect(texts[3]).toContain("BAD_USER_INPUT");
  });

  it("with a token are nobody else's", async () => {
    const query = "{ viewer { name role } }";
    for (const _ of [1, 2]) {
      expect((await editor.query(query)).data.viewer).toEqual({ name: "anonymous", role: "VIEWER" });
      expect((await editor.edit(query)).data.viewer).toEqual({ name: "server administrator", role: "ADMIN" });
      expect(
        (await editor.query(query, {}, { authorization: "Bearer no-such-token" })).errors?.[0]?.extensions.code,
      ).toBe("UNAUTHENTICATED");
    }
    const tokens = "{ apiTokens(first: 1) { totalCount } }";
    expect((await editor.edit(tokens)).data.apiTokens.totalCount).toBe(0);
    expect((await editor.query(tokens)).errors?.[0]?.extensions.code).toBe("UNAUTHENTICATED");
    expect((await editor.edit(tokens)).data.apiTokens.totalCount).toBe(0);
  });

  it("are new after an edit, and the history is never an old one", async () => {
    const query = "{ gpus(first: 1) { nodes { id version name history(first: 1) { totalCount } } } }";
    const plain = "{ gpus(first: 1) { nodes { id version name } } }";
    const before = (await editor.query(query)).data.gpus.nodes[0];
    await editor.query(plain);
    const { data } = await editor.edit(
      'mutation ($id: ID!, $version: Int!) { updateGpu(id: $id, expectedVersion: $version, input: { name: "Renamed" }) { gpu { name } userErrors { message } } }',
      { id: before.id, version: before.version },
    );
    expect(data.updateGpu.userErrors).toEqual([]);
    expect((await editor.query(plain)).data.gpus.nodes[0]).toEqual({
      id: before.id,
      version: before.version + 1,
      name: "Renamed",
    });
    expect((await editor.query(query)).data.gpus.nodes[0].history.totalCount).toBe(before.history.totalCount + 1);
  });

  it("show their cost when it is asked for, with an error every time it is one", async () => {
    await editor.query("{ catalogVersion }");
    expect((await editor.query("{ catalogVersion }", {}, { "x-query-cost": "1" })).extensions).toHaveProperty("cost");
    expect((await editor.query("{ catalogVersion }")).extensions).toBeUndefined();
    const failing = { query: "{ gpus(first: -1) { totalCount } }" };
    const ids = [];
    for (const id of ["e1", "e2"]) {
      const { response, text } = await post(failing, { "x-request-id": id });
      expect(text).toMatch(/^\{"errors":/);
      ids.push(response.headers.get("x-request-id"));
    }
    expect(ids).toEqual(["e1", "e2"]);
    const ahead = await editor.query("{ catalogVersion }", {}, { "x-min-catalog-version": "x" });
    expect(ahead.errors?.[0]?.extensions.code).toBe("BAD_USER_INPUT");
  });
});
