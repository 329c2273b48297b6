import { connect } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { createMetrics } from "../../src/http/metrics.js";
import { createLog, type LogLevel } from "../../src/log.js";
import { logOperations } from "../../src/log-operations.js";
import type { AnsweredOperation } from "../../src/operation.js";
import { smallCatalogue } from "../api/setup/small-catalogue.js";
import { type ServerOptions, startServer, type TestServer } from "../api/setup/start-server.js";

const started: TestServer[] = [];
afterEach(async () => {
  for (const server of started.splice(0)) await server.stop();
});

/** A server, and what it told of its operations. */
async function start(options: ServerOptions = {}) {
  const operations: AnsweredOperation[] = [];
  const metrics = createMetrics();
  const server = await startServer(smallCatalogue, {
    metrics,
    observers: [(operation) => void operations.push(operation), metrics.countOperation],
    ...options,
  });
  started.push(server);
  return { server, operations, metrics };
}

/** Everything a server's metrics say, by name and labels. */
function readMetrics(text: string): Map<string, number> {
  const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(
    lines.map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.slice(line.lastIndexOf(" ")))]),
  );
}

/** The lines of a log, as objects. */
function createTestLog(level: LogLevel, isForPeople = false) {
  const lines: string[] = [];
  const log = createLog(level, { isForPeople, write: (line) => void lines.push(line) });
  return { log, lines, events: () => lines.map((line) => JSON.parse(line)) };
}

/** A busy machine may take its time. */
const PATIENT = { timeout: 10_000 };

describe("the account of operations", () => {
  it("tells name, kind, cost, status, errors and the request's id of each", async () => {
    const { server, operations } = await start();
    const id = { "x-request-id": "mine" };
    await server.query("query Tiny { catalogVersion gpus(first: 3) { nodes { name } } }", {}, id);
    await server.query("query Wrong { gpu(slug: 3) { name } }");
    await server.query("{ nope }");
    await fetch(`${server.url}/graphql`, {
      method: "POST",
      body: "{",
      headers: { "content-type": "application/json" },
    });
    await expect.poll(() => operations.length).toBe(4);
    const [tiny, wrong, unknown, broken] = operations as [AnsweredOperation, ...AnsweredOperation[]];
    expect(tiny).toMatchObject({ requestId: "mine", name: "Tiny", kind: "query", status: 200, source: "computed" });
    expect(tiny?.cost).toBeGreaterThan(0);
    expect(tiny?.ms).toBeGreaterThan(0);
    expect([...(wrong?.codes ?? [])]).toEqual(["BAD_USER_INPUT"]);
    expect(unknown?.requestId).toMatch(/^[0-9a-f-]{36}$/);
    expect(broken).toMatchObject({ name: null, kind: null, status: 400 });
    expect([...(broken?.codes ?? [])]).toEqual(["BAD_USER_INPUT"]);
  });

  it("knows answers that the client had, persisted queries, and clients that went away", async () => {
    const { server, operations } = await start();
    const address = `${server.url}/graphql?query=${encodeURIComponent("query Again { catalogVersion }")}`;
    const headers = { accept: "application/json", "apollo-require-preflight": "1" };
    const etag = (await fetch(address, { headers })).headers.get("etag") ?? "";
    expect((await fetch(address, { headers: { ...headers, "if-none-match": etag } })).status).toBe(304);
    const socket = connect(Number(new URL(server.url).port), "127.0.0.1");
    socket.write("POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{");
    await expect.poll(() => operations.length, PATIENT).toBe(2);
    await new Promise((resolve) => setTimeout(resolve, 300));
    socket.destroy();
    await expect.poll(() => operations.length, PATIENT).toBe(3);
    expect(operations.map(({ source, status }) => [source, status])).toEqual([
      ["computed", 200],
      ["unchanged", 304],
      ["computed", 499],
    ]);
  });

  it("gives refused requests an id as well", async () => {
    const { server } = await start();
    const response = await fetch(`${server.url}/graphql`, {
      method: "POST",
      body: "{",
      headers: { "content-type": "application/json", "x-request-id": "r-7" },
    });
    expect(response.headers.get("x-request-id")).toBe("r-7");
  });
});

describe("the log", () => {
  const operation = { requestId: "r", name: "Tiny", kind: "query", ms: 1.26, status: 200, cost: 3, source: "computed" };
  const answered = { ...operation, codes: new Set<string>(), errorIds: [] } as unknown as AnsweredOperation;

  it("has a line of JSON for an operation: edits, slow ones and faults at info, the rest at debug", () => {
    const { log, events } = createTestLog("debug");
    const write = logOperations(log);
    write(answered);
    write({ ...answered, kind: "mutation" });
    write({ ...answered, ms: 1_000 });
    write({ ...answered, status: 503, codes: new Set(["TIMEOUT"]) });
    expect(events().map(({ level }) => level)).toEqual(["debug", "info", "info", "info"]);
    expect(events()[0]).toEqual({
      level: "debug",
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
      message: "operation",
      ...operation,
      ms: 1.3,
    });
    expect(events()[3]).toMatchObject({ codes: ["TIMEOUT"] });
  });

  it.each([true, false])("shows its level and those above, and no secrets (for people: %s)", (isForPeople) => {
    const { log, lines } = createTestLog("info", isForPeople);
    const cause = new Error("GET with Bearer s3cret-token.of-somebody failed");
    const error = Object.assign(new Error("postgresql://me:s3cret@db:5432/x is away", { cause }), {
      code: "E1",
      config: { headers: { authorization: "s3cret" } },
    });
    log.debug("not shown");
    log.warn("vramql_0123456789abcdef0123456789abcdef_s3cret", error, {
      token: "s3cret",
      headers: { authorization: "Bearer s3cret", accept: "text/plain" },
    });
    expect(lines).toHaveLength(1);
    expect(lines[0]).not.toMatch(/s3cret|not shown/);
    expect(lines[0]).toMatch(/postgresql:\/\/me:\[hidden\]@db:5432\/x is away/);
    expect(lines[0]).toMatch(/text\/plain/);
    expect(lines[0]?.endsWith("\n")).toBe(true);
  });
});

