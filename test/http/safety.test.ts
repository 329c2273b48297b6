import { connect, type Socket } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { createBodyBudget } from "../../src/http/body-budget.js";
import { ANONYMOUS, type Viewer } from "../../src/services/access/viewer.js";
import type { Backend } from "../../src/services/backend.js";
import { smallCatalogue } from "../api/setup/small-catalogue.js";
import { noBackend, type ServerOptions, startServer, type TestServer } from "../api/setup/start-server.js";

const started: TestServer[] = [];
afterEach(async () => {
  for (const server of started.splice(0)) await server.stop();
});

async function start(options: ServerOptions = {}): Promise<TestServer> {
  const server = await startServer(smallCatalogue, options);
  started.push(server);
  return server;
}

const portOf = (server: TestServer) => Number(new URL(server.url).port);

describe("connections", () => {
  /** Opens one after the other, and tells which of them are still open. */
  async function open(server: TestServer, count: number): Promise<{ openAtEnd: number; sockets: Socket[] }> {
    const sockets: Socket[] = [];
    const answered = async (socket: Socket) => {
      const reply = new Promise<boolean>((resolve) => {
        socket.once("data", () => resolve(true));
        socket.once("close", () => resolve(false));
        socket.on("error", () => resolve(false));
      });
      socket.write("GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n");
      return reply;
    };
    let openAtEnd = 0;
    for (let index = 0; index < count; index++) {
      const socket = connect(portOf(server), "127.0.0.1");
      sockets.push(socket);
      if (await answered(socket)) openAtEnd++;
    }
    return { openAtEnd, sockets };
  }

  it("of one address are a quarter of all", async () => {
    const server = await start({ maxConnections: 8 });
    const { openAtEnd, sockets } = await open(server, 4);
    expect(openAtEnd).toBe(2);
    for (const socket of sockets) socket.destroy();
    // What was closed makes room.
    await new Promise((resolve) => setTimeout(resolve, 100));
    const again = await open(server, 1);
    expect(again.openAtEnd).toBe(1);
    for (const socket of again.sockets) socket.destroy();
  });

  it("of proxies are as many as there may be", async () => {
    const server = await start({ maxConnections: 8, trustedProxies: ["loopback"] });
    const { openAtEnd, sockets } = await open(server, 10);
    expect(openAtEnd).toBe(8);
    for (const socket of sockets) socket.destroy();
  });

  it("that send a body byte by byte are closed when the time is up", async () => {
    const server = await start();
    // The limit of a whole request, shorter than in earnest.
    server.server.requestTimeout = 1_000;
    server.server.headersTimeout = 500;
    const socket = connect(portOf(server), "127.0.0.1");
    let answer = "";
    socket.on("data", (chunk) => {
      answer += chunk;
    });
    socket.on("error", () => {});
    socket.write(
      "POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 10000\r\n\r\n{",
    );
    const drip = setInterval(() => socket.write(" "), 100);
    await new Promise((resolve) => socket.on("close", resolve));
    clearInterval(drip);
    expect(answer).toMatch(/^HTTP\/1\.1 408/);
    expect((await server.query("{ catalogVersion }")).status).toBe(200);
  });
});

describe("bodies", () => {
  it("take a bounded room together", () => {
    const budget = createBodyBudget();
    const largest = 12 * 2 ** 20;
    for (let count = 0; count < 21; count++) budget.take(largest);
    expect(() => budget.take(largest)).toThrow(expect.objectContaining({ code: "OVERLOADED", status: 503 }));
    budget.give(largest);
    budget.take(largest);
  });
});

