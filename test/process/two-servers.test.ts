import { Agent, createServer, type IncomingMessage, request, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as wait } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type PostgresServer, startPostgresServer } from "../setup/postgres-server.js";
import { type ServerProcess, startProcess } from "../setup/server-process.js";

/** A first start creates and seeds a database, on a machine that does much else at the same time. */
const START_MS = 120_000;
const ADMIN_TOKEN = "an-administrator-of-tests";
const EDITS = 10;
const POLL_MS = 2;
/** Clients at work while a server ends, and how often each tries a request again. */
const CLIENTS = 8;
const REQUESTS = 30;
const ATTEMPTS = 20;
const RETRY_MS = 25;

interface Answer {
  status: number;
  headers: IncomingMessage["headers"];
  text: string;
}

let postgres: PostgresServer;
let early: ServerProcess;
let servers: ServerProcess[] = [];
let apis: [string, string];
let proxy: Server;
const started: ServerProcess[] = [];
const agent = new Agent({ keepAlive: true });

function start(settings: Record<string, string> = {}): ServerProcess {
  const all = { DATABASE_URL: postgres.url("postgres"), ADMIN_TOKEN, RATE_LIMIT: "off", ...settings };
  const server = startProcess("sources", all);
  started.push(server);
  return server;
}

interface Asked {
  method?: string;
  headers?: Record<string, string>;
  body?: string;
}

/** One request, failing when the connection does. */
function send(address: string, { method = "GET", headers = {}, body }: Asked = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = request(address, { method, headers, agent }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", reject);
      response.on("aborted", () => reject(new Error("cut")));
      response.on("end", () => {
        const { statusCode = 0 } = response;
        resolve({ status: statusCode, headers: response.headers, text: Buffer.concat(chunks).toString() });
      });
    });
    outgoing.on("error", reject);
    outgoing.end(body);
  });
}

async function ask(address: string, query: string, variables: object = {}, headers: Record<string, string> = {}) {
  const answer = await send(address, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify({ query, variables }),
  });
  return { ...answer, body: JSON.parse(answer.text) };
}

/** Gives each request to the next server, whether it lives or not: what is lost is tried again by the client. */
function startProxy(targets: readonly string[]): Promise<Server> {
  let turn = 0;
  const server = createServer((incoming, outgoing) => {
    const target = new URL(targets[turn++ % targets.length] ?? "");
    const { method, url: path, headers } = incoming;
    const onward = request({ host: target.hostname, port: target.port, method, path, headers }, (response) => {
      outgoing.writeHead(response.statusCode ?? 0, response.headers);
      response.pipe(outgoing);
      response.on("error", () => outgoing.destroy());
      response.on("aborted", () => outgoing.destroy());
    });
    onward.on("error", () => outgoing.destroy());
    incoming.pipe(onward);
  });
  return new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(server)));
}

const CREATE = `mutation ($input: CreateRuntimeInput!) {
  createRuntime(input: $input) { catalogVersion userErrors { message } runtime { id } }
}`;

async function create(api: string, slug: string): Promise<number> {
  const input = {
    slug,
    name: slug,
    engineVersion: "1",
    constants: {},
    summary: "made up",
    sources: [{ title: "made up" }],
  };
  const { body } = await ask(api, CREATE, { input }, { authorization: `Bearer ${ADMIN_TOKEN}` });
  expect(body.errors).toBeUndefined();
  expect(body.data.createRuntime.userErrors).toEqual([]);
  return body.data.createRuntime.catalogVersion;
}

const BUSY_QUERY = `{ estimate(input: { model: { slug: "deepseek-v3" }, quant: "q4_k_m", context: 131072 }) {
  weights { size { bytes } } } }`;

/** Clients that ask again and again what a server answers by then; gives the answers, and how often they had to retry. */
async function askMuch(address: string): Promise<{ answers: Answer[]; retries: number }> {
  const answers: Answer[] = [];
  let retries = 0;
  const one = async () => {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const answer = await ask(address, BUSY_QUERY).catch(() => undefined);
      if (answer?.status === 200) return void answers.push(answer);
      retries++;
      await wait(RETRY_MS);
    }
  };
  await Promise.all(
    Array.from({ length: CLIENTS }, async () => {
      for (let index = 0; index < REQUESTS; index++) await one();
    }),
  );
  return { answers, retries };
}

beforeAll(async () => {
  postgres = await startPostgresServer({ durable: false });
  await postgres.stop();
  early = start();
}, START_MS);
afterAll(async () => {
  await Promise.all(started.map((server) => server.end("SIGKILL")));
  proxy?.close();
  agent.destroy();
  await postgres.remove();
});

