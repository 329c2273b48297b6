import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { request as httpRequest } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { auditServer } from "graphql-http";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { MAX_BODY_BYTES } from "../../src/http/read-body.js";
import { smallCatalogue } from "../api/setup/small-catalogue.js";
import { startServer, type TestServer } from "../api/setup/start-server.js";

const allowedOrigin = "https://allowed.example";

let playground: string;
let server: TestServer;
beforeAll(async () => {
  playground = mkdtempSync(join(tmpdir(), "playground-"));
  mkdirSync(join(playground, "assets"));
  writeFileSync(join(playground, "index.html"), "<!doctype html><title>Playground</title>");
  writeFileSync(join(playground, "assets/index-B1a2C3d4.js"), "console.log(1);".repeat(100));
  writeFileSync(join(playground, "favicon.svg"), "<svg/>");
  server = await startServer(smallCatalogue, { corsOrigins: [allowedOrigin], playground });
});
afterAll(async () => {
  await server.stop();
  rmSync(playground, { recursive: true });
});

const get = (path: string, headers: Record<string, string> = {}) =>
  fetch(server.url + path, { headers, redirect: "manual" });
const post = (body: string | Uint8Array, headers: Record<string, string> = {}) =>
  fetch(`${server.url}/graphql`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: body as string,
  });
const version = encodeURIComponent("{ catalogVersion }");
const preflighted = { "apollo-require-preflight": "1" };

/** What `await response.json()` gives when something went wrong. */
interface Failure {
  errors: { message: string; extensions: { code: string } }[];
}

/** Everything a server writes to a raw connection until it ends it. */
function exchange(write: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(Number(new URL(server.url).port), "127.0.0.1");
    let text = "";
    socket.setTimeout(15_000, () => socket.destroy(new Error(`still open after 15 s: ${text}`)));
    socket.on("data", (chunk) => {
      text += chunk;
    });
    socket.on("error", reject);
    socket.on("close", () => resolve(text));
    socket.write(write);
  });
}

describe("GraphQL over HTTP", () => {
  it("passes the audit without errors and warnings; the notices are those of CSRF prevention", async () => {
    const results = await auditServer({ url: `${server.url}/graphql` });
    expect(results.length).toBeGreaterThan(50);
    expect(results.filter((result) => result.status === "error" || result.status === "warn")).toEqual([]);
    const notices = results.filter((result) => result.status === "notice").map((result) => result.id);
    expect(notices.toSorted()).toEqual(["5A70", "6A70", "D6D5"]);
  });

  it("refuses batches, mutations by GET, and methods other than GET and POST", async () => {
    expect((await post('[{"query":"{ catalogVersion }"}]')).status).toBe(400);
    expect((await get(`/graphql?query=${encodeURIComponent("mutation { x }")}`, preflighted)).status).not.toBe(500);
    for (const method of ["PUT", "DELETE", "PATCH"]) {
      const response = await fetch(`${server.url}/graphql`, {
        method,
        headers: { "content-type": "application/json" },
      });
      expect(response.status).toBe(405);
      expect(response.headers.get("allow")).toBe("GET, POST");
    }
  });

  it("names the catalogue version in every response", async () => {
    expect((await post('{"query":"{ catalogVersion }"}')).headers.get("x-catalog-version")).toBe("7");
  });
});

describe("caching", () => {
  it("of GET goes by a tag with the catalogue version in it", async () => {
    const first = await get(`/graphql?query=${version}`, preflighted);
    const etag = first.headers.get("etag");
    expect(first.headers.get("cache-control")).toBe("public, max-age=0, must-revalidate");
    expect(etag).toMatch(/^"7-[\w-]+"$/);
    expect(first.headers.get("vary")).toMatch(/Accept/);
    for (const tag of [String(etag), `W/${etag}`, `"x", ${etag}`]) {
      const again = await get(`/graphql?query=${version}`, { ...preflighted, "if-none-match": tag });
      expect([again.status, await again.text()]).toEqual([304, ""]);
      expect(again.headers.get("etag")).toBe(etag);
    }
    const other = await get(`/graphql?query=${version}`, { ...preflighted, "if-none-match": '"6-x"' });
    expect(other.status).toBe(200);
  });

  it("is off for errors and for POST", async () => {
    const failed = await get(
      `/graphql?query=${encodeURIComponent("{ models(first: -1) { totalCount } }")}`,
      preflighted,
    );
    const posted = await post('{"query":"{ catalogVersion }"}');
    for (const response of [failed, posted]) {
      expect(response.headers.get("cache-control")).toBe("no-store");
      expect(response.headers.get("etag")).toBeNull();
    }
  });
});