describe("metrics", () => {
  const read = async (server: TestServer) => readMetrics(await (await fetch(`${server.url}/metrics`)).text());

  it("count operations, latency, errors, answers, statements, and show the catalogue and the process", async () => {
    const { server, operations, metrics } = await start();
    metrics.watchCatalogue({ current: () => smallCatalogue, ageMs: () => 1_500, stale: true });
    metrics.countStatement();
    await server.query("query Tiny { catalogVersion }");
    await server.query("query Tiny { catalogVersion }");
    await server.query("{ nope }");
    await expect.poll(() => operations.length).toBe(3);
    const figures = await read(server);
    expect(figures.get('vramql_operations_total{operation="Tiny",kind="query",status="200"}')).toBe(2);
    expect(figures.get('vramql_operation_duration_seconds_count{operation="Tiny"}')).toBe(2);
    expect(figures.get('vramql_operation_errors_total{code="GRAPHQL_VALIDATION_FAILED"}')).toBe(1);
    expect(figures.get('vramql_answers_total{source="computed"}')).toBe(2);
    expect(figures.get('vramql_answers_total{source="kept"}')).toBe(1);
    expect(figures.get("vramql_sql_statements_total")).toBe(1);
    expect(figures.get("vramql_catalog_version")).toBe(smallCatalogue.version);
    expect(figures.get("vramql_catalog_age_seconds")).toBe(1.5);
    expect(figures.get("vramql_catalog_stale")).toBe(1);
    expect(figures.has("nodejs_eventloop_lag_seconds")).toBe(true);
    expect(figures.get("process_resident_memory_bytes")).toBeGreaterThan(0);
  });

  it("have no more names than there is room for, whatever clients send", async () => {
    const { metrics } = await start();
    const names = [
      null,
      "x".repeat(10_000),
      "constructor",
      ...Array.from({ length: 1_000 }, (_, index) => `Q${index}`),
    ];
    const one = { kind: "query", status: 200, ms: 1, cost: 1, codes: new Set(), source: "computed" };
    for (const name of names) metrics.countOperation({ ...one, name } as unknown as AnsweredOperation);
    const { text } = await metrics.render();
    const shown = [...text.matchAll(/^vramql_operations_total\{operation="([^"]*)".* (\d+)$/gm)];
    expect(shown).toHaveLength(202);
    expect(Object.fromEntries(shown.map(([, name, count]) => [name, count]))).toMatchObject({
      none: "1",
      constructor: "1",
      Q198: "1",
      other: "802",
    });
  });

  it.each([
    ["this machine", {}, {}, 200],
    ["a client through a proxy on this machine", {}, { "x-forwarded-for": "203.0.113.7" }, 404],
    ["the same, pretending", {}, { "x-forwarded-for": "127.0.0.1, 203.0.113.7" }, 404],
    ["nonsense", {}, { "x-forwarded-for": "unknown" }, 404],
    [
      "a listed network through a proxy",
      { metricsFrom: ["loopback", "10.0.0.0/8"] },
      { "x-forwarded-for": "10.1.2.3" },
      200,
    ],
    ["elsewhere", { metricsFrom: ["10.0.0.0/8"] }, {}, 404],
    ["anybody", { metricsFrom: null }, { "x-forwarded-for": "203.0.113.7" }, 200],
  ])("are for those who may read them: %s", async (_, options, headers, status) => {
    const { server } = await start(options);
    const response = await fetch(`${server.url}/metrics`, { headers: headers as Record<string, string> });
    expect(response.status).toBe(status);
  });

  it("are not there when nothing is counted", async () => {
    const server = await startServer(smallCatalogue);
    started.push(server);
    expect((await fetch(`${server.url}/metrics`)).status).toBe(404);
  });
});

describe("a catalogue whose database does not answer", () => {
  it("is served and marked, and the server stays ready", async () => {
    const catalogue = { current: () => smallCatalogue, reach: async () => true, stale: true, ageMs: () => 41_600 };
    const server = await startServer(catalogue);
    started.push(server);
    const answer = await server.query("{ catalogVersion }");
    expect([answer.status, answer.headers.get("x-catalog-stale")]).toEqual([200, "42"]);
    expect((await fetch(`${server.url}/catalog.json`)).headers.get("x-catalog-stale")).toBe("42");
    const ready = await fetch(`${server.url}/readyz`);
    expect([ready.status, await ready.json()]).toEqual([
      200,
      { status: "stale", catalogVersion: smallCatalogue.version, catalogAgeSeconds: 42, database: "unreachable" },
    ]);
    catalogue.stale = false;
    expect((await server.query("{ catalogVersion }")).headers.get("x-catalog-stale")).toBeNull();
  });
});