describe("a server that starts before its database", () => {
  it(
    "says so, lives without being ready, and starts by itself",
    async () => {
      await expect.poll(early.output, { timeout: START_MS }).toMatch(/cannot be reached: .*Trying again in 1 s/);
      // Another on a port that is known before it is ready.
      const holder = createServer();
      await new Promise<void>((resolve) => holder.listen(0, "127.0.0.1", resolve));
      const { port } = holder.address() as AddressInfo;
      await new Promise((resolve) => holder.close(resolve));
      const second = start({ PORT: String(port) });
      const at = `http://127.0.0.1:${port}`;
      await expect.poll(second.output, { timeout: START_MS }).toMatch(/Trying again/);
      expect((await send(`${at}/healthz`)).status).toBe(200);
      const ready = await send(`${at}/readyz`);
      expect([ready.status, JSON.parse(ready.text)]).toEqual([503, { status: "starting", database: "unreachable" }]);
      const refused = await ask(`${at}/graphql`, "{ catalogVersion }");
      expect([refused.status, refused.body.errors[0].extensions.code]).toEqual([503, "UNAVAILABLE"]);
      const impatient = start({ DATABASE_WAIT_SECONDS: "0" });
      expect(await impatient.ended).toBe(1);
      expect(impatient.output()).toMatch(/^PostgreSQL at .* cannot be reached: .*ECONNREFUSED/m);
      const stopped = start();
      await expect.poll(stopped.output, { timeout: START_MS }).toMatch(/Trying again/);
      expect(await stopped.end("SIGTERM")).toBe(0);
      await postgres.start();
      servers = [early, second];
      apis = [await early.ready, await second.ready];
      expect(apis[1]).toBe(`http://localhost:${port}/graphql`);
      expect((await send(`${at}/readyz`)).status).toBe(200);
      proxy = await startProxy(apis);
    },
    START_MS * 2,
  );
});

describe("two servers over one PostgreSQL", () => {
  it("see each other's edits: at once when asked for a version, and soon in any case", async () => {
    const delays: number[] = [];
    for (let index = 0; index < EDITS; index++) {
      const [here, there] = index % 2 === 0 ? apis : [apis[1], apis[0]];
      const slug = `edit-${index}`;
      const version = await create(here, slug);
      const committedAt = performance.now();
      if (index === 0) {
        const query = `{ catalogVersion runtime(slug: "${slug}") { slug } }`;
        const { body } = await ask(there, query, {}, { "x-min-catalog-version": String(version) });
        expect(body.data).toEqual({ catalogVersion: version, runtime: { slug } });
        continue;
      }
      while ((await ask(there, "{ catalogVersion }")).body.data.catalogVersion < version) await wait(POLL_MS);
      delays.push(performance.now() - committedAt);
    }
    delays.sort((a, b) => a - b);
    console.info(`edits were seen on the other server after ${delays.map((delay) => delay.toFixed(0)).join(", ")} ms`);
  });

  it("give the same answers the same tags", async () => {
    const { port } = proxy.address() as AddressInfo;
    const path = `/graphql?query=${encodeURIComponent("{ catalogVersion models(first: 5) { nodes { id name } } }")}`;
    const headers = { "apollo-require-preflight": "1" };
    const [first, second] = await Promise.all(apis.map((api) => send(new URL(path, api).href, { headers })));
    expect(first?.headers.etag).toMatch(/^"/);
    expect(second?.headers.etag).toBe(first?.headers.etag);
    expect(second?.text).toBe(first?.text);
    for (let index = 0; index < 4; index++) {
      const again = { ...headers, "if-none-match": first?.headers.etag ?? "" };
      expect((await send(`http://127.0.0.1:${port}${path}`, { headers: again })).status).toBe(304);
    }
  });

  it.each(["SIGTERM", "SIGKILL"] as const)(
    "lose no request of clients that try again when one ends by %s",
    async (signal) => {
      const { port } = proxy.address() as AddressInfo;
      const load = askMuch(`http://127.0.0.1:${port}/graphql`);
      await wait(200);
      const [, second] = servers as [ServerProcess, ServerProcess];
      const how = await second.end(signal);
      expect(how).toBe(signal === "SIGTERM" ? 0 : signal);
      const { answers, retries } = await load;
      expect(answers).toHaveLength(CLIENTS * REQUESTS);
      expect(new Set(answers.map(({ text }) => text)).size).toBe(1);
      console.info(`${signal}: ${answers.length} answers, ${retries} retries`);
      // Back on its port, for the next.
      const again = start({ PORT: new URL(apis[1]).port });
      servers[1] = again;
      await again.ready;
    },
    START_MS * 2,
  );

  it(
    "cut nothing in flight on SIGTERM",
    async () => {
      const [, second] = servers as [ServerProcess, ServerProcess];
      const searches = Array.from({ length: 4 }, (_, index) =>
        ask(
          apis[1],
          `{ hardware(input: { model: { slug: "deepseek-v3" }, quant: "q4_k_m", context: ${8192 + index} }, first: 5) { totalCount } }`,
        ),
      );
      await wait(100);
      expect(await second.end("SIGTERM")).toBe(0);
      const answers = await Promise.all(searches);
      for (const { status, body } of answers) {
        expect([status, body.errors]).toEqual([200, undefined]);
        expect(body.data.hardware.totalCount).toBeGreaterThan(0);
      }
      for (const { headers } of answers) expect(headers["x-request-id"]).toBeDefined();
    },
    START_MS,
  );
});