describe("queries", () => {
  it("may have 200 directives, those of fragments counted wherever they are used", async () => {
    const server = await start();
    const fields = (count: number) =>
      Array.from({ length: count }, (_, index) => `f${index}: catalogVersion @include(if: true)`).join(" ");
    expect((await server.query(`{ ${fields(100)} }`)).status).toBe(200);
    const spread = `query { ...F @skip(if: false) ${Array.from({ length: 4 }, (_, index) => `g${index}: gpus(first: 1) { nodes { ...G } }`).join(" ")} }
      fragment F on Query { ${fields(50)} } fragment G on Gpu { ${Array.from({ length: 40 }, () => "name @include(if: true)").join(" ")} }`;
    const { errors } = await server.query(spread);
    expect(errors?.[0]?.message).toMatch(/too large: 211 directives/);
    expect(errors?.[0]?.extensions).toMatchObject({ code: "QUERY_TOO_COMPLEX", limit: 200 });
  });

  it("may have 10,000 items in the lists of their variables", async () => {
    const server = await start();
    const query = "query ($v: [String!]) { gpus(filter: { vendor: $v }) { totalCount } }";
    expect((await server.query(query, { v: Array(10_000).fill("NVIDIA") })).errors).toBeUndefined();
    const { errors } = await server.query(query, { v: Array(10_001).fill("NVIDIA") });
    expect(errors?.[0]?.message).toMatch(/too large: 10001 items in the lists of the variables, and 10000 are allowed/);
  });

  it("with fragments that contain themselves are refused", async () => {
    const server = await start();
    const { errors } = await server.query(
      "{ gpus { nodes { ...A } } } fragment A on Gpu { ...B } fragment B on Gpu { ...A }",
    );
    expect(errors?.[0]?.extensions.code).toBe("GRAPHQL_VALIDATION_FAILED");
  });
});

describe("headers", () => {
  const paths = [
    "/",
    "/graphql",
    "/graphql?query={catalogVersion}",
    "/healthz",
    "/readyz",
    "/nope",
    "/playground/x.js",
  ];

  it("of safety are on every route", async () => {
    const server = await start();
    for (const path of paths) {
      for (const method of ["GET", "POST", "OPTIONS", "DELETE"]) {
        const { headers } = await fetch(server.url + path, { method, redirect: "manual" });
        expect(Object.fromEntries(headers), `${method} ${path}`).toMatchObject({
          "x-content-type-options": "nosniff",
          "x-frame-options": "DENY",
          "referrer-policy": "no-referrer",
          "cross-origin-opener-policy": "same-origin",
          "cross-origin-resource-policy": "same-origin",
          "permissions-policy": expect.stringContaining("camera=()"),
          "content-security-policy": expect.stringContaining("default-src 'none'"),
        });
        expect(headers.get("strict-transport-security")).toBeNull();
      }
    }
  });

  it("ask for HTTPS only where people reach the server by it", async () => {
    const server = await start({ isHttps: true });
    for (const path of paths) {
      const { headers } = await fetch(server.url + path, { redirect: "manual" });
      expect(headers.get("strict-transport-security")).toBe("max-age=31536000");
    }
  });
});

describe("the log", () => {
  it("has no secrets of requests in which something goes wrong", async () => {
    const viewer: Viewer = { ...ANONYMOUS, name: "admin", role: "ADMIN", isAnonymous: false };
    // Whoever asks may do everything, and everything fails for reasons that nobody foresaw.
    const backend: Backend = { ...noBackend, access: { ...noBackend.access, identify: async () => viewer } };
    const server = await start({ backend });
    const secrets = ["vramql_0123456789abcdef0123456789abcdef_secret", "secret in a variable", "secret in a query"];
    const [token, variable, literal] = secrets;
    const headers = { authorization: `Bearer ${token}`, cookie: `session=${token}`, "x-request-id": "r1" };
    for (const query of [
      "mutation ($s: String!) { createApiToken(input: { name: $s, role: ADMIN }) { text } }",
      `mutation ($s: ID!) { archiveGpu(id: $s, expectedVersion: 1, comment: "${literal}") { gpu { name } } }`,
      `mutation ($s: ID!) { revokeApiToken(id: $s) { userErrors { message } } nope(a: "${literal}") }`,
      `{ gpu(slug: "${literal}") { nope } }`,
      `{ "${literal}`,
    ]) {
      await server.query(query, { s: variable }, headers);
    }
    const lines = server.logged.map(({ message, error }) => `${message} ${(error as Error | undefined)?.stack}`);
    expect(lines.length).toBeGreaterThan(0);
    for (const secret of secrets) expect(lines.join("\n")).not.toContain(secret);
  });
});