describe("bodies", () => {
  const error = async (response: Response) => {
    const { errors } = (await response.json()) as Failure;
    return { status: response.status, code: errors[0]?.extensions.code, message: errors[0]?.message };
  };

  it.each<[string, string | Uint8Array, Record<string, string>, number]>([
    ["not JSON", "{", {}, 400],
    ["empty", "", {}, 400],
    ["a number", "1", {}, 400],
    ["null", "null", {}, 400],
    ["an empty object", "{}", {}, 400],
    ["a query that is no text", '{"query":1}', {}, 400],
    ["variables that are a list", '{"query":"{ catalogVersion }","variables":[]}', {}, 400],
    ["not UTF-8", new Uint8Array([0x22, 0xff, 0x22]), {}, 400],
    [
      "of another character set",
      '{"query":"{ catalogVersion }"}',
      { "content-type": "application/json; charset=latin1" },
      415,
    ],
    ["compressed", gzipSync('{"query":"{ catalogVersion }"}'), { "content-encoding": "gzip" }, 415],
  ])("%s get an error in JSON", async (_, body, headers, status) => {
    const answer = await error(await post(body, headers));
    expect(answer.status).toBe(status);
    expect(answer.message).toBeTruthy();
  });

  it("may be deeply nested without harm", async () => {
    const response = await post(
      `{"query":"{ catalogVersion }","variables":{"x":${"[".repeat(50_000)}${"]".repeat(50_000)}}}`,
    );
    expect(response.status).toBeLessThan(500);
  });

  it("of several MB reach the estimate, larger ones are refused in JSON", async () => {
    const query =
      'query ($c: JSON) { estimate(input: { model: { huggingFaceConfig: $c }, quant: "q4_k_m" }) { fits } }';
    const body = (bytes: number) => JSON.stringify({ query, variables: { c: "x".repeat(bytes) } });
    const large = await error(await post(body(5_000_000)));
    expect(large.status).toBe(200);
    expect(large.code).toBe("BAD_USER_INPUT");
    const tooLarge = await error(await post(body(MAX_BODY_BYTES + 1)));
    expect(tooLarge).toMatchObject({ status: 413, code: "BAD_USER_INPUT" });
    expect(tooLarge.message).toMatch(/12 MiB/);
    expect((await server.query("{ catalogVersion }")).status).toBe(200);
  });

  it("without a length are refused as soon as they are too large", async () => {
    const status = await new Promise<number | undefined>((resolve, reject) => {
      const request = httpRequest(`${server.url}/graphql`, {
        method: "POST",
        headers: { "content-type": "application/json", "transfer-encoding": "chunked" },
      });
      request.on("response", (response) => {
        resolve(response.statusCode);
        request.destroy();
      });
      request.on("error", reject);
      const chunk = "x".repeat(2 ** 20);
      const write = (left: number) => {
        if (left > 0 && !request.destroyed) request.write(chunk, () => write(left - 1));
      };
      write(MAX_BODY_BYTES / 2 ** 20 + 2);
    });
    expect(status).toBe(413);
  });

  it("may break off without harm", async () => {
    const socket = connect(Number(new URL(server.url).port), "127.0.0.1");
    socket.write("POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{");
    await new Promise((resolve) => setTimeout(resolve, 100));
    socket.destroy();
    expect((await server.query("{ catalogVersion }")).status).toBe(200);
  });
});

describe("connections", () => {
  it("that send no HTTP, or nothing more of it, are closed", async () => {
    expect(await exchange("garbage\r\n\r\n")).toMatch(/^HTTP\/1\.1 400/);
    expect(await exchange("GET /healthz HTTP/1.1\r\nhost: x\r\n")).toMatch(/^HTTP\/1\.1 408/);
  }, 20_000);
});

describe("pages of other origins", () => {
  it("may not send what needs no preflight", async () => {
    expect((await get(`/graphql?query=${version}`)).status).toBe(400);
    const form = await post("query={ catalogVersion }", { "content-type": "application/x-www-form-urlencoded" });
    expect(form.status).toBe(400);
  });

  it("may read answers when they are on the list", async () => {
    const headers = { ...preflighted, origin: allowedOrigin };
    const response = await get(`/graphql?query=${version}`, headers);
    expect(response.headers.get("access-control-allow-origin")).toBe(allowedOrigin);
    expect(response.headers.get("access-control-allow-credentials")).toBeNull();
    const preflight = await fetch(`${server.url}/graphql`, {
      method: "OPTIONS",
      headers: { origin: allowedOrigin, "access-control-request-method": "POST" },
    });
    expect(preflight.status).toBe(204);
    expect(preflight.headers.get("access-control-allow-headers")).toMatch(/content-type, authorization/);
    expect(preflight.headers.get("access-control-allow-methods")).toBe("GET, POST");
  });

  it("may not when they are not", async () => {
    for (const origin of ["https://evil.example", "null", `${allowedOrigin}.evil.example`]) {
      const response = await get(`/graphql?query=${version}`, { ...preflighted, origin });
      expect(response.headers.get("access-control-allow-origin")).toBeNull();
      expect(response.headers.get("vary")).toMatch(/Origin/);
    }
  });
});

