import { createHash } from "node:crypto";
import { afterEach, describe, expect, it } from "vitest";
import { createPersistedQueries } from "../../src/http/persisted-queries.js";
import { readTrustedDocuments } from "../../src/http/trusted-documents.js";
import { readSchema } from "../../src/server.js";
import { smallCatalogue } from "../api/setup/small-catalogue.js";
import { startServer, type TestServer } from "../api/setup/start-server.js";

const started: TestServer[] = [];
afterEach(async () => {
  for (const server of started.splice(0)) await server.stop();
});

const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");
const persisted = (hash: string) => ({ extensions: { persistedQuery: { version: 1, sha256Hash: hash } } });
const schema = readSchema();

interface Reply {
  status: number;
  data: Record<string, unknown> | undefined;
  code: string | undefined;
}

async function read(response: Response): Promise<Reply> {
  const { data, errors } = (await response.json()) as {
    data?: Record<string, unknown>;
    errors?: { extensions: { code: string } }[];
  };
  return { status: response.status, data, code: errors?.[0]?.extensions.code };
}

const post = async (server: TestServer, body: object) =>
  read(
    await fetch(`${server.url}/graphql`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    }),
  );
const get = async (server: TestServer, parameters: Record<string, string>) =>
  read(
    await fetch(`${server.url}/graphql?${new URLSearchParams(parameters)}`, {
      headers: { "apollo-require-preflight": "1" },
    }),
  );

describe("automatic persisted queries", () => {
  const query = "{ catalogVersion }";

  it("are taken by their hash once they were sent", async () => {
    const server = await startServer(smallCatalogue);
    started.push(server);
    expect(await post(server, persisted(sha256(query)))).toMatchObject({ code: "PERSISTED_QUERY_NOT_FOUND" });
    expect(await post(server, { query, ...persisted(sha256("another")) })).toMatchObject({ status: 400 });
    expect(await post(server, { query, ...persisted(sha256(query)) })).toMatchObject({ data: { catalogVersion: 7 } });
    expect(await post(server, persisted(sha256(query)))).toMatchObject({ data: { catalogVersion: 7 } });
    const { extensions } = persisted(sha256(query));
    expect(await get(server, { extensions: JSON.stringify(extensions) })).toMatchObject({
      data: { catalogVersion: 7 },
    });
  });

  it("of the wrong form are refused as the client's fault", async () => {
    const server = await startServer(smallCatalogue);
    started.push(server);
    for (const persistedQuery of [{ version: 2, sha256Hash: sha256(query) }, 1, {}, { version: 1, sha256Hash: "x" }]) {
      expect(await post(server, { query, extensions: { persistedQuery } })).toMatchObject({
        status: 400,
        code: "BAD_REQUEST",
      });
    }
    expect(server.logged).toEqual([]);
  });

  it("are kept in bounded memory, those used last", async () => {
    const store = createPersistedQueries();
    const text = (index: number) => `{ a${index} }`.padEnd(100_000, " ");
    for (let index = 0; index < 1_000; index++) {
      await store.set(`apq:${index}`, text(index));
      await store.get("apq:0");
    }
    const kept: number[] = [];
    for (let index = 0; index < 1_000; index++) if ((await store.get(`apq:${index}`)) !== undefined) kept.push(index);
    // 32 MiB of texts of 200 kB.
    expect(kept).toHaveLength(167);
    expect(kept[0]).toBe(0);
    expect(kept.slice(1)).toEqual(Array.from({ length: 166 }, (_, index) => 834 + index));
    await store.set("apq:long", " ".repeat(200_000));
    expect(await store.get("apq:long")).toBeUndefined();
  });

  it("of other servers are not taken at their word", async () => {
    const texts = new Map([
      [`apq:${sha256(query)}`, query],
      [`apq:${sha256("{ x }")}`, "{ viewer { name } }"],
    ]);
    const shared = {
      get: async (key: string) => texts.get(key),
      set: () => {},
      addDebts: async () => null,
      close: async () => {},
    };
    const store = createPersistedQueries(shared);
    expect(await store.get(`apq:${sha256(query)}`)).toBe(query);
    expect(await store.get(`apq:${sha256("{ x }")}`)).toBeUndefined();
  });
});

describe("trusted documents", () => {
  const version = "query Version { catalogVersion }";
  const models = "query Models($first: Int) { models(first: $first) { totalCount } }";
  const list = { "relay-1": version, "relay-2": models };
  const manifest = {
    format: "apollo-persisted-query-manifest",
    version: 1,
    operations: [
      { id: "relay-1", name: "Version", type: "query", body: version },
      { id: "relay-2", name: "Models", type: "query", body: models },
    ],
  };

  async function start(documents: object): Promise<TestServer> {
    const server = await startServer(smallCatalogue, {
      protection: { documents: readTrustedDocuments(JSON.stringify(documents), schema) },
      persistedQueries: false,
    });
    started.push(server);
    return server;
  }

  it.each([
    ["an object of texts", list],
    ["a manifest", manifest],
  ])("of %s are executed, by id, by hash and by text", async (_, documents) => {
    const server = await start(documents);
    const data = { catalogVersion: 7 };
    for (const body of [
      { query: version },
      { documentId: "relay-1" },
      { documentId: `sha256:${sha256(version)}` },
      { documentId: sha256(version) },
      { doc_id: "relay-1" },
      persisted(sha256(version)),
      persisted("relay-1"),
      { query: version, ...persisted(sha256(version)) },
    ]) {
      expect(await post(server, body), JSON.stringify(body)).toMatchObject({ status: 200, data });
    }
    expect(await post(server, { documentId: "relay-2", variables: { first: 1 } })).toMatchObject({
      data: { models: { totalCount: 6 } },
    });
    expect(await get(server, { documentId: "relay-1" })).toMatchObject({ status: 200, data });
    expect(await get(server, persistedParameters(sha256(version)))).toMatchObject({ status: 200, data });
    expect(await get(server, { documentId: "relay-2", variables: '{"first":2}' })).toMatchObject({ status: 200 });
  });

  const persistedParameters = (hash: string) => ({ extensions: JSON.stringify(persisted(hash).extensions) });

  it("are the only ones", async () => {
    const server = await start(list);
    const refused = { status: 403, code: "DOCUMENT_NOT_TRUSTED", data: undefined };
    for (const body of [
      { query: "{ catalogVersion }" },
      { query: `${version} ` },
      { query: "{ __schema { types { name } } }" },
      { query: "{ __typename }" },
      { query: "{ catalogVersion }", ...persisted(sha256("{ catalogVersion }")) },
      persisted(sha256("{ catalogVersion }")),
      { documentId: "relay-3" },
      { documentId: "__proto__" },
      { documentId: 1 },
      { documentId: "relay-1", query: "{ catalogVersion }" },
      { documentId: "relay-1", query: models },
      {},
    ]) {
      expect(await post(server, body), JSON.stringify(body)).toEqual(refused);
    }
    expect(await get(server, { query: "{ catalogVersion }" })).toEqual(refused);
    expect(await get(server, {})).toEqual(refused);
    expect(await post(server, [{ query: version }])).toMatchObject({ status: 400 });
    const page = await fetch(`${server.url}/graphql`, { headers: { accept: "text/html" } });
    expect(page.status).toBe(404);
    expect(await page.text()).toMatch(/no playground/);
  });

  it.each([
    ["not JSON", "{", /is not JSON/],
    ["nothing", "{}", /is empty/],
    ["a list", '["{ a }"]', /must be an object of texts by id, or a manifest/],
    ["numbers", '{"a":1}', /must be an object of texts by id/],
    ["another format", '{"format":"x","operations":[]}', /must be an object of texts by id/],
    [
      "a broken manifest",
      '{"format":"apollo-persisted-query-manifest","operations":[{"id":"a"}]}',
      /must be an object/,
    ],
    ["syntax errors", '{"a":"{"}', /document "a" cannot be used: Syntax Error/],
    ["unknown fields", '{"a":"{ nope }"}', /document "a" cannot be used: Cannot query field "nope"/],
  ])("with %s are refused at the start", (_, text, message) => {
    expect(() => readTrustedDocuments(text, schema)).toThrow(message);
  });
});