describe("routes", () => {
  it("say how the server is", async () => {
    const health = await get("/healthz");
    expect([health.status, await health.json()]).toEqual([200, { status: "ok" }]);
    const ready = await get("/readyz");
    expect([ready.status, await ready.json()]).toEqual([
      200,
      { status: "ready", catalogVersion: 7, catalogAgeSeconds: 0, database: "reachable" },
    ]);
  });

  it("give browsers the playground at the API's address", async () => {
    const response = await get("/graphql", { accept: "text/html,application/xhtml+xml,*/*;q=0.8" });
    expect(response.status).toBe(200);
    expect(response.headers.get("content-type")).toMatch(/^text\/html/);
    expect(response.headers.get("content-security-policy")).toMatch(/script-src 'self';/);
    expect(await response.text()).toContain("<title>Playground</title>");
    expect((await get("/")).headers.get("location")).toBe("/graphql");
  });

  it("serve the playground's files, those with a hash in their names for good", async () => {
    const script = await get("/playground/assets/index-B1a2C3d4.js", { "accept-encoding": "gzip" });
    expect(script.status).toBe(200);
    expect(script.headers.get("content-type")).toBe("text/javascript; charset=utf-8");
    expect(script.headers.get("cache-control")).toBe("public, max-age=31536000, immutable");
    expect(script.headers.get("content-encoding")).toBe("gzip");
    expect(await script.text()).toHaveLength(1500);
    const icon = await get("/playground/favicon.svg", { "accept-encoding": "identity" });
    expect(icon.headers.get("cache-control")).toBe("public, max-age=300");
    const again = await get("/playground/favicon.svg", { "if-none-match": String(icon.headers.get("etag")) });
    expect(again.status).toBe(304);
  });

  it.each([
    "/nope",
    "/__proto__",
    "/constructor",
    "/playground/nope.js",
    "/playground/../package.json",
    "/playground/%2e%2e/%2e%2e/package.json",
    "/playground/..%2f..%2fpackage.json",
    "//evil.example/graphql",
  ])("%s is not there, in JSON", async (path) => {
    const response = await fetch(`${server.url}${path}`, { redirect: "manual" });
    expect(response.status).toBe(404);
    expect(((await response.json()) as Failure).errors[0]?.extensions.code).toBe("NOT_FOUND");
  });

  it("carry headers that keep browsers from guessing and framing", async () => {
    for (const path of ["/healthz", "/nope", `/graphql?query=${version}`]) {
      const { headers } = await get(path, preflighted);
      expect(headers.get("x-content-type-options")).toBe("nosniff");
      expect(headers.get("x-frame-options")).toBe("DENY");
      expect(headers.get("content-security-policy")).toMatch(/frame-ancestors 'none'/);
      expect(headers.get("x-powered-by")).toBeNull();
    }
  });
});

describe("draining", () => {
  it("lets requests under way end, takes no more, and says so", async () => {
    const own = await startServer(smallCatalogue);
    const address = new URL(own.url);
    const body = '{"query":"{ catalogVersion }"}';
    const head = `POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n`;
    const socket = connect(Number(address.port), "127.0.0.1");
    let answer = "";
    socket.on("data", (chunk) => {
      answer += chunk;
    });
    const closed = new Promise((resolve) => socket.on("close", resolve));
    socket.write(head + body.slice(0, 5));
    await new Promise((resolve) => setTimeout(resolve, 100));
    const drained = own.drain();
    // Who has connected already is still served; after that nobody can.
    await new Promise((resolve) => setTimeout(resolve, 300));
    await expect(fetch(`${own.url}/healthz`)).rejects.toThrow();
    socket.write(body.slice(5));
    await closed;
    await drained;
    expect(answer).toMatch(/^HTTP\/1\.1 200/);
    expect(answer).toMatch(/"catalogVersion":7/);
    await own.stop();
  });
});
